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
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// counting is how long after the last change of anything the status of policies is as it is to be, while nothing is wrong.
const counting = 3 * time.Second

// role is what a policy does with a pod.
type role int

const (
	scheduledRole role = iota
	blockedRole
	previewRole
	keptRole
	roles
)

func (r role) String() string {
	return [...]string{"scheduledPods", "blockedPods", "previewPods", "keptPods"}[r]
}

// tally is what the status of a policy has to count: the pods that certainly have a role, and those that may have it.
type tally struct {
	certain, possible [roles]map[types.UID]string // nodes by pod
}

func newTally() *tally {
	t := &tally{}
	for r := range roles {
		t.certain[r], t.possible[r] = map[types.UID]string{}, map[types.UID]string{}
	}
	return t
}

// nodes are on how many nodes the pods of all roles are, at least and at most.
func (t *tally) nodes() (least, most int) {
	certain, possible := map[string]bool{}, map[string]bool{}
	for r := range roles {
		for _, node := range t.certain[r] {
			certain[node] = true
		}
		for _, node := range t.possible[r] {
			possible[node] = true
		}
	}
	return len(certain), len(possible)
}

// checkStatus compares the status of all policies with what they do in truth, if nothing has changed for a while.
func (s *sim) checkStatus() {
	s.lock.Lock()
	defer s.lock.Unlock()
	now := time.Now()
	if !s.plan.policies.on || s.plan.policies.absent || now.Sub(s.history.changed) < counting {
		return
	}
	leader := slices.IndexFunc(s.replicas, func(r *replica) bool { return !r.ended && !r.leadsSince.IsZero() && now.Sub(r.leadsSince) > counting })
	if leader < 0 || !s.replicas[leader].view.synced(now.Add(-counting)) || now.Sub(s.replicas[leader].view.ruling().at) < counting {
		return
	}
	r := s.replicas[leader]
	tallies := r.tallies(now)
	for name, policy := range s.history.policies {
		if slices.ContainsFunc(r.view.ruling().rules, func(rule rule) bool { return rule.uid == policy.UID }) { // otherwise it may not be read
			s.compareStatus("policy-"+name.Name, policy, tallies[policy.UID])
		}
	}
}

