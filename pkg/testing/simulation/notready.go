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
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// gapKind is how replicas come to see what happened while the taints of a node were off.
type gapKind int

const (
	// watched: as it happens.
	watched gapKind = iota
	// resumed: their watches are cut, and go on where they ended.
	resumed
	// relisted: their watches are cut and cannot go on.
	relisted
	// restarted: there are none, and then one that starts.
	restarted
	// liveOnly: their watches are behind, and only a read of the node shows it.
	liveOnly
	gapKinds
)

func (k gapKind) String() string {
	return [...]string{"watched", "resumed", "relisted", "restarted", "by a live read only"}[k]
}

// someAbsence is a time for which taints may be off: of every length, and often about as long as they may within one period.
func (s *sim) someAbsence() time.Duration {
	switch s.rng.IntN(4) {
	case 0:
		return maxAbsence - 2*time.Second + s.upTo(4*time.Second)
	case 1:
		return time.Second + s.upTo(40*time.Second)
	default:
		return time.Second + s.upTo([]time.Duration{10 * time.Second, 2 * time.Minute, 10 * time.Minute}[s.rng.IntN(3)])
	}
}

// absence has the taints of a node that is not ready go and come back, while pods count on them.
func (s *sim) absence() {
	kind := watched
	if !s.plan.calm {
		kind = gapKind(s.rng.IntN(int(gapKinds)))
	}
	node := s.notReadyNode()
	s.podThatTolerates(node)
	for range s.rng.IntN(4) {
		s.wait(s.upTo(25 * time.Second))
		s.heartbeat(s.anyNode())
	}
	off := s.someAbsence()
	s.note(node, "has its taints off for %s, %s", off, kind)
	end := s.beginGap(kind, off)
	s.dropTaints(node, isNotReadyTaint)
	if s.rng.IntN(6) == 0 { // the end of the period
		s.wait(off / 2)
		s.setReady(node, v1.ConditionTrue)
		s.setReady(node, v1.ConditionUnknown)
		off /= 2
	}
	for off > 0 {
		d := min(off, time.Second+s.upTo(30*time.Second))
		s.wait(d)
		if off -= d; off > 0 && s.rng.IntN(3) == 0 {
			s.heartbeat(s.anyNode())
		}
	}
	s.reconcileNotReady(node)
	s.wait(s.upTo(10 * time.Second))
	s.check()
	end()
	s.wait(s.upTo(10 * time.Second))
}

// beginGap has replicas see what follows in a way of a kind, and returns what has them go on.
func (s *sim) beginGap(kind gapKind, off time.Duration) (end func()) {
	switch kind {
	case resumed, relisted:
		for _, r := range s.alive() {
			s.lock.Lock()
			s.outages[r.name] = time.Now().Add(off + 30*time.Second)
			s.lock.Unlock()
		}
		s.api.CutWatches("nodes", false)
		return func() {
			if kind == relisted {
				s.api.CutWatches("nodes", true)
			}
			s.lock.Lock()
			defer s.lock.Unlock()
			for _, r := range s.alive() {
				delete(s.outages, r.name)
			}
		}
	case restarted:
		for _, r := range s.alive() {
			r.die(s.rng.IntN(2) == 0)
		}
		return func() { s.start().lead() }
	case liveOnly:
		for _, r := range s.alive() {
			s.api.LagOf(r.name, "nodes", off+20*time.Second)
		}
		return func() {
			s.wait(s.upTo(20 * time.Second))
			for _, r := range s.alive() {
				s.api.LagOf(r.name, "nodes", 0)
			}
		}
	default:
		return func() {}
	}
}

// notReadyNode is a node that is not ready, and has the taint that says so.
func (s *sim) notReadyNode() string {
	name := s.anyNode()
	if s.node(name) == nil {
		s.addNode(name)
	}
	if isReady(s.node(name)) {
		s.setReady(name, []v1.ConditionStatus{v1.ConditionFalse, v1.ConditionUnknown}[s.rng.IntN(2)])
	}
	s.reconcileNotReady(name)
	return name
}

