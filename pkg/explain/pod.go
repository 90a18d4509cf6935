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
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Pod is the whole chain of why a pod goes, or does not.
type Pod struct {
	Header `json:",inline"`
	Pod    Ref    `json:"pod"`
	Node   string `json:"node,omitempty"`
	// Exists is false for a pod that is gone. Summary says in a sentence what becomes or became of it.
	Exists  bool   `json:"exists"`
	Summary string `json:"summary"`
	// Fate is what becomes of a pod that exists.
	Fate *Fate `json:"fate,omitempty"`
	// Removal is who removed the pod, or asks for it.
	Removal *Removal `json:"removal,omitempty"`
	// Terminating says since when the pod is being deleted, and what that waits for.
	Terminating *Terminating `json:"terminating,omitempty"`
	// Binding is when the pod came to its node: no toleration counts from before.
	Binding time.Time `json:"binding,omitzero"`
	// Taints are the taints of the node that may evict, each with what it alone does to the pod.
	Taints []Taint `json:"taints,omitempty"`
	// Budgets are the disruption budgets that cover the pod. They count in mode Evict only.
	Budgets []Budget `json:"budgets,omitempty"`
	// Events are those about the pod, the last first.
	Events []Event `json:"events,omitempty"`
}

// Terminating is a pod that is being deleted.
type Terminating struct {
	Since time.Time `json:"since"`
	// GraceEnds is when its containers have to be gone.
	GraceEnds  time.Time `json:"graceEnds"`
	Finalizers []string  `json:"finalizers,omitempty"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (p *Pod) DeepCopyObject() runtime.Object { return p }

// Taint is a taint of a node, and what it does to a pod.
type Taint struct {
	Taint string `json:"taint"`
	// Start is since when the taint counts, and StartFrom what says so. TimeAdded, LastChange and Recorded are all that there is.
	Start      time.Time       `json:"start"`
	StartFrom  deadline.Source `json:"startFrom"`
	TimeAdded  time.Time       `json:"timeAdded,omitzero"`
	LastChange time.Time       `json:"lastChange,omitzero"`
	Recorded   time.Time       `json:"recorded,omitzero"`
	// Period is the start of the not-ready period, for the not-ready taints, and PeriodFrom what says so.
	Period     time.Time       `json:"notReadyPeriod,omitzero"`
	PeriodFrom deadline.Source `json:"notReadyPeriodFrom,omitempty"`
	// Toleration is the first toleration that tolerates the taint. Without one, Mismatches says of each toleration why not.
	Toleration *v1.Toleration       `json:"toleration,omitempty"`
	Mismatches []TolerationMismatch `json:"mismatches,omitempty"`
	// Policies says of each policy whether it applies to this taint, in the order in which they apply.
	Policies []PolicyMatch `json:"policies,omitempty"`
	// Fate is what the taint alone does.
	Fate Fate `json:"fate"`
}

// Why explains a pod that exists.
func Why(s *snapshot.Snapshot, pod *v1.Pod, events []Event) *Pod {
	compact := podcache.NewPod(pod, s.At)
	fate := FateNow(s, compact)
	events = ofPod(events, string(pod.UID), func(last time.Time) bool { return !last.Before(pod.CreationTimestamp.Time) })
	p := &Pod{
		Header: NewHeader("PodExplanation", s),
		Pod:    Ref{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)},
		Node:   pod.Spec.NodeName, Exists: true, Fate: &fate,
		Removal: RemovalOf(pod, events), Terminating: TerminatingOf(&pod.ObjectMeta), Budgets: Budgets(s, compact), Events: events,
	}
	if pod.Spec.NodeName != "" {
		p.Binding = s.API(compact.Bound(s.Server))
		for _, evidence := range s.Evidence(pod.Spec.NodeName) {
			p.Taints = append(p.Taints, explainTaint(s, compact, evidence))
		}
	}
	p.Summary = p.summary(s.Nodes[pod.Spec.NodeName] != nil)
	return p
}

// WhyGone explains a pod that is gone, or never was, by Events about it. eventsUnread tells that they could not be read.
func WhyGone(s *snapshot.Snapshot, namespace, name string, events []Event, eventsUnread bool) *Pod {
	p := &Pod{Header: NewHeader("PodExplanation", s), Pod: Ref{Namespace: namespace, Name: name}}
	switch {
	case eventsUnread:
		p.Summary = "It does not exist, and whether Events tell of it is not known: they could not be read"
		return p
	case len(events) == 0:
		p.Summary = "It does not exist, and there are no Events about it: Events are kept for an hour by default"
		return p
	}
	p.Pod.UID, p.Events = ofLastPod(events)
	p.Removal = RemovalOf(nil, p.Events)
	p.Summary = "It does not exist any more"
	if p.Removal == nil {
		p.Summary += ", and no Event about it says who deleted it"
	}
	return p
}

func explainTaint(s *snapshot.Snapshot, pod *podcache.Pod, evidence snapshot.Evidence) Taint {
	alone := s.DecideOn(pod, []deadline.Taint{evidence.Taint})
	tolerations := pod.ToDeadlinePod(s.Server).Tolerations
	t := Taint{
		Taint: evidence.Taint.String(), Start: evidence.Start, StartFrom: evidence.By,
		TimeAdded: evidence.TimeAdded, LastChange: evidence.LastChange, Recorded: evidence.Recorded,
		Period: evidence.Period, PeriodFrom: evidence.PeriodBy,
		Toleration: deadline.Tolerating(tolerations, evidence.Taint, s.Rules()),
		Policies:   policyMatches(s, pod, evidence.Taint),
		Fate:       FateOf(s, alone, KnownStarts([]snapshot.Evidence{evidence})),
	}
	if t.Toleration == nil {
		t.Mismatches = mismatches(tolerations, evidence.Taint, s.Rules())
	}
	return t
}

// Names returns the pod.
func (p *Pod) Names() []string { return []string{"pod/" + p.Pod.Name} }
