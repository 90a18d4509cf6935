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
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// maxReplicas run at the same time.
const maxReplicas = 3

// alive are the replicas that have not ended.
func (s *sim) alive() []*replica {
	return slices.DeleteFunc(slices.Clone(s.replicas), func(r *replica) bool { return r.ended })
}

func (s *sim) anyReplica() *replica {
	alive := s.alive()
	if len(alive) == 0 {
		return nil
	}
	return alive[s.rng.IntN(len(alive))]
}

func (s *sim) anyResource() string { return []string{"pods", "nodes"}[s.rng.IntN(2)] }

// watchLags has what happens to a resource reach a replica later, or again at once.
func (s *sim) watchLags() {
	if r, resource := s.anyReplica(), s.anyResource(); r != nil {
		lag := []time.Duration{0, 300 * time.Millisecond, 3 * time.Second, maxLag}[s.rng.IntN(4)]
		s.note(r.name, "sees %s %s late", resource, lag)
		s.api.LagOf(r.name, resource, lag)
	}
}

// closeCall has a node read for one pod right before its taint goes or its name goes to another node, while another pod falls
// due and the caches do not know better.
func (s *sim) closeCall() {
	node := s.anyNode()
	s.setTaint(node, "a", "", nil)
	s.wait(s.upTo(2 * time.Second))
	resource, lag := s.anyResource(), []time.Duration{300 * time.Millisecond, 3 * time.Second}[s.rng.IntN(2)]
	for _, r := range s.alive() {
		s.note(r.name, "sees %s %s late", resource, lag)
		s.api.LagOf(r.name, resource, lag)
	}
	if s.rng.IntN(2) == 0 {
		s.addPod(s.newPod())
	}
	for range 1 + s.rng.IntN(3) {
		pod := s.newPod()
		pod.Spec.NodeName, pod.Spec.Tolerations = node, nil
		s.putPod(pod, "is made")
		s.wait(s.upTo(400 * time.Millisecond))
		switch s.rng.IntN(4) {
		case 0, 1:
			s.dropTaints(node, func(v1.Taint) bool { return true })
		case 2:
			s.removeNode(node)
			s.addNode(node)
		default:
			s.moreTolerations()
		}
		s.wait(s.upTo(400 * time.Millisecond))
	}
}

// lastMoment has a pod tolerate the taints of its node right after it was marked for its eviction.
func (s *sim) lastMoment() {
	node := s.anyNode()
	s.setTaint(node, "a", "", nil)
	pod := s.newPod()
	pod.Spec.NodeName, pod.Spec.Tolerations = node, nil
	s.putPod(pod, "is made, and tolerates everything once it is marked")
	for range 2000 {
		s.wait(time.Millisecond)
		live := s.api.Pod(pod.Name)
		if live == nil || live.UID != pod.UID || live.DeletionTimestamp != nil {
			return
		}
		if isMarked(live) {
			s.note(pod.Name, "tolerates everything")
			s.api.UpdatePod(pod.Name, func(pod *v1.Pod) {
				pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists}}
				pod.Generation++
			})
			return
		}
	}
}

// busyPod has something change a pod more often than its eviction takes.
func (s *sim) busyPod() {
	node := s.anyNode()
	s.setTaint(node, "a", "", nil)
	s.names++
	pod := s.podNamed(types.NamespacedName{Namespace: "default", Name: fmt.Sprintf("busy-%d", s.names)})
	pod.Spec.NodeName, pod.Spec.Tolerations, pod.Annotations = node, nil, nil
	s.putPod(pod, "is made, and changes all the time")
	apart := time.Duration(1+s.rng.Int64N(20)) * time.Millisecond
	for i := range 200 {
		if s.wait(apart); s.api.Pod(pod.Name) == nil {
			return
		}
		s.api.UpdatePod(pod.Name, func(pod *v1.Pod) { pod.Labels = map[string]string{"change": fmt.Sprint(i)} })
	}
}

