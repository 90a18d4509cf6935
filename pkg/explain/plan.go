/*
Copyright The taint-manager Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package explain

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Plan is what would become of the pods of some nodes if a change was made now.
type Plan struct {
	Header `json:",inline"`
	Nodes  []PlannedNode `json:"nodes"`
	// Add and Remove are the change to the taints.
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
	// Pods are all pods on these nodes: first those that go, by time, then those that do not.
	Pods []PlannedPod `json:"pods"`
	// Totals counts the pods, and Namespaces does for each namespace.
	Totals     Totals            `json:"totals"`
	Namespaces []NamespaceTotals `json:"namespaces,omitempty"`
	// Budgets are the disruption budgets that cover pods that go.
	Budgets []BudgetUse `json:"budgets,omitempty"`
}

// PlannedNode is a node, and its taints that may evict, before and after the change.
type PlannedNode struct {
	Name   string   `json:"name"`
	Before []string `json:"taintsBefore,omitempty"`
	After  []string `json:"taintsAfter,omitempty"`
}

// PlannedPod is a pod, and what would become of it.
type PlannedPod struct {
	Pod  Ref    `json:"pod"`
	Node string `json:"node"`
	// Fate is what would become of it, and Now what becomes of it without the change.
	Fate Fate    `json:"fate"`
	Now  Outcome `json:"now"`
	// Workload says what else one should know of the pod. It is nil where that was not read.
	Workload *WorkloadFacts `json:"workload,omitempty"`

	pod *podcache.Pod
}

// Goes reports whether the pod would go, now or later, if nothing blocks it.
func (p *PlannedPod) Goes() bool {
	return p.Fate.Outcome == Due || p.Fate.Outcome == Scheduled || p.Fate.Outcome == Blocked
}

// Totals counts pods.
type Totals struct {
	Pods      int `json:"pods"`
	Now       int `json:"now"`
	Later     int `json:"later"`
	Blocked   int `json:"blocked"`
	Held      int `json:"held"`
	Stay      int `json:"stay"`
	LeftAlone int `json:"leftAlone"`
	// Bare, LocalData and NoRoom count pods that go and have no controller, lose data with their node, or find no room elsewhere.
	Bare      int `json:"bare"`
	LocalData int `json:"localData"`
	NoRoom    int `json:"noRoom"`
}

// NamespaceTotals counts the pods of a namespace.
type NamespaceTotals struct {
	Namespace string `json:"namespace"`
	Totals    `json:",inline"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (p *Plan) DeepCopyObject() runtime.Object { return p }

// Long returns the plan without its pods, and these.
func (p *Plan) Long() (rest any, name string, n int, element func(i int) any) {
	without := *p
	without.Pods = []PlannedPod{}
	return &without, "pods", len(p.Pods), func(i int) any { return &p.Pods[i] }
}

// Names returns the pods that would go.
func (p *Plan) Names() (names []string) {
	for i := range p.Pods {
		if p.Pods[i].Goes() {
			names = append(names, "pod/"+p.Pods[i].Pod.Name)
		}
	}
	return names
}

// MakePlan returns what would become of the pods on the nodes of a change. now is the cluster as it is; after has the policies that would
// apply then, and is now where these do not change. The workloads may be nil.
func MakePlan(now, after *snapshot.Snapshot, change *Change, workloads *Workloads) *Plan {
	plan := &Plan{Header: NewHeader("Plan", after)}
	for i := range change.Add {
		plan.Add = append(plan.Add, change.Add[i].ToString())
	}
	for _, pattern := range change.Remove {
		plan.Remove = append(plan.Remove, pattern.String())
	}
	taints := map[string][]deadline.Taint{}
	for _, name := range change.Nodes {
		node := after.Nodes[name]
		taints[name] = after.TaintsAfter(name, change.apply(apiTaints(node.Taints)))
		plan.Nodes = append(plan.Nodes, PlannedNode{Name: name, Before: taintNames(now.Taints(name)), After: taintNames(taints[name])})
	}
	pods := slices.DeleteFunc(slices.Clone(after.Pods), func(pod *podcache.Pod) bool {
		_, planned := taints[pod.Node()]
		return !planned
	})
	fatesNow, fatesAfter := newFates(now), newFates(after)
	plan.Pods = make([]PlannedPod, 0, len(pods))
	for _, pod := range pods {
		plan.Pods = append(plan.Pods, PlannedPod{
			Pod: Ref{Namespace: pod.Namespace(), Name: pod.Name, UID: string(pod.UID)}, Node: pod.Node(), pod: pod,
			Fate: FateOf(after, after.DecideOn(pod, taints[pod.Node()]), fatesAfter.starts(pod.Node())), Now: fatesNow.now(pod).Outcome,
		})
	}
	plan.sort()
	plan.spendBudgets(after)
	if workloads != nil {
		workloads.describe(plan)
	}
	plan.count()
	for i := range plan.Pods {
		plan.Pods[i].pod = nil // the plan is printed: it does not keep the snapshot
	}
	return plan
}

func taintNames(taints []deadline.Taint) (names []string) {
	for _, taint := range taints {
		names = append(names, taint.String())
	}
	return names
}

// sort puts pods that go first, by time, those that are not ready first: these may need no place of their budget.
func (p *Plan) sort() {
	rank := map[Outcome]int{Due: 0, Blocked: 0, Scheduled: 0, Held: 1, Stays: 2, LeftAlone: 3}
	slices.SortFunc(p.Pods, func(a, b PlannedPod) int {
		return cmp.Or(cmp.Compare(rank[a.Fate.Outcome], rank[b.Fate.Outcome]), a.Fate.Deadline.Compare(b.Fate.Deadline),
			compareBool(a.pod.Ready(), b.pod.Ready()), cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// count fills in the totals.
func (p *Plan) count() {
	byNamespace := map[string]int{}
	for i := range p.Pods {
		pod := &p.Pods[i]
		at, known := byNamespace[pod.Pod.Namespace]
		if !known {
			at = len(p.Namespaces)
			byNamespace[pod.Pod.Namespace] = at
			p.Namespaces = append(p.Namespaces, NamespaceTotals{Namespace: pod.Pod.Namespace})
		}
		p.Totals.add(pod)
		p.Namespaces[at].add(pod)
	}
	slices.SortFunc(p.Namespaces, func(a, b NamespaceTotals) int { return cmp.Compare(a.Namespace, b.Namespace) })
}

func (t *Totals) add(pod *PlannedPod) {
	t.Pods++
	switch pod.Fate.Outcome {
	case Due:
		t.Now++
	case Scheduled:
		t.Later++
	case Blocked:
		t.Blocked++
	case Held:
		t.Held++
	case Stays:
		t.Stay++
	case LeftAlone:
		t.LeftAlone++
	}
	if pod.Workload == nil || !pod.Goes() {
		return
	}
	if pod.Workload.Controller == "" {
		t.Bare++
	}
	if len(pod.Workload.LocalData) > 0 {
		t.LocalData++
	}
	if pod.Workload.Replacement == NoRoom {
		t.NoRoom++
	}
}
