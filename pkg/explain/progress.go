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

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// rateWindow is the time over which the rate is counted.
const rateWindow = 30 * time.Second

// Progress is how far some nodes are on the way to having no pods that go.
type Progress struct {
	Header `json:",inline"`
	// Began is when the first progress was looked at.
	Began time.Time `json:"began"`
	// Brake is the eviction brake, while it is on.
	Brake *Brake         `json:"evictionBrake,omitempty"`
	Nodes []NodeProgress `json:"nodes"`
	// Done says that no pod that goes is left.
	Done bool `json:"done"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (p *Progress) DeepCopyObject() runtime.Object { return p }

// Names returns the nodes.
func (p *Progress) Names() (names []string) {
	for i := range p.Nodes {
		names = append(names, "node/"+p.Nodes[i].Node)
	}
	return names
}

// Timeless returns the progress without times, which change a little with what is known of the API server's clock, and rates.
func (p *Progress) Timeless() *Progress {
	timeless := *p
	timeless.At, timeless.Brake, timeless.Nodes = time.Time{}, p.Brake.timeless(), nil
	for _, node := range p.Nodes {
		node.Taints, node.PerSecond, node.AtLatest = timelessTaints(node.Taints), 0, time.Time{}
		node.Waits = slices.Clone(node.Waits)
		for i := range node.Waits {
			node.Waits[i].Until = time.Time{}
		}
		timeless.Nodes = append(timeless.Nodes, node)
	}
	return &timeless
}

// NodeProgress is how far a node is.
type NodeProgress struct {
	Node string `json:"node"`
	// Exists is false if there is no such node any more.
	Exists bool        `json:"exists"`
	Taints []NodeTaint `json:"taints"`
	// ToGo are pods that have to go and are not being deleted yet, Terminating those that are, and Gone those that the API does not have any
	// more. Pods that stay are in none of them.
	ToGo        int `json:"toGo"`
	Terminating int `json:"terminating"`
	Gone        int `json:"gone"`
	// Stay are the pods that do not go.
	Stay Staying `json:"stay"`
	// PerSecond is how many pods have gone each second, on average over the last 30 s, or since the beginning.
	PerSecond float64 `json:"podsPerSecond"`
	// AtLatest is when the last pod is gone at the latest, if nothing comes in between. It is zero, and AtLatestUnknown says why, if that
	// cannot be known.
	AtLatest        time.Time `json:"atLatest,omitzero"`
	AtLatestUnknown string    `json:"atLatestUnknown,omitempty"`
	// Waits are what pods wait for that could be gone, the most pods first.
	Waits []Wait `json:"waits,omitempty"`
}

// Staying are numbers of pods that do not go, by why they do not.
type Staying struct {
	// NoTaint are pods of a node without a taint that evicts.
	NoTaint int `json:"noTaint"`
	// DaemonSets are pods of DaemonSets that tolerate the taints for ever, and Tolerate others that do.
	DaemonSets int `json:"daemonSets"`
	Tolerate   int `json:"tolerate"`
	// Kept are pods that a policy of mode Keep or Preview holds without end. A pause is none of these: it is taken back.
	Kept   int      `json:"kept"`
	KeptBy []string `json:"keptBy,omitempty"`
	// Mirror are mirror pods, and Finished are pods that have finished.
	Mirror   int `json:"mirrorPods"`
	Finished int `json:"finished"`
}

// Sum returns how many pods do not go.
func (s *Staying) Sum() int {
	return s.NoTaint + s.DaemonSets + s.Tolerate + s.Kept + s.Mirror + s.Finished
}

// Wait is something that pods wait for.
type Wait struct {
	// For is what they wait for, in words.
	For string `json:"for"`
	// Pods is how many, and First the first few of them.
	Pods  int      `json:"pods"`
	First []string `json:"first"`
	// Until is when the wait ends at the latest. Zero is not known.
	Until time.Time `json:"until,omitzero"`
}

// firstPods is how many pods of a wait are named.
const firstPods = 3

// Departures counts the pods that go from nodes, from one snapshot to the next.
type Departures struct {
	began time.Time
	nodes map[string]*departures
}

// departures are those from one node.
type departures struct {
	// going are the pods that went or were being deleted when they were seen last.
	going map[types.UID]bool
	gone  int
	// times are when pods were gone, in the last rateWindow.
	times []time.Time
}

// NewDepartures returns a count for some nodes.
func NewDepartures(nodes []string) *Departures {
	d := &Departures{nodes: map[string]*departures{}}
	for _, name := range nodes {
		d.nodes[name] = &departures{going: map[types.UID]bool{}}
	}
	return d
}

// Update returns the progress by the next snapshot, given the pods in it as the API has them.
func (d *Departures) Update(s *snapshot.Snapshot, whole map[types.UID]*v1.Pod) *Progress {
	p := &Progress{Header: newHeader("Progress", s), Brake: brakeOf(s), Done: true}
	if d.began.IsZero() {
		d.began = p.At
	}
	p.Began = d.began
	facts := Facts{LeaseUnread: true, Terminating: map[types.UID]Terminating{}}
	for uid, pod := range whole {
		if terminating := TerminatingOf(&pod.ObjectMeta); terminating != nil {
			facts.Terminating[uid] = *terminating
		}
	}
	judge := newJudge(s, facts, nil, p.Brake)
	byNode := map[string][]*podcache.Pod{}
	for _, pod := range s.Pods {
		byNode[pod.Node()] = append(byNode[pod.Node()], pod)
	}
	for _, name := range sortedKeys(d.nodes) {
		node := NodeProgress{Node: name, Exists: s.Nodes[name] != nil, Taints: nodeTaints(s, name)}
		d.nodes[name].update(&node, judge, byNode[name], whole, d.began)
		p.Nodes = append(p.Nodes, node)
		p.Done = p.Done && node.ToGo+node.Terminating == 0
	}
	return p
}

// update counts the pods of a node.
func (d *departures) update(node *NodeProgress, judge *judge, pods []*podcache.Pod, whole map[types.UID]*v1.Pod, began time.Time) {
	going := map[types.UID]bool{}
	present := map[types.UID]bool{}
	latest := newLatest(judge, node)
	waits := &waitTally{}
	for _, pod := range pods {
		status := judge.pod(pod)
		present[pod.UID] = true
		switch {
		case !node.Exists && status.State == StateStays:
			status.Because = "its node does not exist; pod garbage collection removes it"
			node.ToGo++
			latest.unknown("pod garbage collection removes pods whose node does not exist")
			waits.add(&status)
		case judge.stays(&status):
			node.Stay.add(&status, whole[pod.UID])
			continue
		case status.State == StateTerminating || status.State == StateStuck:
			node.Terminating++
			if !judge.at.Before(graceEnds(&status)) {
				waits.add(&status)
			}
			latest.add(&status, whole[pod.UID])
		default:
			node.ToGo++
			if status.Because != because(&status.Fate) {
				waits.add(&status)
			}
			latest.add(&status, whole[pod.UID])
		}
		going[pod.UID] = true
	}
	for uid := range d.going {
		if !present[uid] {
			d.gone++
			d.times = append(d.times, judge.at)
		}
	}
	d.going = going
	d.times = slices.DeleteFunc(d.times, func(t time.Time) bool { return judge.at.Sub(t) >= rateWindow })
	over := max(time.Second, min(rateWindow, judge.at.Sub(began)))
	node.Gone, node.PerSecond, node.Waits = d.gone, float64(len(d.times))/over.Seconds(), waits.list()
	node.AtLatest, node.AtLatestUnknown = latest.result()
}

// graceEnds returns when the grace period of a pod that is being deleted ends; the zero time if that is not known.
func graceEnds(status *PodStatus) time.Time {
	if status.Terminating == nil {
		return time.Time{}
	}
	return status.Terminating.GraceEnds
}

// stays reports whether a pod does not go: no taint evicts it, or a policy keeps it without end. A pod that a pause holds goes later.
func (j *judge) stays(status *PodStatus) bool {
	if !status.State.Goes() {
		return true
	}
	if status.State != StateHeld || !status.Fate.Deadline.IsZero() {
		return false
	}
	return !slices.ContainsFunc(status.Fate.Held, func(hold Hold) bool { return j.s.Policies.IsPause(hold.Policy, j.s.At) })
}

// add counts a pod that does not go. whole is nil if it is not known.
func (s *Staying) add(status *PodStatus, whole *v1.Pod) {
	switch {
	case status.State == StateMirror:
		s.Mirror++
	case status.State == StateFinished:
		s.Finished++
	case status.State == StateHeld:
		s.Kept++
		for _, hold := range status.Fate.Held {
			if by := holderWords(hold); !slices.Contains(s.KeptBy, by) {
				s.KeptBy = append(s.KeptBy, by)
			}
		}
	case status.Fate.Reason == deadline.NoTaint:
		s.NoTaint++
	case whole != nil && ofDaemonSet(whole):
		s.DaemonSets++
	default:
		s.Tolerate++
	}
}

func ofDaemonSet(pod *v1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "DaemonSet"
}
