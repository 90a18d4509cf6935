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

package policy

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// Role is what a policy does with a pod.
type Role int

const (
	// Scheduled says that the pod has a deadline by the policy, or is due by it.
	Scheduled Role = iota
	// Blocked says that the pod is due by the policy, and that a disruption budget does not allow its eviction.
	Blocked
	// Previewed says that the pod would have a deadline, but for the policy's mode Preview.
	Previewed
	// Kept says that the pod would have a deadline, but for the policy's mode Keep.
	Kept

	roles
)

// Counts says how many pods a policy does something with, and on how many nodes.
type Counts struct {
	Pods  [roles]int
	Nodes int
}

// Gauge shows a number.
type Gauge interface{ Set(float64) }

// Gauges show what a tally counts of all policies together.
type Gauges struct {
	// Pods shows how many pods policies of a mode do something with. It has a gauge for each of Modes. What a dry run holds back counts for
	// ModePreview.
	Pods map[deadline.Mode]Gauge
	// Blocked shows how many pods disruption budgets hold.
	Blocked Gauge
}

// Modes returns all modes.
func Modes() []deadline.Mode {
	return []deadline.Mode{deadline.ModeDelete, deadline.ModeEvict, deadline.ModePreview, deadline.ModeKeep}
}

// Tally counts pods by policy and role; what a dry run holds back counts for the policy "". It remembers the pods that a policy has to do
// with, and no others. It is safe for concurrent use.
type Tally struct {
	gauges Gauges

	lock   sync.Mutex
	pods   map[types.UID]tallied
	counts map[string]*count
	// byMode and blocked are what the gauges show.
	byMode  map[deadline.Mode]int
	blocked int
}

// tallied is what is counted of a pod.
type tallied struct {
	node  string
	roles []policyRole
}

type policyRole struct {
	policy string
	role   Role
	// mode is that of the policy, or what holds the pod.
	mode deadline.Mode
}

type count struct {
	pods  [roles]int
	nodes map[string]int // pods by node
}

// NewTally returns an empty tally, and has the gauges show that.
func NewTally(gauges Gauges) *Tally {
	t := &Tally{gauges: gauges, pods: map[types.UID]tallied{}, counts: map[string]*count{}, byMode: map[deadline.Mode]int{}}
	t.show()
	return t
}

// Set counts a pod by the last decision about it, as of a time, in place of what was counted before. A decision that no policy has to do
// with then removes the pod. Set reports whether anything changed. It has to be called again at the time that decision.NextPolicy returns.
func (t *Tally) Set(uid types.UID, node string, decision deadline.Decision, at time.Time) (changed bool) {
	decision = decision.AsOf(at)
	var now []policyRole
	add := func(policy *deadline.Policy, role Role, mode deadline.Mode) {
		one := policyRole{role: role, mode: mode}
		if policy != nil {
			one.policy = policy.Name
		}
		if !slices.Contains(now, one) {
			now = append(now, one)
		}
	}
	if decision.Policy != nil {
		add(decision.Policy, Scheduled, decision.Policy.Mode)
	}
	for i := range decision.Held {
		if held := &decision.Held[i]; held.Mode == deadline.ModePreview {
			add(held.Policy, Previewed, held.Mode)
		} else {
			add(held.Policy, Kept, held.Mode)
		}
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	blocked := slices.ContainsFunc(t.pods[uid].roles, func(r policyRole) bool { return r.role == Blocked })
	if blocked && decision.Policy != nil && decision.Mode == deadline.ModeEvict && decision.Due(at) {
		add(decision.Policy, Blocked, decision.Policy.Mode) // until an attempt tells
	}
	return t.set(uid, tallied{node, now})
}

// SetBlocked counts that the eviction of a pod by a policy is blocked, or that none is if the policy is nil, or is not the one by which the pod is
// scheduled: while the brake is on, a pod may go for some taints alone, by another policy, and what holds it is the brake.
func (t *Tally) SetBlocked(uid types.UID, by *deadline.Policy) {
	t.lock.Lock()
	defer t.lock.Unlock()
	pod := t.pods[uid]
	i := slices.IndexFunc(pod.roles, func(r policyRole) bool { return r.role == Scheduled })
	if i < 0 {
		return
	}
	now := slices.DeleteFunc(slices.Clone(pod.roles), func(r policyRole) bool { return r.role == Blocked })
	if by != nil && by.Name == pod.roles[i].policy {
		now = append(now, policyRole{by.Name, Blocked, by.Mode})
	}
	t.set(uid, tallied{pod.node, now})
}

// Has reports whether a policy has one of these roles for a pod.
func (t *Tally) Has(uid types.UID, roles ...Role) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	return slices.ContainsFunc(t.pods[uid].roles, func(r policyRole) bool { return slices.Contains(roles, r.role) })
}

// Remove removes a pod.
func (t *Tally) Remove(uid types.UID) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.set(uid, tallied{})
}

// set counts a pod in place of what was counted before, and reports whether that differs.
func (t *Tally) set(uid types.UID, now tallied) (changed bool) {
	before := t.pods[uid]
	if slices.Equal(before.roles, now.roles) && (before.node == now.node || len(now.roles) == 0) {
		return false
	}
	t.count(before, -1)
	t.count(now, 1)
	t.show()
	if len(now.roles) == 0 {
		delete(t.pods, uid)
	} else {
		t.pods[uid] = now
	}
	return true
}

// count adds a pod to the counts, or takes it away. It counts once for each mode, and on its node once for each policy, whatever its roles.
func (t *Tally) count(pod tallied, n int) {
	policies := map[string]*count{}
	for i, r := range pod.roles {
		if !slices.ContainsFunc(pod.roles[:i], func(before policyRole) bool { return before.mode == r.mode }) {
			t.byMode[r.mode] += n
		}
		if r.role == Blocked {
			t.blocked += n
		}
		if t.counts[r.policy] == nil {
			t.counts[r.policy] = &count{nodes: map[string]int{}}
		}
		policies[r.policy] = t.counts[r.policy]
		policies[r.policy].pods[r.role] += n
	}
	for name, c := range policies {
		if c.nodes[pod.node] += n; c.nodes[pod.node] == 0 {
			delete(c.nodes, pod.node)
		}
		if len(c.nodes) == 0 {
			delete(t.counts, name)
		}
	}
}

// show has the gauges show what is counted.
func (t *Tally) show() {
	for mode, gauge := range t.gauges.Pods {
		gauge.Set(float64(t.byMode[mode]))
	}
	t.gauges.Blocked.Set(float64(t.blocked))
}

// Counts returns the counts of a policy.
func (t *Tally) Counts(policy string) Counts {
	t.lock.Lock()
	defer t.lock.Unlock()
	c := t.counts[policy]
	if c == nil {
		return Counts{}
	}
	return Counts{Pods: c.pods, Nodes: len(c.nodes)}
}
