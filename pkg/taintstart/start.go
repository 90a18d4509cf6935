package taintstart

import (
	"time"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// apiResolution is the unit of the API's times. They are cut to it, so the moment itself lies up to one unit later.
const apiResolution = time.Second

// Start is since when something has been so, by the evidence of two clocks. Any of it is zero where there is none; the earliest
// counts.
type Start struct {
	// Server is on the API server's clock: the end of the second that the API has stored.
	Server time.Time
	// Seen is when we saw it first, on the local clock, and SeenBy the most that the API server's clock could show then.
	Seen, SeenBy time.Time
}

// seenAt returns the evidence that something was there at a local moment.
func seenAt(local time.Time, clock *serverclock.Clock) Start {
	return Start{Seen: local, SeenBy: clock.Latest(local).UTC()}
}

// Local returns the start on the local clock.
func (s Start) Local(clock *serverclock.Clock) time.Time {
	return earliest(s.Seen, clock.Local(s.Server))
}

// server returns the start on the API server's clock, for a process that has another local clock.
func (s Start) serverTime() time.Time { return earliest(s.Server, s.SeenBy) }

// or returns the earlier evidence of both.
func (s Start) merge(other Start) Start {
	return Start{
		Server: earliest(s.Server, other.Server), Seen: earliest(s.Seen, other.Seen), SeenBy: earliest(s.SeenBy, other.SeenBy),
	}
}

// absence is what is known of a node without a taint that it has now: the time of the last change of its taints, and until
// when it was certainly without, on the API server's clock. Zero where no version without the taint was seen.
type absence struct{ changed, until time.Time }

// startOf returns the evidence that a version has of the start of a taint that was not known before. What is from before an
// absence is no evidence: a writer may have put back an old timeAdded, or its clock may be behind; and an admission plugin
// may have added the taint in a write that is not known as a change of the taints.
func startOf(o Observation, taint Taint, before absence, clock *serverclock.Clock) Start {
	start := seenAt(o.Seen, clock)
	if certainlyAfter(o.Changed, before.changed) {
		start.Server = endOf(o.Changed)
	}
	if certainlyAfter(taint.TimeAdded, before.until) {
		start.Server = earliest(start.Server, endOf(taint.TimeAdded))
	}
	return start
}

// certainlyAfter reports whether a stored second comes after a moment for sure.
func certainlyAfter(second, moment time.Time) bool {
	return !second.IsZero() && (moment.IsZero() || second.After(moment.Truncate(apiResolution)))
}

// endOf returns the end of the API's second that t stands for, or zero where there is no time.
func endOf(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(apiResolution)
}

// earliest returns the earliest of some times that is not zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
