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
	"k8s.io/apimachinery/pkg/types"
)

const (
	// settling is how long after a change was shown a replica has counted it, for the eviction brake.
	settling = 100 * time.Millisecond
	// stable is how long nothing may have changed for it to be certain by what an attempt began that sends a call now, in a run where nothing fails.
	stable = 1500 * time.Millisecond
)

// restraint is what a replica has done that the brake, the pace and the budgets restrain.
type restraint struct {
	// done are its evictions for taints that the brake does not ignore, one for each node and set of taints.
	done map[string][]begun
	// brakeUntil is until when its brake is certainly on.
	brakeUntil time.Time
	// nodes are when nodes began to evict, evicting are those that have begun and not ended since, and bare is since when one was shown without taints.
	nodes    []time.Time
	evicting map[string]bool
	bare     map[string]time.Time
	// inFlight counts the evictions under way by budget.
	inFlight map[types.NamespacedName]int
}

// begun is an eviction on a node that had these taints.
type begun struct {
	at     time.Time
	taints []v1.Taint
}

func newRestraint() restraint {
	return restraint{done: map[string][]begun{}, evicting: map[string]bool{}, bare: map[string]time.Time{}, inFlight: map[types.NamespacedName]int{}}
}

// isIgnored says whether the brake ignores a taint.
func isIgnored(taint v1.Taint) bool {
	return isNotReadyTaint(taint) || taint.Key == v1.TaintNodeOutOfService
}

// braked are the taints of a node that the brake does not ignore.
func braked(node *v1.Node) []v1.Taint {
	return slices.DeleteFunc(slices.Clone(node.Spec.Taints), isIgnored)
}

// lastSeen is the last sighting of a node, or false where it is known not to exist.
func (v *view) lastSeen(name string) (sighting, bool) {
	seen := v.nodes[name]
	if len(seen) == 0 || seen[len(seen)-1].node == nil {
		return sighting{}, false
	}
	return seen[len(seen)-1], true
}

// isYoung says whether a taint of a sighting is certainly younger than the window.
func (r *replica) isYoung(s sighting, taint v1.Taint) bool {
	t, i := r.truthOf(s)
	return time.Since(t.start(i, taint)) < r.sim.plan.policies.window-time.Second
}

// wasOn says whether a taint of a sighting has been on since a moment in truth, whatever was shown in between.
func (r *replica) wasOn(s sighting, taint v1.Taint, at time.Time) bool {
	t, i := r.truthOf(s)
	return !t.versions[t.began(i, taint)].at.After(at)
}

// truthOf are the versions of a node up to that of a sighting, and which one that is.
func (r *replica) truthOf(s sighting) (truth, int) {
	i := r.sim.history.index[s.node.ResourceVersion]
	return truth{r.sim.history, r.sim.history.nodes[s.node.Name][:i+1], r.view}, i
}

// hasBegun says whether a node certainly counts because this replica has evicted from it: for taints that have been on since, and are all young.
func (r *replica) hasBegun(name string) bool {
	s, exists := r.view.lastSeen(name)
	return exists && slices.ContainsFunc(r.done[name], func(b begun) bool {
		return !slices.ContainsFunc(b.taints, func(taint v1.Taint) bool {
			return !carries(s.node, taint) || !r.isYoung(s, taint) || !r.wasOn(s, taint, b.at) || slices.ContainsFunc(r.view.nodes[name], func(s sighting) bool {
				return !s.at.Before(b.at) && !carries(s.node, taint)
			})
		})
	})
}

// hasDue says whether a node certainly counts because pods are due that this replica was shown: for young taints, or because of a policy. Which taint
// counts of several is not said, so all of them have to be young, and none one that is ignored.
func (r *replica) hasDue(name string) bool {
	s, exists := r.view.lastSeen(name)
	now := time.Now().Add(-settling)
	if !exists || s.at.After(now) || now.Sub(r.view.ruling().at) < ruled || slices.ContainsFunc(s.node.Spec.Taints, isIgnored) {
		return false
	}
	young := !slices.ContainsFunc(s.node.Spec.Taints, func(taint v1.Taint) bool { return !r.isYoung(s, taint) })
	for _, pod := range r.view.pods {
		if pod.Spec.NodeName != name || r.view.podSeen[pod.UID].After(now) {
			continue
		}
		for _, taint := range s.node.Spec.Taints {
			due := true
			for _, doubting := range r.view.ruling().doubts() {
				q := r.sim.latest(r.view, pod, r.view.ruling(), doubting)
				deletes, evicts := q.byTaint(taint, now)
				_, on := q.since[taint]
				due = due && on && (deletes || evicts)
			}
			if due && (young || r.becauseOfPolicy(s, pod)) {
				return true
			}
		}
	}
	return false
}

// becauseOfPolicy says whether a pod that is due would certainly never go by the policies before the last change, which is younger than the window.
func (r *replica) becauseOfPolicy(s sighting, pod *v1.Pod) bool {
	n := len(r.view.rulings)
	if n < 2 {
		return false
	}
	before, now := r.view.rulings[n-2], r.view.rulings[n-1]
	same := slices.EqualFunc(before.rules, now.rules, func(a, b rule) bool { return a.uid == b.uid && a.inForce == b.inForce })
	if same || now.at.Sub(before.at) < ruled || time.Since(now.at) >= r.sim.plan.policies.window-time.Second {
		return false
	}
	before.labels = now.labels
	i := r.sim.history.index[s.node.ResourceVersion]
	for _, doubting := range before.doubts() {
		if r.sim.history.earliest(pod, i, r.view, before, doubting).ever(either).Before(never()) {
			return false
		}
	}
	return true
}

