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
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	// mayMove is by how much a restart may move a deadline to the later side.
	mayMove = 2 * time.Second
	// kept is after how long what a leader knows has been written down, while nothing is wrong.
	kept = 40 * time.Second
)

// bequest is a deadline that a leader had when its process ended, with what it was about.
type bequest struct {
	at   time.Time
	pod  *v1.Pod
	node *v1.Node
}

// restarts ends the process of the leader, and starts another one at once or after a while.
func (s *sim) restarts() {
	if !s.plan.calm {
		s.replicaDies()
		return
	}
	for _, r := range s.alive() {
		s.bequeath(r)
		r.die(s.rng.IntN(2) == 0)
	}
	s.wait(s.upTo([]time.Duration{time.Millisecond, time.Second, 30 * time.Second}[s.rng.IntN(3)]))
	s.start().lead()
	s.wait(starting + s.upTo(2*time.Second))
	s.check()
}

// bequeath notes the deadlines that the process after this one must have as well: those that a leader has had time to write
// down what they depend on.
func (s *sim) bequeath(r *replica) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if clear(s.bequests); r.leadsSince.IsZero() || !s.plan.keeps || time.Since(r.started) < kept {
		return
	}
	for uid := range s.history.pods {
		at, scheduled := r.deadline(uid)
		pod := s.history.pod(uid)
		if !scheduled || pod == nil || r.view.pods[nameOf(pod)] != pod {
			continue
		}
		if boundBy(pod).Add(-s.history.apiSkew).After(s.history.boundAt(uid).Add(mayMove)) {
			continue // its binding is stamped by a clock that was ahead: when it was is known only to who saw it
		}
		versions := s.history.nodes[pod.Spec.NodeName]
		node, steady := s.history.node(pod.Spec.NodeName), true
		if seen := r.view.nodes[pod.Spec.NodeName]; len(seen) == 0 || seen[len(seen)-1].node != node {
			continue
		}
		for i := len(versions) - 1; i >= 0 && steady && time.Since(versions[i].at) < kept; i-- {
			steady = i > 0 && sameCondition(versions[i-1].node, versions[i].node)
		}
		if steady && node != nil {
			s.bequests[uid] = bequest{at, pod, node}
		}
	}
}

// bequeathed is until when at the latest a pod must have gone by the process before, or never where things have changed since.
func (s *sim) bequeathed(pod *v1.Pod, node *v1.Node) time.Time {
	b, ok := s.bequests[pod.UID]
	if !ok || pod.ResourceVersion != b.pod.ResourceVersion || !sameCondition(b.node, node) {
		return never()
	}
	return b.at.Add(mayMove)
}

// sameCondition says whether it is proven that nobody has changed the taints of a node, nor its readiness. Without managedFields only
// an equal version proves it.
func sameCondition(a, b *v1.Node) bool {
	if a == nil || b == nil || a.UID != b.UID || len(a.Spec.Taints) != len(b.Spec.Taints) {
		return false
	}
	for _, taint := range a.Spec.Taints {
		if find(b, taint) == nil || !addedAt(a, taint).Equal(addedAt(b, taint)) {
			return false
		}
	}
	if changedAt(a).IsZero() && a.ResourceVersion != b.ResourceVersion {
		return false
	}
	return changedAt(a).Equal(changedAt(b)) && notReadySince(a).Equal(notReadySince(b))
}
