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

package taintstart

import "time"

// maxAbsence is the longest absence of both not-ready taints that a not-ready period spans.
//
// A node lifecycle controller that starts removes both taints from every node and puts them back on nodes that are not
// ready, usually within a second. A longer absence has another cause: if all nodes of a zone are not ready, for example,
// the node lifecycle controller removes the taints so that no pod is evicted, and countdowns begin again when it puts them
// back.
const maxAbsence = time.Minute

// period is a not-ready period of a node.
type period struct {
	start Start
	// on are the not-ready taints by key: those of the last version, or of the last one before an absence of both.
	on map[string]taintState
	// absent is true during an absence of both. lastOn is an API time at which they were still on.
	absent bool
	lastOn time.Time
	// mayHaveSwapped is true if one may have replaced the other after lastOn.
	mayHaveSwapped bool
}

// periods returns the not-ready periods after the transition.
func (t transition) periods(unchanged bool) map[string]*period {
	var periods map[string]*period
	add := func(value string) {
		if _, done := periods[value]; done {
			return
		}
		if p := t.period(value, unchanged); p != nil {
			if periods == nil {
				periods = map[string]*period{}
			}
			periods[value] = p
		}
	}
	for _, taint := range t.o.Taints {
		if isNotReadyTaint(taint.Key) {
			add(taint.Value)
		}
	}
	for value := range t.before.periods {
		add(value)
	}
	return periods
}

// period returns the not-ready period of a taint value after the transition, or nil.
func (t transition) period(value string, unchanged bool) *period {
	var on []Taint
	for _, taint := range t.o.Taints {
		if isNotReadyTaint(taint.Key) && taint.Value == value {
			on = append(on, taint)
		}
	}
	was := t.before.periods[value]
	switch {
	case !t.continues(was, len(on) > 0, unchanged):
		return t.newPeriod(was, on)
	case len(on) == 0:
		now := *was
		if !was.absent {
			now.absent, now.lastOn = true, t.confirmed
		}
		now.mayHaveSwapped = was.mayHaveSwapped || (t.o.Gap && !unchanged)
		return &now
	default:
		return t.resumePeriod(was, on, unchanged)
	}
}

// continues reports whether a period goes on. on tells whether one of its taints is on now.
func (t transition) continues(was *period, on, unchanged bool) bool {
	switch {
	case was == nil, t.before.last.UID != t.o.UID:
		return false
	case !was.absent && on && (unchanged || !t.o.Gap):
		return true
	}
	// There is an absence, or may have been one. The node must not have been ready meanwhile.
	if t.o.NotReadySince.IsZero() || (t.o.Gap && !t.stayedNotReady()) {
		return false
	}
	since := t.confirmed
	if was.absent {
		since = was.lastOn
	}
	return !since.IsZero() && (!on || within(since, t.returnTime(since), maxAbsence))
}

// within reports whether until is at most the given time after since. It returns false if until is before since: then one
// of the two clocks was set.
func within(since, until time.Time, most time.Duration) bool {
	return !until.Before(since) && until.Sub(since) <= most
}

// stayedNotReady reports whether the Ready condition is proven not to have been True between the two versions.
func (t transition) stayedNotReady() bool {
	before := t.before.last
	return before.NotReady == t.o.NotReady && provenUnchanged(before.NotReadySince, t.o.NotReadySince, t.confirmed)
}

// returnTime returns an API time at which the taints that are on now were certainly back: when we saw them, or the last
// change of spec.taints. A change before since does not count: its clock was set.
func (t transition) returnTime(since time.Time) time.Time {
	seen, changed := t.clock.Latest(t.o.Seen), endOf(t.o.Changed)
	if changed.Before(since) {
		return seen
	}
	return earliest(seen, changed)
}

// newPeriod returns a new period, or nil if none of its taints is on.
func (t transition) newPeriod(was *period, on []Taint) *period {
	if len(on) == 0 {
		return nil
	}
	p := &period{on: map[string]taintState{}}
	for _, taint := range on {
		own := t.added(taint)
		if was != nil && !was.absent {
			// It was on before as well, so the last change in both versions may be the one that added it.
			if before, present := was.on[taint.Key]; present {
				own = t.addedAfter(taint, before.before())
			}
		}
		p.on[taint.Key] = own
		p.start = p.start.merge(own.start)
	}
	return p
}

// resumePeriod returns the period with the taints that are on now.
func (t transition) resumePeriod(was *period, on []Taint, unchanged bool) *period {
	p := &period{start: was.start.merge(seenAt(t.o.Seen, t.clock)), on: make(map[string]taintState, len(on))}
	for _, taint := range on {
		own, present := was.on[taint.Key]
		if was.absent {
			off := t.absence()
			own.absent, own.changed = latest(own.absent, latest(was.lastOn, off.until)), latest(own.changed, off.changed)
		}
		switch {
		case !present:
			// It replaced the other one.
			own = t.added(taint)
		case (unchanged || !t.o.Gap) && !was.mayHaveSwapped:
			own = t.carryOver(taint, own)
		default:
			// They may have been swapped meanwhile. In doubt the later time counts.
			own = t.addedAfter(taint, own.before())
		}
		p.on[taint.Key] = own
		p.start = p.start.merge(own.start) // evidence for a taint is evidence for its period
	}
	return p
}

// expired reports whether the absence is too long, given a time at which the taints were still off.
func (p *period) expired(stillOff time.Time) bool {
	return p.absent && stillOff.Sub(p.lastOn) > maxAbsence
}