// compareStatus compares the status of a policy with what it does.
func (s *sim) compareStatus(about string, policy *v1alpha1.TaintEvictionPolicy, t *tally) {
	wrong := func(what string, got any, least, most any) {
		s.fail(about, "the status of a policy says what it does: %s is %v, and it is between %v and %v", what, got, least, most)
	}
	if t == nil {
		t = newTally()
	}
	status := policy.Status
	if status.ObservedGeneration != policy.Generation {
		wrong("observedGeneration", status.ObservedGeneration, policy.Generation, policy.Generation)
	}
	counts := [roles]*int32{status.ScheduledPods, status.BlockedPods, status.PreviewPods, status.KeptPods}
	for r := range roles {
		least, most := len(t.certain[r]), len(t.possible[r])
		if got := int(ptr.Deref(counts[r], -1)); got < least || got > most {
			wrong(r.String(), got, least, most)
		}
	}
	least, most := t.nodes()
	if got := int(ptr.Deref(status.Nodes, -1)); got < least || got > most {
		wrong("nodes", got, least, most)
	}
	for kind, want := range map[string]bool{
		v1alpha1.ConditionAccepted: isValid(policy), v1alpha1.ConditionEvictionInProgress: ptr.Deref(status.ScheduledPods, 0) > 0,
	} {
		i := slices.IndexFunc(status.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
		if i < 0 || (status.Conditions[i].Status == metav1.ConditionTrue) != want {
			wrong("condition "+kind, status.Conditions, want, want)
		}
	}
}

// tallies are what policies do with all pods, by the UID of the policy, in truth and by the policies that a replica was shown.
func (r *replica) tallies(now time.Time) map[types.UID]*tally {
	all := map[types.UID]*tally{}
	for uid := range r.sim.history.pods {
		pod := r.sim.history.pod(uid)
		if pod == nil || leftAlone(pod) {
			continue
		}
		certain, possible := r.rolesOf(pod, now)
		for what := range possible {
			if all[what.policy] == nil {
				all[what.policy] = newTally()
			}
			all[what.policy].possible[what.role][uid] = pod.Spec.NodeName
			if certain[what] {
				all[what.policy].certain[what.role][uid] = pod.Spec.NodeName
			}
		}
	}
	return all
}

// policyRole is what a policy does with a pod.
type policyRole struct {
	policy types.UID
	role   role
}

// rolesOf are what policies certainly do with a pod, and what they may do, whatever the taints of its node are dated as, within a while before a moment.
func (r *replica) rolesOf(pod *v1.Pod, now time.Time) (certain, possible map[policyRole]bool) {
	possible = map[policyRole]bool{}
	by := r.view.ruling()
	for _, doubting := range by.doubts() {
		versions := r.sim.history.nodes[pod.Spec.NodeName]
		for _, q := range []situation{r.sim.history.earliest(pod, len(versions)-1, r.view, by, doubting), r.sim.latest(r.view, pod, by, doubting)} {
			for _, at := range []time.Time{now.Add(-counting), now} {
				found := q.roles(at)
				r.block(found, pod, q, at)
				if certain == nil {
					certain = found
				}
				for what := range certain {
					if !found[what] {
						certain[what] = false
					}
				}
				for what := range found {
					possible[what] = true
				}
			}
		}
	}
	return certain, possible
}

// roles are what policies do with a pod at a moment: by which it goes, then or next, and which hold it back. Where several have it go at the same
// time, each of them may be the one that counts: it is marked as false.
func (s situation) roles(now time.Time) map[policyRole]bool {
	found := map[policyRole]bool{}
	for taint := range s.since {
		for _, what := range s.holds(taint, now) {
			found[what] = true
		}
	}
	due := last(s.dueAt(either, now), now)
	if due.Equal(never()) {
		return found
	}
	w := deleted
	if !s.goes(deleted, due) {
		w = evicted
	}
	by := s.policies(w, due)
	for _, r := range by {
		found[policyRole{r.uid, scheduledRole}] = len(by) == 1
	}
	return found
}

// policies are those by which taints have a pod go in a way at a moment, each once. One without a UID stands for none.
func (s situation) policies(w way, t time.Time) (all []rule) {
	for taint := range s.since {
		r, deletes, evicts := s.ruled(taint, t)
		goes := w != evicted && deletes || w != deleted && evicts
		if goes && !slices.ContainsFunc(all, func(other rule) bool { return other.uid == r.uid }) {
			all = append(all, r)
		}
	}
	return all
}

// holds are the policies that hold a pod back from going because of a taint, at a moment or later: each that applies then, until it expires.
func (s situation) holds(taint v1.Taint, now time.Time) (all []policyRole) {
	from := time.Time{}
	for _, r := range s.by.rules {
		keeps, matches := s.matches(r, taint)
		if !matches || !from.Before(s.expires(r)) {
			continue
		}
		begins := s.begins(r, taint, from)
		if ends := s.expires(r); keeps && now.Before(ends) && begins.Before(ends) && begins.Before(never()) {
			what := policyRole{r.uid, keptRole}
			if r.Mode == v1alpha1.ModePreview && !s.unknown(r) {
				what.role = previewRole
			}
			all = append(all, what)
		}
		if from = last(from, s.expires(r)); from.Equal(never()) {
			break
		}
	}
	return all
}

// unknown says whether a policy selects by labels of a namespace that are not known.
func (s situation) unknown(r rule) bool {
	_, known := s.by.labels[s.pod.Namespace]
	return r.NamespaceSelector != nil && !known
}

// block adds which evictions budgets hold: certainly those of pods of one budget that allows none, and that nothing else holds; maybe all that a
// budget covers.
func (r *replica) block(found map[policyRole]bool, pod *v1.Pod, q situation, at time.Time) {
	if !q.goes(evicted, at) || q.goes(deleted, at) {
		return
	}
	var covering []*policyv1.PodDisruptionBudget
	for _, budget := range r.sim.history.budgets {
		if covers(budget, pod) {
			covering = append(covering, budget)
		}
	}
	if len(covering) == 0 {
		return
	}
	plan := r.sim.plan.policies
	certain := len(covering) == 1 && isReadyPod(pod) && !plan.brake && !plan.paced && covering[0].Status.ObservedGeneration == covering[0].Generation &&
		covering[0].Status.DisruptionsAllowed == 0
	for what, only := range found {
		if what.role == scheduledRole {
			found[policyRole{what.policy, blockedRole}] = certain && only
		}
	}
}
