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

package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// step is something that happens, more or less often. What makes pods late is trouble: not in calm runs.
type step struct {
	weight  int
	trouble bool
	do      func(*sim)
}

// steps are all kinds of steps.
func steps() []step {
	return []step{
		{weight: 12, do: func(s *sim) { s.addPod(s.newPod()) }},
		{weight: 5, do: (*sim).bindLater},
		{weight: 3, do: (*sim).podGoes},
		{weight: 5, do: (*sim).reuseName},
		{weight: 2, do: (*sim).podFinishes},
		{weight: 5, do: (*sim).moreTolerations},
		{weight: 8, do: (*sim).otherSeconds},
		{weight: 14, do: (*sim).taintChanges},
		{weight: 4, do: (*sim).taintBlinks},
		{weight: 6, do: (*sim).readinessChanges},
		{weight: 3, do: (*sim).taintsPause},
		{weight: 2, do: (*sim).lifecycleControllerRestarts},
		{weight: 4, do: (*sim).absence},
		{weight: 3, do: (*sim).swap},
		{weight: 3, do: (*sim).oldSnapshot},
		{weight: 3, do: (*sim).admissionTaint},
		{weight: 2, do: (*sim).podIsRejected},
		{weight: 4, do: (*sim).restarts},
		{weight: 5, do: func(s *sim) { s.heartbeat(s.anyNode()) }},
		{weight: 2, do: (*sim).ownerWritesMore},
		{weight: 3, do: (*sim).nodeComesOrGoes},
		{weight: 5, do: (*sim).crowdComes},
		{weight: 3, do: func(*sim) {}},
		{weight: 4, trouble: true, do: (*sim).closeCall},
		{weight: 4, trouble: true, do: (*sim).gap},
		{weight: 2, trouble: true, do: (*sim).busyPod},
		{weight: 3, trouble: true, do: (*sim).lastMoment},
		{weight: 6, trouble: true, do: (*sim).watchLags},
		{weight: 6, trouble: true, do: (*sim).watchBreaks},
		{weight: 3, trouble: true, do: (*sim).outage},
		{weight: 4, trouble: true, do: (*sim).weatherChanges},
		{weight: 3, trouble: true, do: (*sim).kindFails},
		{weight: 4, trouble: true, do: (*sim).replicaDies},
		{weight: 4, trouble: true, do: (*sim).replicaStarts},
		{weight: 4, trouble: true, do: (*sim).leadershipMoves},
	}
}

// next does a step that chance picks.
func (s *sim) next() {
	s.pick(s.rng, steps())
}

// pick does a step that chance picks.
func (s *sim) pick(chance *rand.Rand, all []step) {
	sum := 0
	for i := range all {
		if s.plan.calm && all[i].trouble {
			all[i].weight = 0
		}
		sum += all[i].weight
	}
	n := chance.IntN(sum)
	for _, step := range all {
		if n -= step.weight; n < 0 {
			step.do(s)
			return
		}
	}
}

// crowdComes has many pods come to one node, one after another: each may have to be decided on again.
func (s *sim) crowdComes() {
	if !s.plan.crowds {
		return
	}
	node, apart := s.anyNode(), time.Duration(1+s.rng.Int64N(int64(100*time.Millisecond)))
	s.setTaint(node, "a", "", nil)
	for range 40 {
		pod := s.newPod()
		pod.Spec.NodeName, pod.Spec.Tolerations = node, nil
		s.putPod(pod, "is made")
		time.Sleep(apart)
	}
}

func (s *sim) bindLater() {
	if pod := s.anyPod(func(pod *v1.Pod) bool { return pod.Spec.NodeName == "" }); pod != nil {
		s.bind(pod)
		s.putPod(pod, "is bound")
		return
	}
	pod := s.newPod()
	s.putPod(pod, "is made")
}

func (s *sim) podGoes() {
	if pod := s.anyPod(nil); pod != nil {
		if s.rng.IntN(2) == 0 {
			s.deleteByOther(pod)
		} else {
			s.removePod(pod)
		}
	}
}

func (s *sim) reuseName() {
	if pod := s.anyPod(nil); pod != nil {
		s.removePod(pod)
		s.addPod(s.podNamed(nameOf(pod)))
	}
}

func (s *sim) podFinishes() {
	if pod := s.anyPod(nil); pod != nil {
		pod.Status.Phase = []v1.PodPhase{v1.PodSucceeded, v1.PodFailed}[s.rng.IntN(2)]
		pod.Status.InitContainerStatuses = nil
		pod.Status.ContainerStatuses = []v1.ContainerStatus{{Name: "c", State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{}}}}
		s.putPod(pod, "finishes")
	}
}

// podIsRejected has a pod fail of which the kubelet never starts a container.
func (s *sim) podIsRejected() {
	pod := s.anyPod(func(pod *v1.Pod) bool { return pod.Status.Phase == v1.PodRunning && pod.Spec.NodeName != "" })
	if pod == nil {
		return
	}
	pod.Status.Phase, pod.Status.ContainerStatuses = v1.PodFailed, nil
	if s.rng.IntN(2) == 0 {
		waiting := v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "ContainerCreating"}}
		pod.Status.InitContainerStatuses = []v1.ContainerStatus{{Name: "i", State: waiting}}
	}
	s.putPod(pod, "is rejected")
}

