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

package deadline

import (
	"slices"
	"time"
)

// AsOf returns what is left of a decision at a time: the step by which the pod goes then or next, with those after it, and what policies hold that
// have not expired. Where nothing is left, the pod is left alone as if it tolerated its taints.
func (d Decision) AsOf(now time.Time) Decision {
	left := d
	left.Held = slices.DeleteFunc(slices.Clone(d.Held), func(step Step) bool { return step.Policy != nil && step.Policy.expired(now) })
	from, goes := d.DueFrom(now)
	if goes {
		step, _ := d.At(later(from, now))
		left.Deadline, left.Reason, left.Mode = from, step.Reason, step.Mode
		left.Taint, left.Toleration, left.Policy = step.Taint, step.Toleration, step.Policy
		left.Then = slices.DeleteFunc(slices.Clone(d.Then), func(next Step) bool { return !later(from, now).Before(next.From) })
		return left
	}
	if !d.Evict && d.Reason != HeldByPolicy {
		return left
	}
	left = Decision{Reason: Tolerated, Held: left.Held}
	if len(left.Held) > 0 {
		left.Reason = HeldByPolicy
	}
	return left
}

// NextPolicy returns the first time after now at which other policies make the pod go or hold it, by AsOf, and false if there is none.
func (d Decision) NextPolicy(now time.Time) (next time.Time, changes bool) {
	earliest := func(t time.Time) {
		if now.Before(t) && (!changes || t.Before(next)) {
			next, changes = t, true
		}
	}
	by := d.Policy
	for _, step := range d.Then {
		if step.Mode == ModeKeep || step.Policy != by {
			earliest(step.From)
		}
		by = step.Policy
	}
	for _, step := range d.Held {
		if step.Policy != nil && !step.Policy.Expires.IsZero() {
			earliest(step.Policy.Expires)
		}
	}
	return next, changes
}
