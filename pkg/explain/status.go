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
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// Status is what goes on because of taints: by node, and what holds pods back.
type Status struct {
	Header `json:",inline"`
	// Leader is the replica of taint-manager that evicts. It is nil if the Lease could not be read.
	Leader *Leader `json:"leader,omitempty"`
	// Brake is the eviction brake, while it is on.
	Brake *Brake `json:"evictionBrake,omitempty"`
	// Holds are the policies that hold pods back, and a pause, which holds all.
	Holds []PolicyHold `json:"holds,omitempty"`
	// Total are the pods of all nodes.
	Total Counts `json:"total"`
	// Nodes are the nodes that have a taint that may evict, and those that were asked for by name.
	Nodes []NodeStatus `json:"nodes"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (s *Status) DeepCopyObject() runtime.Object { return s }

// Long returns the status without its nodes, and these with their pods.
func (s *Status) Long() (rest any, name string, n int, element func(i int) any) {
	without := *s
	without.Nodes = []NodeStatus{}
	return &without, "nodes", len(s.Nodes), func(i int) any { return &s.Nodes[i] }
}

// Names returns the nodes.
func (s *Status) Names() (names []string) {
	for i := range s.Nodes {
		names = append(names, "node/"+s.Nodes[i].Node)
	}
	return names
}

// Leader is what the Lease says about the replica that evicts.
type Leader struct {
	// Holder is empty if there is no Lease, or nobody has it.
	Holder  string    `json:"holder,omitempty"`
	Renewed time.Time `json:"renewed,omitzero"`
	// Leads is false if nobody has the Lease, or has not renewed it in time.
	Leads bool `json:"leads"`
}

// Brake is the eviction brake, as the controller writes it into its ConfigMap.
type Brake struct {
	Since   time.Time `json:"since,omitzero"`
	Message string    `json:"message,omitempty"`
}

// NodeStatus is a node, and what its taints do.
type NodeStatus struct {
	Node   string      `json:"node"`
	Taints []NodeTaint `json:"taints"`
	Counts Counts      `json:"counts"`
	// Next and Last are the first and the last time at which a pod is due that is scheduled.
	Next time.Time `json:"next,omitzero"`
	Last time.Time `json:"last,omitzero"`
	// Pods are the pods that go or would go, the most urgent first.
	Pods []PodStatus `json:"pods,omitempty"`
}

// NodeTaint is a taint that may evict, and since when.
type NodeTaint struct {
	Taint     string          `json:"taint"`
	Since     time.Time       `json:"since"`
	SinceFrom deadline.Source `json:"sinceFrom"`
}

// Counts are numbers of pods by their state.
type Counts struct {
	Overdue     int `json:"overdue"`
	Blocked     int `json:"blocked"`
	Due         int `json:"due"`
	Scheduled   int `json:"scheduled"`
	Held        int `json:"held"`
	Terminating int `json:"terminating"`
	Stuck       int `json:"stuck"`
	// Stay are those that no taint evicts. MirrorPods and Finished are those that taints are not for.
	Stay       int `json:"stay"`
	MirrorPods int `json:"mirrorPods"`
	Finished   int `json:"finished"`
}

func (c *Counts) add(state State) {
	switch state {
	case StateOverdue:
		c.Overdue++
	case StateBlocked:
		c.Blocked++
	case StateDue:
		c.Due++
	case StateScheduled:
		c.Scheduled++
	case StateHeld:
		c.Held++
	case StateTerminating:
		c.Terminating++
	case StateStuck:
		c.Stuck++
	case StateMirror:
		c.MirrorPods++
	case StateFinished:
		c.Finished++
	default:
		c.Stay++
	}
}

// Facts are what is read for a status beside a snapshot.
type Facts struct {
	// Lease is that of the controller, or nil if there is none. LeaseUnread says that it is not known.
	Lease       *coordinationv1.Lease
	LeaseUnread bool
	// Terminating tells of pods that are being deleted, and Blocked of Events on pods that wait for their disruption budgets. What is not in
	// them is not known.
	Terminating map[types.UID]Terminating
	Blocked     map[types.UID]Event
}

// StatusOf returns what goes on in the cluster of a snapshot. named are nodes that are shown in any case.
func StatusOf(s *snapshot.Snapshot, facts Facts, named ...string) *Status {
	status := &Status{Header: newHeader("Status", s), Brake: brakeOf(s), Nodes: []NodeStatus{}}
	if !facts.LeaseUnread {
		status.Leader = leaderOf(facts.Lease, status.At)
	}
	judge := newJudge(s, facts, status.Leader, status.Brake)
	byNode := map[string][]*podcache.Pod{}
	for _, pod := range s.Pods {
		byNode[pod.Node()] = append(byNode[pod.Node()], pod)
	}
	holds := newHoldTally(s)
	for _, name := range sortedKeys(s.Nodes) {
		if len(s.Taints(name)) == 0 && !slices.Contains(named, name) {
			continue
		}
		node := nodeStatus(judge, holds, name, byNode[name])
		status.Total.sum(&node.Counts)
		status.Nodes = append(status.Nodes, node)
	}
	status.Holds = holds.list()
	return status
}

func nodeStatus(judge *judge, holds *holdTally, name string, pods []*podcache.Pod) NodeStatus {
	node := NodeStatus{Node: name, Taints: nodeTaints(judge.s, name)}
	for _, pod := range pods {
		one := judge.pod(pod)
		node.Counts.add(one.State)
		holds.add(one.Fate.Held)
		if one.State == StateScheduled {
			if node.Next.IsZero() || one.Fate.Deadline.Before(node.Next) {
				node.Next = one.Fate.Deadline
			}
			node.Last = later(node.Last, one.Fate.Deadline)
		}
		if one.State.Goes() {
			node.Pods = append(node.Pods, one)
		}
	}
	slices.SortStableFunc(node.Pods, moreUrgent)
	return node
}

func nodeTaints(s *snapshot.Snapshot, name string) (taints []NodeTaint) {
	for _, e := range s.Evidence(name) {
		taints = append(taints, NodeTaint{Taint: e.Taint.String(), Since: e.Start, SinceFrom: e.By})
	}
	return taints
}

// leaderOf returns what a Lease says at an API time.
func leaderOf(lease *coordinationv1.Lease, at time.Time) *Leader {
	leader := &Leader{}
	if lease == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return leader
	}
	leader.Holder = *lease.Spec.HolderIdentity
	if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return leader
	}
	leader.Renewed = lease.Spec.RenewTime.UTC()
	leader.Leads = at.Before(leader.Renewed.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second))
	return leader
}

// brakeOf returns the eviction brake, or nil if it is off or not known.
func brakeOf(s *snapshot.Snapshot) *Brake {
	if s.Starts == nil {
		return nil
	}
	on, since := tainteviction.BrakeOf(s.Starts.Annotations)
	if !on {
		return nil
	}
	return &Brake{Since: since, Message: s.Annotation(tainteviction.BrakeMessageAnnotation)}
}

// sum adds the numbers of other pods.
func (c *Counts) sum(o *Counts) {
	c.Overdue += o.Overdue
	c.Blocked += o.Blocked
	c.Due += o.Due
	c.Scheduled += o.Scheduled
	c.Held += o.Held
	c.Terminating += o.Terminating
	c.Stuck += o.Stuck
	c.Stay += o.Stay
	c.MirrorPods += o.MirrorPods
	c.Finished += o.Finished
}

// Timeless returns the status without times: they change by themselves, and a little with what is known of the API server's clock.
func (s *Status) Timeless() *Status {
	timeless := *s
	timeless.At, timeless.Brake, timeless.Holds, timeless.Nodes = time.Time{}, s.Brake.timeless(), slices.Clone(s.Holds), nil
	if s.Leader != nil {
		timeless.Leader = &Leader{Holder: s.Leader.Holder, Leads: s.Leader.Leads}
	}
	for i := range timeless.Holds {
		timeless.Holds[i].Expires = time.Time{}
	}
	for _, node := range s.Nodes {
		pods := node.Pods
		node.Taints, node.Next, node.Last, node.Pods = timelessTaints(node.Taints), time.Time{}, time.Time{}, nil
		for i := range pods {
			pod := &pods[i]
			node.Pods = append(node.Pods, PodStatus{Pod: pod.Pod, Node: pod.Node, State: pod.State, Because: pod.Because})
		}
		timeless.Nodes = append(timeless.Nodes, node)
	}
	return &timeless
}

func (b *Brake) timeless() *Brake {
	if b == nil {
		return nil
	}
	return &Brake{}
}

func timelessTaints(taints []NodeTaint) (timeless []NodeTaint) {
	for _, taint := range taints {
		timeless = append(timeless, NodeTaint{Taint: taint.Taint})
	}
	return timeless
}

// MayBeBlocked reports whether Events may tell of pods that wait for their disruption budgets: a policy of mode Evict is there, or the
// policies could not be read.
func MayBeBlocked(s *snapshot.Snapshot) bool {
	return s.PoliciesUnread || slices.ContainsFunc(s.Policies.Policies(), func(p deadline.Policy) bool { return p.Mode == deadline.ModeEvict })
}
