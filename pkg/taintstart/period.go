package taintstart

import "time"

// maxAbsence is for how long both node-condition taints may be off while a not-ready period goes on.
//
// A node lifecycle controller that starts takes both taints off every node, and puts them back on those that are not ready,
// usually within a second. An absence that is longer has another reason, a zone in which all nodes are not ready for one: then
// the node lifecycle controller takes them off so that nobody is evicted, and the count begins again when it puts them back.
const maxAbsence = time.Minute

// period is a not-ready period of a node.
type period struct {
	start Start
	// on are the node-condition taints that were on last, by key: those of the last version, or of the last one before an
	// absence of both.
	on map[string]taintState
	// absent says that both are off. They were on at the time lastOn of the API server's clock.
	absent bool
	lastOn time.Time
	// mayHaveSwapped says that they may have taken turns after that, before both went off or while they were.
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

// period returns the not-ready period of a value after the transition, or nil where there is none.
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

// continues reports whether a period goes on, with its taints on or off now.
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

// within reports whether a time is at most so long after another one, and not before it: then one of them is of a clock that has
// been set.
func within(since, until time.Time, most time.Duration) bool {
	return !until.Before(since) && until.Sub(since) <= most
}

// stayedNotReady reports whether the Ready condition is proven not to have been True between the two versions.
func (t transition) stayedNotReady() bool {
	before := t.before.last
	return before.NotReady == t.o.NotReady && provenUnchanged(before.NotReadySince, t.o.NotReadySince, t.confirmed)
}

// returned returns a time of the API server's clock at which the taints that are on now were back for sure: when we saw them, or
// when spec.taints was last changed, at which they were there. A change that was over before since is of a clock that has been set.
func (t transition) returnTime(since time.Time) time.Time {
	seen, changed := t.clock.Latest(t.o.Seen), endOf(t.o.Changed)
	if changed.Before(since) {
		return seen
	}
	return earliest(seen, changed)
}

// begin returns a new period, or nil where none of its taints is on.
func (t transition) newPeriod(was *period, on []Taint) *period {
	if len(on) == 0 {
		return nil
	}
	p := &period{on: map[string]taintState{}}
	for _, taint := range on {
		own := t.added(taint)
		if was != nil && !was.absent {
			// It was on before as well, so the change of the taints that both versions show may be the one that brought it.
			if before, present := was.on[taint.Key]; present {
				own = t.addedAfter(taint, before.before())
			}
		}
		p.on[taint.Key] = own
		p.start = p.start.merge(own.start)
	}
	return p
}

// resume returns the period with the taints that are on now.
func (t transition) resumePeriod(was *period, on []Taint, unchanged bool) *period {
	p := &period{start: was.start.merge(seenAt(t.o.Seen, t.clock)), on: make(map[string]taintState, len(on))}
	for _, taint := range on {
		own, present := was.on[taint.Key]
		if was.absent {
			off := t.absence() // it was off meanwhile
			own.absent, own.changed = latest(own.absent, latest(was.lastOn, off.until)), latest(own.changed, off.changed)
		}
		switch {
		case !present:
			// It came on in place of the other one.
			own = t.added(taint)
		case (unchanged || !t.o.Gap) && !was.mayHaveSwapped:
			own = t.carryOver(taint, own)
		default:
			// They may have taken turns meanwhile: in doubt, the later time.
			own = t.addedAfter(taint, own.before())
		}
		p.on[taint.Key] = own
		p.start = p.start.merge(own.start) // what dates a taint of the period dates the period
	}
	return p
}

// over reports whether the taints have been off for too long, by a time at which they still were.
func (p *period) expired(stillOff time.Time) bool {
	return p.absent && stillOff.Sub(p.lastOn) > maxAbsence
}
