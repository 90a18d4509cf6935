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
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// maxFormer is how many former sets of policies are remembered. Of more, the one that applied for the shortest time is dropped.
const maxFormer = 16

// Changes tells which pods go because a policy changed, was deleted or expired. It remembers the policies that applied a while ago, and
// decides about a pod by those, too: all else, such as the taints, is the same in both decisions. It is safe for concurrent use.
type Changes struct {
	rules  *Rules
	clock  clock.PassiveClock
	window time.Duration

	lock sync.Mutex
	// known says that now has been set: the policies that apply, by the last look.
	known bool
	now   []deadline.Policy
	// before are the policies that applied before those, the latest first. The slice is replaced, and not changed.
	before []former
	// earlier are the policies of an earlier process, as text, until it is known which apply now.
	earlier string
}

// former are policies that applied for a while.
type former struct {
	policies    []deadline.Policy
	from, until time.Time
}

// NewChanges returns changes of the policies of rules, which are forgotten after a time.
func NewChanges(rules *Rules, clock clock.PassiveClock, window time.Duration) *Changes {
	return &Changes{rules: rules, clock: clock, window: window}
}

// Restore takes the policies that applied when an earlier process ended, from [Source.Remembered]. If others apply now, that is a change from
// the first call of Follow or Because after the policies have been read. It returns an error, and takes nothing, if it cannot read the text.
func (c *Changes) Restore(text string) error {
	if text == "" || c.rules.policies == nil {
		return nil
	}
	if _, err := c.rules.policies.all().restored(text, c.rules.clock, c.clock.Now()); err != nil {
		return err
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.earlier = text
	return nil
}

// Follow takes note of the policies that apply now. A change counts from this call, or from the next one of Because.
func (c *Changes) Follow() { c.follow(c.clock.Now()) }

// follow takes note of the policies that apply at a time. It returns them, and those that applied before.
func (c *Changes) follow(at time.Time) (now []deadline.Policy, before []former) {
	c.lock.Lock()
	defer c.lock.Unlock()
	current := c.rules.current()
	synced := c.rules.policies == nil || c.rules.policies.HasSynced()
	if !synced && !c.known {
		return nil, nil // the first policies are no change
	}
	switch {
	case !c.known:
		c.known, c.now = true, current
	case sameSlice(c.now, current):
	case samePolicies(c.now, current):
		c.now = current
	default:
		c.push(former{policies: c.now, until: at})
		c.now = current
	}
	if synced {
		c.compareEarlier(at)
	}
	if n := len(c.before); n > 0 && at.Sub(c.before[n-1].until) >= c.window {
		c.before = slices.DeleteFunc(slices.Clone(c.before), func(f former) bool { return at.Sub(f.until) >= c.window })
	}
	return c.now, c.before
}

// compareEarlier takes note of a change since an earlier process.
func (c *Changes) compareEarlier(at time.Time) {
	if c.earlier == "" {
		return
	}
	earlier, err := c.rules.policies.all().restored(c.earlier, c.rules.clock, at)
	if c.earlier = ""; err == nil && !samePolicies(earlier, c.now) { // it could be read once
		c.push(former{policies: earlier, until: at})
	}
}

// sameSlice reports whether two slices are one. Policies that apply are never changed in place.
func sameSlice(a, b []deadline.Policy) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// samePolicies reports whether policies are the same but for their local times, which move with the estimate of the API server's clock.
func samePolicies(a, b []deadline.Policy) bool {
	return slices.EqualFunc(a, b, func(a, b deadline.Policy) bool {
		for _, p := range []*deadline.Policy{&a, &b} {
			p.Since, p.Expires = time.Time{}, time.Time{}
		}
		return reflect.DeepEqual(a, b)
	})
}

// push remembers policies that have ceased to apply.
func (c *Changes) push(f former) {
	if len(c.before) > 0 {
		f.from = c.before[0].until
	}
	before := append([]former{f}, c.before...)
	if len(before) > maxFormer {
		shortest := 0
		for i := range before {
			if before[i].until.Sub(before[i].from) < before[shortest].until.Sub(before[shortest].from) {
				shortest = i
			}
		}
		before = slices.Delete(before, shortest, shortest+1)
	}
	c.before = before
}

// Because returns when a policy changed, was deleted or expired so that a pod goes earlier than it would have gone, or is deleted earlier
// and not evicted. It is zero if the pod goes for other reasons, and in the future for a policy that will expire. The decision is the one
// on the pod, the labels of its node and the taints.
func (c *Changes) Because(pod *podcache.Pod, node labels.Labels, taints []deadline.Taint, decision deadline.Decision) (because time.Time) {
	if !decision.Evict {
		return time.Time{}
	}
	at := c.clock.Now()
	now, before := c.follow(at)
	for i := range before {
		if hurries(decision, c.rules.decideBy(before[i].policies, pod, node, taints), at) {
			because = before[i].until
			break
		}
	}
	for i := range now {
		expires := now[i].Expires
		if expires.IsZero() || at.Sub(expires) >= c.window || !expires.After(because) || lastStep(decision).Before(expires) {
			continue
		}
		lasting := slices.Clone(now)
		lasting[i].Expires = time.Time{}
		if hurries(decision, c.rules.decideBy(lasting, pod, node, taints), at) {
			because = expires
		}
	}
	return because
}

// lastStep returns when the last step of a decision begins. What an expiry changes begins no earlier than that expiry.
func lastStep(decision deadline.Decision) time.Time {
	if n := len(decision.Then); n > 0 {
		return decision.Then[n-1].From
	}
	return decision.Deadline
}

// hurries reports whether a pod goes earlier by one decision than by another, or is deleted earlier. Only what is to come counts.
func hurries(decision, other deadline.Decision, now time.Time) bool {
	return earlier(decision, other, now, deadline.ModeDelete, deadline.ModeEvict) || earlier(decision, other, now, deadline.ModeDelete)
}

// earlier reports whether a pod goes earlier in one of some modes.
func earlier(decision, other deadline.Decision, now time.Time, modes ...deadline.Mode) bool {
	from, goes := goesFrom(decision, now, modes)
	otherFrom, otherGoes := goesFrom(other, now, modes)
	return goes && (!otherGoes || from.Before(otherFrom))
}

// goesFrom returns the first time from now on at which a pod goes in one of some modes, and false if it never does.
func goesFrom(decision deadline.Decision, now time.Time, modes []deadline.Mode) (time.Time, bool) {
	for at, more := now, true; more; at, more = decision.NextChange(at) {
		if step, due := decision.At(at); due && slices.Contains(modes, step.Mode) {
			return at, true
		}
	}
	return time.Time{}, false
}