// moreTolerations adds one: the API does not let them be taken away, but they may stand anywhere.
func (s *sim) moreTolerations() {
	if pod := s.anyPod(nil); pod != nil {
		pod.Spec.Tolerations = slices.Insert(pod.Spec.Tolerations, s.rng.IntN(len(pod.Spec.Tolerations)+1), s.toleration())
		pod.Generation++
		s.putPod(pod, "tolerates more")
	}
}

func (s *sim) otherSeconds() {
	if pod := s.anyPod(func(pod *v1.Pod) bool { return len(pod.Spec.Tolerations) > 0 }); pod != nil {
		pod.Spec.Tolerations[s.rng.IntN(len(pod.Spec.Tolerations))].TolerationSeconds = s.seconds()
		pod.Generation++
		s.putPod(pod, "tolerates for another time")
	}
}

// taintChanges puts a taint on a node, or takes some off.
func (s *sim) taintChanges() {
	name := s.anyNode()
	if s.rng.IntN(5) < 2 {
		all, key := s.rng.IntN(3) == 0, keys()[s.rng.IntN(2)]
		s.dropTaints(name, func(t v1.Taint) bool { return all || t.Key == key })
		return
	}
	s.setTaint(name, keys()[s.rng.IntN(2)], []string{"", "x"}[s.rng.IntN(2)], s.timeAdded())
}

// timeAdded is what a writer says of when it put a taint: mostly nothing, or the time by its clock; at times what is wrong.
func (s *sim) timeAdded() *metav1.Time {
	switch s.rng.IntN(8) {
	case 0, 1:
		return ptr.To(s.written())
	case 2:
		return ptr.To(metav1.NewTime(s.stamp().Add(-time.Duration(s.rng.IntN(60)) * time.Second)))
	case 3:
		return ptr.To(metav1.NewTime(s.stamp().Add(time.Duration(s.rng.IntN(300)) * time.Second)))
	default:
		return nil
	}
}

// taintBlinks takes a taint off and puts it back a moment later, or another value in between.
func (s *sim) taintBlinks() {
	node := s.node(s.anyNode())
	if node == nil || len(node.Spec.Taints) == 0 {
		return
	}
	taint := node.Spec.Taints[s.rng.IntN(len(node.Spec.Taints))]
	if s.rng.IntN(2) == 0 || isNotReadyTaint(taint) { // those have no values
		s.dropTaints(node.Name, func(t v1.Taint) bool { return t.Key == taint.Key })
	} else {
		s.setTaint(node.Name, taint.Key, taint.Value+"y", nil)
	}
	s.moment()
	s.setTaint(node.Name, taint.Key, taint.Value, s.timeAdded())
}

// readinessChanges has a node become ready, or not, or unknown, with the taints following at once or later.
func (s *sim) readinessChanges() {
	name := s.anyNode()
	s.setReady(name, []v1.ConditionStatus{v1.ConditionTrue, v1.ConditionFalse, v1.ConditionUnknown}[s.rng.IntN(3)])
	if s.rng.IntN(4) > 0 {
		s.moment()
		s.reconcileNotReady(name)
	}
}

// taintsPause takes the taints of a node that is not ready off for a time, up to minutes, as when a whole zone is not ready.
func (s *sim) taintsPause() {
	name := s.anyNode()
	if node := s.node(name); node == nil || isReady(node) {
		s.setReady(name, v1.ConditionUnknown)
		s.reconcileNotReady(name)
		return
	}
	s.dropTaints(name, isNotReadyTaint)
	if s.rng.IntN(2) == 0 {
		s.wait(time.Duration(s.rng.Int64N(int64(100 * time.Second))))
		s.reconcileNotReady(name)
	}
}

// lifecycleControllerRestarts takes the taints of nodes that are not ready off all nodes and puts them back, stamped again.
func (s *sim) lifecycleControllerRestarts() {
	for i := range s.plan.nodes {
		s.dropTaints(nodeName(i), isNotReadyTaint)
	}
	time.Sleep(100 * time.Millisecond)
	for i := range s.plan.nodes {
		s.reconcileNotReady(nodeName(i))
	}
}

func (s *sim) heartbeat(name string) {
	if node := s.node(name); node != nil {
		s.putNode(node, "kubelet", ownsStatus, "reports status")
	}
}

// ownerWritesMore has the owner of the taints write another of its fields: the time of its entry moves.
func (s *sim) ownerWritesMore() {
	if node := s.node(s.anyNode()); node != nil {
		node.Spec.Unschedulable = !node.Spec.Unschedulable
		fields := ownsTaints
		if len(node.Spec.Taints) == 0 {
			fields = ownsCordon
		}
		s.putNode(node, "kubectl", fields, "is cordoned or not")
	}
}

func (s *sim) nodeComesOrGoes() {
	name := s.anyNode()
	node := s.node(name)
	if node == nil {
		s.addNode(name)
		return
	}
	s.removeNode(name)
	if s.rng.IntN(3) > 0 {
		s.addNode(name, node.Spec.Taints...)
	}
}
