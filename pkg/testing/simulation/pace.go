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
)

// checkPace looks, in a run where nothing fails, whether nodes begin to evict faster than the pace, and whether one that does not lead lets any.
func (r *replica) checkPace(c *call, name string) {
	s, plan := r.sim, r.sim.plan.policies
	if !plan.paced || !s.plan.calm || r.evicting[name] {
		return
	}
	r.evicting[name] = true
	if r.leadsSince.IsZero() {
		s.fail(c.name, "nodes begin one after another: %s does not lead, and begins with %s", r.name, name)
		return
	}
	if seen, _ := r.view.lastSeen(name); r.mayHaveWaited(seen) {
		return
	}
	r.nodes = append(r.nodes, c.began)
	every := time.Minute / time.Duration(plan.perMinute)
	for i, at := range r.nodes {
		n := len(r.nodes) - i
		since, free := at, plan.burst
		if i == 0 {
			since, free = r.leadsSince, 0
		}
		if at.Before(r.leadsSince) {
			continue
		}
		if allowed := free + int((c.began.Sub(since)+stable)/every); n > allowed && n > free {
			s.fail(c.name, "nodes begin one after another: %s begins with %s, the %d. since %s, and %d may", r.name, name, n, s.clock(since), allowed)
		}
	}
}

// mayHaveWaited says whether a pod of a node may have waited for a budget since that has taints. Then the node may have begun before anything was sent.
func (r *replica) mayHaveWaited(seen sighting) bool {
	h := r.sim.history
	for i := h.index[seen.node.ResourceVersion]; i >= 0; i-- {
		if node := h.nodes[seen.node.Name][i].node; node == nil || len(node.Spec.Taints) == 0 {
			return false
		}
		for _, versions := range h.pods {
			for _, version := range versions {
				if version.pod != nil && version.pod.Spec.NodeName == seen.node.Name && h.everCovered(version.pod) && r.everEvicted(version.pod, i) {
					return true
				}
			}
		}
	}
	return false
}

// everEvicted says whether a pod may have been one to evict by now, by a version of its node and any policies that this replica was shown.
func (r *replica) everEvicted(pod *v1.Pod, node int) bool {
	return slices.ContainsFunc(r.view.rulings, func(by ruling) bool {
		return slices.ContainsFunc(by.doubts(), func(doubting bool) bool {
			return !r.sim.history.earliest(pod, node, r.view, by, doubting).ever(evicted).After(time.Now())
		})
	})
}

// endEvicting notes that a node was shown. If it was without taints before, for longer than a moment, evictions on it begin anew.
func (r *replica) endEvicting(node *v1.Node, gone bool) {
	since, bare := r.bare[node.Name]
	switch isBare := gone || len(braked(node)) == 0; {
	case isBare && !bare:
		r.bare[node.Name] = time.Now()
	case !isBare && bare:
		if delete(r.bare, node.Name); time.Since(since) > settling {
			delete(r.evicting, node.Name)
		}
	}
}
