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

package brake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status describes the brake and the pace.
type Status struct {
	// Enabled is whether the brake can go on, On whether it is on, and Since since when.
	Enabled, On bool
	Since       time.Time
	// Counting is how many nodes count, Limit how many may, and Total how many nodes there are.
	Counting, Limit, Total int
	// Taint is the taint that most of those nodes count for, as kubectl writes it, and OfTaint how many.
	Taint   string
	OfTaint int
	// Falling is whether no more nodes count than may, so that only the cooldown is left.
	Falling bool
	// ReleaseAt is when the brake goes off at the earliest, if nothing is told until then. It is zero while the brake is off.
	ReleaseAt time.Time
	// Window and Cooldown are those of the configuration.
	Window, Cooldown time.Duration
	// Waiting is how many nodes wait for their turn to begin, and NextNode when the first of them may; zero if this replica does not
	// lead, or while the brake is on.
	Waiting  int
	NextNode time.Time
}

// Status returns the state now.
func (b *Brake) Status() Status {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	s := Status{
		Enabled: b.holds, On: !b.since.IsZero(), Since: b.since, Counting: b.tally.counting, Total: b.total,
		Limit: b.config.limit(b.total), Falling: !b.fell.IsZero(), Window: b.config.Window, Cooldown: b.config.Cooldown,
	}
	s.Taint, s.OfTaint = b.tally.mostFor(now)
	if s.On {
		s.ReleaseAt = b.releaseAt(now, s.Counting-s.Limit)
	}
	if b.pace != nil {
		s.Waiting = b.pace.waiting.Len()
		if !s.On {
			s.NextNode = b.pace.next(now)
		}
	}
	b.notify(now)
	return s
}

// mostFor returns the taint that most nodes count for at a time, and how many those are.
func (t *tally) mostFor(at time.Time) (taint string, nodes int) {
	numbers := map[string]int{}
	for _, n := range t.nodes {
		for i := range n.causes {
			if n.causes[i].countsAt(at, t.window) {
				numbers[n.causes[i].taint.String()]++
			}
		}
	}
	for name, number := range numbers {
		if number > nodes || number == nodes && name < taint {
			taint, nodes = name, number
		}
	}
	return taint, nodes
}

// releaseAt returns when the brake goes off, if so many nodes have to cease to count for that.
func (b *Brake) releaseAt(now time.Time, tooMany int) time.Time {
	if tooMany <= 0 {
		return b.fell.Add(b.config.Cooldown)
	}
	var ends []time.Time
	for _, n := range b.tally.nodes {
		if n.counts {
			ends = append(ends, n.endsAfter(now, b.config.Window))
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return ends[tooMany-1].Add(b.config.Cooldown)
}

// Text says what the brake does, and what would release it. It is empty where the brake is switched off. show converts times of the
// brake's clock to those to be shown, such as serverclock.Clock.At.
func (s Status) Text(show func(time.Time) time.Time) string {
	at := func(t time.Time) string { return show(t).UTC().Format(time.RFC3339) }
	if !s.Enabled {
		return ""
	}
	var b strings.Builder
	if s.On {
		fmt.Fprintf(&b, "Holding evictions since %s: ", at(s.Since))
	}
	fmt.Fprintf(&b, "%d of %d nodes have pods due for a taint younger than %s or because of a policy; %d may", s.Counting, s.Total, s.Window, s.Limit)
	if s.Taint != "" {
		fmt.Fprintf(&b, "; most for %s (%d)", s.Taint, s.OfTaint)
	}
	switch {
	case !s.On:
	case s.Falling:
		fmt.Fprintf(&b, ". Evictions go on at %s if it stays so for %s", at(s.ReleaseAt), s.Cooldown)
	default:
		fmt.Fprintf(&b, ". Evictions go on %s after it is %d or fewer: remove the taint from %d, or wait until %s",
			s.Cooldown, s.Limit, s.Counting-s.Limit, at(s.ReleaseAt))
	}
	return b.String()
}

// State is what the leader stores for the next process. Its times are local: whoever stores it converts them.
type State struct {
	// On is whether the brake is on, and Since since when.
	On    bool
	Since time.Time
	// Fell is since when no more nodes count than may; zero if more do.
	Fell time.Time
	// PolicyChange is the latest time at which a policy changed, was deleted or expired so that pods became due; zero if none did.
	PolicyChange time.Time
}

// State returns what must not be forgotten.
func (b *Brake) State() State {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	b.notify(now)
	for _, n := range b.tally.nodes {
		for i := range n.causes {
			if changed := n.causes[i].changed; !changed.After(now) { // one to come is not forgotten: the policy is still there
				b.policyChange = later(b.policyChange, changed)
			}
		}
	}
	return State{On: !b.since.IsZero(), Since: b.since, Fell: b.fell, PolicyChange: b.policyChange}
}

// Restore takes the state that the process before this one stored. The caller does that first, then tells all nodes, and asks only then.
// It makes nothing go earlier: a brake that was on stays on for the cooldown at least, and pods that are due already count as those that a
// policy made due.
func (b *Brake) Restore(state State) {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	b.restoredChange = state.PolicyChange
	b.policyChange = later(b.policyChange, state.PolicyChange)
	over := !state.Fell.IsZero() && !now.Before(state.Fell.Add(b.config.Cooldown))
	if state.On && !over && b.holds && b.since.IsZero() {
		b.pending.WentOn = true
		b.since = cmp.Or(state.Since, now)
		b.fell = cmp.Or(state.Fell, now)
	}
	b.judge(now)
	b.notify(now)
}