// gap has a taint go and come back, or not, while nobody sees it and pods count on it.
func (s *sim) gap() {
	node := s.anyNode()
	if s.rng.IntN(2) == 0 {
		s.setTaint(node, "a", "", nil)
	}
	pod := s.newPod()
	pod.Spec.NodeName = node
	pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](30 + s.rng.Int64N(60))}}
	s.putPod(pod, "is made")
	s.wait(s.upTo(10 * time.Second))
	s.note("replica-all", "have their watches of nodes cut, and history lost")
	s.api.CutWatches("nodes", true)
	if tainted := s.node(node); tainted != nil && s.rng.IntN(4) > 0 {
		s.dropTaints(node, func(v1.Taint) bool { return true })
		s.moment()
		for _, taint := range tainted.Spec.Taints {
			s.setTaint(node, taint.Key, taint.Value, s.timeAdded())
		}
	}
	s.wait(s.upTo(3 * time.Second))
}

// upTo is some time.
func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(d))) }

// watchBreaks ends watches: those of one replica, or all; with a history to go on with, or without.
func (s *sim) watchBreaks() {
	resource := []string{"pods", "nodes", "nodes"}[s.rng.IntN(3)]
	if r := s.anyReplica(); r != nil && s.rng.IntN(3) == 0 {
		s.note(r.name, "has its watch of %s cut", resource)
		s.api.CutWatchesOf(r.name, resource)
		return
	}
	forget := s.rng.IntN(3) > 0
	s.note("replica-all", "have their watches of %s cut, history lost: %t", resource, forget)
	s.api.CutWatches(resource, forget)
	if s.rng.IntN(2) == 0 { // something happens before they list again
		s.reuseName()
		s.taintBlinks()
		s.taintBlinks()
	}
}

// outage has a replica reach nothing for a while.
func (s *sim) outage() {
	r := s.anyReplica()
	if r == nil {
		return
	}
	d := time.Duration(s.rng.Int64N(int64([]time.Duration{3 * time.Second, time.Minute, 5 * time.Minute}[s.rng.IntN(3)])))
	s.note(r.name, "reaches nothing for %s", d)
	s.lock.Lock()
	s.outages[r.name] = time.Now().Add(d)
	s.lock.Unlock()
	if s.rng.IntN(2) == 0 {
		s.api.CutWatchesOf(r.name, "pods")
		s.api.CutWatchesOf(r.name, "nodes")
	}
}

// weatherChanges has requests fail more often, or less.
func (s *sim) weatherChanges() {
	all := profiles()
	p := all[s.rng.IntN(len(all))]
	s.note("replica-all", "have requests fail at the rate %v", p.faults)
	s.setProfile(p)
}

func (s *sim) setProfile(p profile) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.profile = p
}

// replicaDies kills or stops a replica, and mostly starts another one at once.
func (s *sim) replicaDies() {
	r := s.anyReplica()
	if r == nil {
		return
	}
	led := r.stopLeading != nil
	r.die(s.rng.IntN(3) > 0)
	if s.rng.IntN(4) > 0 {
		next := s.start()
		if led {
			next.lead()
		}
	}
}

// replicaStarts starts one more, which leads or not.
func (s *sim) replicaStarts() {
	if len(s.alive()) >= maxReplicas {
		return
	}
	if r := s.start(); s.rng.IntN(3) == 0 {
		r.lead()
	}
}

// leadershipMoves has a replica lead no more, or lead, be there another one or not.
func (s *sim) leadershipMoves() {
	for range 1 + s.rng.IntN(2) {
		if r := s.anyReplica(); r != nil && r.stopLeading != nil {
			r.resign()
		} else if r != nil {
			r.lead()
		}
	}
}

// calmDown ends all that goes wrong, and has one replica lead.
func (s *sim) calmDown() {
	s.note("replica-all", "have no more faults")
	s.setProfile(profile{})
	s.lock.Lock()
	clear(s.outages)
	s.kindFaults = nil
	s.lock.Unlock()
	for _, r := range s.replicas {
		s.api.LagOf(r.name, "pods", 0)
		s.api.LagOf(r.name, "nodes", 0)
	}
	s.endPolicies()
	if len(s.alive()) == 0 {
		s.start()
	}
	if s.plan.permanent != nil {
		s.note("replica-all", "have one kind of requests fail or be slow for ever: %s", s.plan.permanent)
	}
	alive := s.alive()
	if !slices.ContainsFunc(alive, func(r *replica) bool { return r.stopLeading != nil }) {
		alive[s.rng.IntN(len(alive))].lead()
	}
	s.calmSince = time.Now()
}