// countBrake notes until when the brake of a replica is certainly on: for its cooldown after more nodes counted than the limit.
func (r *replica) countBrake() {
	plan := r.sim.plan.policies
	if !plan.brake || r.ended || !r.view.synced(time.Now().Add(-starting-ruled)) {
		return
	}
	counting := 0
	for name := range r.view.nodes {
		if r.hasBegun(name) || r.hasDue(name) {
			counting++
		}
	}
	if counting > plan.limit {
		r.brakeUntil = time.Now().Add(plan.cooldown - settling)
	}
}

// checkRestraint looks whether a pod may go that was decided on when a call began: not while the brake is on, nor faster than the pace, but for
// taints that are ignored.
func (r *replica) checkRestraint(c *call, pod *v1.Pod, w way) {
	s, plan := r.sim, r.sim.plan.policies
	if !plan.brake && !plan.paced || r.goesIgnored(c, pod, w) {
		return
	}
	seen, exists := r.view.lastSeen(pod.Spec.NodeName)
	if !exists || seen.at.After(c.began) {
		return // what it was decided on is not known
	}
	name, now := pod.Spec.NodeName, time.Now()
	if plan.brake && c.began.Before(r.brakeUntil) {
		s.fail(c.name, "a pod is not evicted while too many nodes evict: %s evicts %s, and its brake is on until %s at least", r.name, pod.UID, s.clock(r.brakeUntil))
	}
	r.checkPace(c, name)
	r.done[name] = append(r.done[name], begun{c.began, braked(seen.node)})
	if n := len(r.done[name]); n > 3 {
		r.done[name] = r.done[name][n-3:]
	}
	if !plan.brake || now.Sub(c.began) >= settling {
		return
	}
	counting := 0
	for name := range r.done {
		if r.hasBegun(name) {
			counting++
		}
	}
	if counting > plan.limit {
		s.fail(c.name, "evictions begin on no more nodes than the limit: %s evicts %s, and so on %d nodes", r.name, pod.UID, counting)
	}
}

// goesIgnored says whether the brake has no say in a call, because the pod may go for taints that are ignored.
func (r *replica) goesIgnored(c *call, pod *v1.Pod, w way) bool {
	versions := r.sim.history.nodes[pod.Spec.NodeName]
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].node == nil {
			continue
		}
		for _, by := range r.view.rulingsAt(c.began) {
			for _, doubting := range by.doubts() {
				q := r.sim.history.earliest(pod, i, r.view, by, doubting).of(isIgnored)
				if !q.within(w, time.Time{}, time.Now()).Equal(never()) {
					return true
				}
			}
		}
		if versions[i].at.Before(c.began.Add(-stable)) {
			break
		}
	}
	return false
}

// underWay notes that a call is under way until what it returns is called, and looks, in a run where nothing fails, whether another eviction of its
// budget is.
func (r *replica) underWay(c *call) (over func()) {
	s := r.sim
	s.lock.Lock()
	defer s.lock.Unlock()
	if c.resource != evictions || !s.plan.calm || c.known == nil {
		return func() {}
	}
	budget, certain := r.budgetOf(c.known)
	if !certain {
		return func() {}
	}
	if r.inFlight[budget]++; r.inFlight[budget] > 1 {
		s.fail(c.name, "a budget has one eviction in flight: %s has %d of %s", r.name, r.inFlight[budget], budget)
	}
	return func() {
		s.lock.Lock()
		defer s.lock.Unlock()
		r.inFlight[budget]--
	}
}

// budgetOf is the one budget of which a replica has known for a while that it covers a pod, which was to be evicted and not deleted all that while.
func (r *replica) budgetOf(pod *v1.Pod) (budget types.NamespacedName, certain bool) {
	s, before := r.sim, time.Now().Add(-stable)
	if pod.Status.Phase != v1.PodRunning || r.view.ruling().at.After(before) {
		return budget, false
	}
	covering := 0
	for name, a := range r.view.shown[budgets] {
		if covers(s.history.budgets[name], pod) {
			budget, covering = name, covering+1
			certain = a.at.Before(before)
		}
	}
	for _, version := range s.history.pods[pod.UID] {
		if version.at.After(before) && version.pod != nil && version.pod.Labels["app"] != pod.Labels["app"] {
			return budget, false
		}
	}
	versions := s.history.nodes[pod.Spec.NodeName]
	for i := len(versions) - 1; i >= 0 && certain; i-- {
		for _, doubting := range r.view.ruling().doubts() {
			q := s.history.earliest(pod, i, r.view, r.view.ruling(), doubting)
			certain = certain && q.within(deleted, before, time.Now()).Equal(never())
		}
		if versions[i].at.Before(before) {
			break
		}
	}
	return budget, certain && covering == 1 && time.Since(s.history.budgetsChanged) > stable
}