// podThatTolerates makes a pod on a node that tolerates the taints of one that is not ready for a time, for one each, or one
// of them for ever.
func (s *sim) podThatTolerates(node string) {
	pod := s.newPod()
	pod.Annotations = nil
	seconds := func() *int64 { return ptr.To([]int64{30, 65, 120, 300}[s.rng.IntN(4)]) }
	both := seconds()
	notReady := v1.Toleration{Key: v1.TaintNodeNotReady, Operator: v1.TolerationOpExists, TolerationSeconds: both}
	unreachable := v1.Toleration{Key: v1.TaintNodeUnreachable, Operator: v1.TolerationOpExists, TolerationSeconds: both}
	switch s.rng.IntN(4) {
	case 0:
		unreachable.TolerationSeconds = seconds()
	case 1:
		[]*v1.Toleration{&notReady, &unreachable}[s.rng.IntN(2)].TolerationSeconds = nil
	}
	pod.Spec.NodeName, pod.Spec.Tolerations = node, []v1.Toleration{notReady, unreachable}
	if s.rng.IntN(8) == 0 {
		pod.Spec.Tolerations = pod.Spec.Tolerations[s.rng.IntN(2):][:1]
	}
	s.putPod(pod, "is made")
}

// swap has the two taints of a node that is not ready take turns, while pods count on them.
func (s *sim) swap() {
	node := s.notReadyNode()
	s.podThatTolerates(node)
	for range 1 + s.rng.IntN(2) {
		s.wait(s.upTo([]time.Duration{2 * time.Second, 70 * time.Second, 10 * time.Minute}[s.rng.IntN(3)]))
		n := s.node(node)
		if n == nil {
			return
		}
		if s.rng.IntN(4) == 0 {
			s.dropTaints(node, isNotReadyTaint)
			s.wait(s.upTo(70 * time.Second))
		}
		other := v1.ConditionFalse
		if n.Status.Conditions[0].Status == v1.ConditionFalse {
			other = v1.ConditionUnknown
		}
		s.setReady(node, other)
		s.moment()
		s.reconcileNotReady(node)
		s.wait(s.upTo(time.Second))
		s.check()
	}
}

// oldSnapshot has a writer put taints back that somebody has taken off, as they were, or stamped as if they had been there for longer.
func (s *sim) oldSnapshot() {
	node := s.anyNode()
	switch s.rng.IntN(4) {
	case 0: // within a not-ready period
		node = s.notReadyNode()
		s.podThatTolerates(node)
		s.wait(s.upTo(20 * time.Second))
	case 1, 2:
		s.setTaint(node, "a", "", ptr.To(s.written()))
		s.wait(s.upTo(20 * time.Second))
	}
	was := s.node(node)
	if was == nil || len(was.Spec.Taints) == 0 {
		return
	}
	s.dropTaints(node, func(v1.Taint) bool { return true })
	for range s.rng.IntN(3) {
		s.wait(s.upTo([]time.Duration{time.Second, 20 * time.Second, 2 * time.Minute}[s.rng.IntN(3)]))
		s.heartbeat(node)
	}
	if now := s.node(node); now != nil {
		now.Spec.Taints = was.Spec.Taints
		if s.rng.IntN(2) == 0 {
			older := s.upTo(2 * time.Minute).Truncate(time.Second) // as stored times are
			for i := range now.Spec.Taints {
				if added := now.Spec.Taints[i].TimeAdded; added != nil {
					now.Spec.Taints[i].TimeAdded = ptr.To(metav1.NewTime(added.Add(-older)))
				}
			}
		}
		s.putNode(now, "kubectl", ownsTaints, "gets taints back as they were")
	}
}

// admissionTaint has an admission plugin add a taint in a write of another field: no manager is known to have changed the taints.
func (s *sim) admissionTaint() {
	node := s.node(s.anyNode())
	key := keys()[s.rng.IntN(2)]
	if node == nil || slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == key }) {
		return
	}
	if s.rng.IntN(2) == 0 {
		s.heartbeat(node.Name)
		s.moment()
		node = s.node(node.Name)
	}
	node.Spec.Taints = append(node.Spec.Taints, v1.Taint{Key: key, Effect: v1.TaintEffectNoExecute})
	s.putNode(node, "labeler", ownsLabels, "gets a taint by an admission plugin")
}
