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
	"k8s.io/apimachinery/pkg/types"
)

const (
	// settled is how long after the end of all faults everything works as if there had been none: a connection that says
	// nothing ends after 45 s, a reflector waits for up to 60 s (30 s with jitter) before it lists or watches again, an eviction for up to
	// 30 s, and one that began in the meantime for a call that hangs for 10 s.
	settled = silence + 60*time.Second + 30*time.Second + 15*time.Second
	// onTime is how late a pod may go when nothing is wrong: a read of the node is waited for up to a second, the calls take
	// up to 50 ms, and at a concurrency of one the pods go one after another.
	onTime = 3 * time.Second
	// starting is how long after its first lists a replica may take until it works: it looks for them at intervals.
	starting = 300 * time.Millisecond
	// ruled is how long after a change of policies was shown everything is as it says.
	ruled = time.Second
)

// checkSchedules compares what each replica has scheduled with the rules: nobody before what the truth allows, nor after what
// the replica was shown allows.
func (s *sim) checkSchedules() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.replicas {
		if !r.ended && r.view.synced(time.Now().Add(-starting)) && time.Since(r.view.ruling().at) > ruled {
			s.checkSchedule(r)
		}
	}
}

func (s *sim) checkSchedule(r *replica) {
	known := map[types.UID]*v1.Pod{}
	for _, pod := range r.view.pods {
		known[pod.UID] = pod
	}
	for uid := range s.history.pods {
		at, scheduled := r.deadline(uid)
		pod := known[uid]
		earliest, latest := never(), never()
		if pod != nil {
			earliest, latest = s.earliestByView(r.view, pod), s.latestDue(r.view, pod, either, anyTaint)
		}
		live := s.history.pod(uid)
		going := live == nil || live.DeletionTimestamp != nil // an attempt may have found that out, before the watch says so
		switch {
		case scheduled && earliest.Equal(never()):
			s.fail(podName(s, uid), "what is scheduled is what the rules say: %s has scheduled %s at %s, and it need not go", r.name, uid, s.clock(at))
		case scheduled && (at.Before(earliest) || at.After(latest)):
			s.fail(podName(s, uid), "what is scheduled is what the rules say: %s has scheduled %s at %s, and it is to go between %s and %s",
				r.name, uid, s.clock(at), s.clock(earliest), s.clock(latest))
		case !scheduled && latest.Before(never()) && !going:
			s.fail(podName(s, uid), "what is scheduled is what the rules say: %s has not scheduled %s, and it is to go between %s and %s",
				r.name, uid, s.clock(earliest), s.clock(latest))
		}
	}
}

// earliestByView is the earliest moment at which a pod may go that is as a replica was last shown it, while its node is as the
// replica was last shown that.
func (s *sim) earliestByView(v *view, pod *v1.Pod) time.Time {
	seen := v.nodes[pod.Spec.NodeName]
	if len(seen) == 0 || seen[len(seen)-1].node == nil {
		return never()
	}
	i, ruling := s.history.index[seen[len(seen)-1].node.ResourceVersion], v.ruling()
	earliest := never()
	for _, doubting := range ruling.doubts() {
		earliest = first(earliest, s.history.earliest(pod, i, v, ruling, doubting).ever(either))
	}
	return earliest
}

func podName(s *sim, uid types.UID) string {
	for _, version := range s.history.pods[uid] {
		if version.pod != nil {
			return version.pod.Name
		}
	}
	return string(uid)
}

// checkLate finds pods that should be gone, while nothing is wrong: those that have been due for longer than onTime, by what
// a replica that leads was shown, or for settled after the end of the faults.
func (s *sim) checkLate() {
	now := time.Now()
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.replicas {
		if r.ended || r.leadsSince.IsZero() || !r.view.synced(now.Add(-starting-onTime)) {
			continue
		}
		for _, pod := range r.view.pods {
			live := s.history.pod(pod.UID)
			due, allowed := s.mustHaveGone(r.view, pod)
			if live == nil || leftAlone(live) || due.After(now) || s.spared(live) {
				continue
			}
			// It was not known before what made it due.
			versions := r.view.nodes[pod.Spec.NodeName]
			for _, known := range []time.Time{s.history.pods[pod.UID][len(s.history.pods[pod.UID])-1].at, versions[len(versions)-1].at, r.view.podSeen[pod.UID], r.leadsSince, r.view.ruling().at} {
				due = last(due, known)
			}
			late := now.Sub(due)
			if (s.plan.calm && late > allowed) || (!s.calmSince.IsZero() && now.Sub(s.calmSince) > settled+s.mayBeLate() && late > s.mayBeLate()) {
				s.fail(pod.Name, "no eviction is lost: %s has been due for %s, by what %s was shown", pod.UID, late, r.name)
			}
		}
	}
}

// checkCaughtUp says which replica has not been shown the final state.
func (s *sim) checkCaughtUp() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.replicas {
		if r.ended {
			continue
		}
		for name := range s.history.nodes {
			seen, node := r.view.nodes[name], s.history.node(name)
			var shown *v1.Node
			if len(seen) > 0 {
				shown = seen[len(seen)-1].node
			}
			if (node == nil) != (shown == nil) || (node != nil && node.ResourceVersion != shown.ResourceVersion) {
				s.fail(name, "a replica reads on: %s was not shown the final state", r.name)
			}
		}
		s.checkPoliciesShown(r)
		for uid := range s.history.pods {
			pod := s.history.pod(uid)
			if pod == nil || pod.Spec.NodeName == "" {
				continue
			}
			if shown := r.view.pods[nameOf(pod)]; shown == nil || shown.ResourceVersion != pod.ResourceVersion {
				s.fail(pod.Name, "a replica reads on: %s was not shown the final state", r.name)
			}
		}
	}
}

// checkPoliciesShown says which policies a replica has not been shown as they are in the end.
func (s *sim) checkPoliciesShown(r *replica) {
	if !s.plan.policies.on {
		return
	}
	shown := r.view.shown[policies]
	for name, policy := range s.history.policies {
		if a, known := shown[name]; !known || a.GetUID() != policy.UID || a.GetGeneration() != policy.Generation {
			s.fail("policy-"+name.Name, "a replica reads on: %s was not shown the final state of a policy", r.name)
		}
	}
	if len(shown) > len(s.history.policies) || len(r.view.rulings) == 0 {
		s.fail(r.name, "a replica reads on: %s was not shown that policies are gone, or that there are none", r.name)
	}
}
