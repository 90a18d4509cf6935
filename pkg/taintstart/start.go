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

import (
	"time"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// apiResolution is the resolution of API times. They are truncated, so the event is up to one second later.
const apiResolution = time.Second

// Start is the evidence of two clocks for a start. Zero times are no evidence. The earliest counts.
type Start struct {
	// Server is an API time: the end of the second that the API has stored. By is what says so.
	Server time.Time
	By     deadline.Source
	// Seen is the local time at which we first saw it. SeenBy is the latest that the API server's clock could show then.
	Seen, SeenBy time.Time
}

// seenAt returns the evidence that something was present at a local time.
func seenAt(local time.Time, clock *serverclock.Clock) Start {
	return Start{Seen: local, SeenBy: clock.Latest(local).UTC()}
}

// Local returns the start as a local time.
func (s Start) Local(clock *serverclock.Clock) time.Time {
	return earliest(s.Seen, clock.Local(s.Server))
}

// serverTime returns the start as an API time, for a process that has another local clock.
func (s Start) serverTime() time.Time { return earliest(s.Server, s.SeenBy) }

// dated returns the time that counts, and what says so.
func (s Start) dated(clock *serverclock.Clock) deadline.Dated {
	if s.Server.IsZero() || !s.Seen.IsZero() && s.Seen.Before(clock.Local(s.Server)) {
		return deadline.Dated{By: deadline.ByFirstSight, At: s.Seen}
	}
	return deadline.Dated{By: s.By, At: s.Server}
}

// shownAt returns the start with further evidence of the API, if that is earlier.
func (s Start) shownAt(api time.Time, by deadline.Source) Start {
	if first := earliest(s.Server, api); !first.Equal(s.Server) {
		s.Server, s.By = first, by
	}
	return s
}

// merge returns the earlier evidence of both.
func (s Start) merge(other Start) Start {
	s.Seen, s.SeenBy = earliest(s.Seen, other.Seen), earliest(s.SeenBy, other.SeenBy)
	return s.shownAt(other.Server, other.By)
}

// absence describes a node before a taint was added: the last change of its taints, and the latest API time at which it was
// certainly without the taint. Both are zero if no version without the taint was seen.
type absence struct{ changed, until time.Time }

// startOf returns the evidence that a version has for the start of a taint that is new. Evidence from before the absence
// does not count: a writer may have put back an old timeAdded, its clock may be behind, or an admission plugin may have
// added the taint in a write that does not count as a change of the taints.
func startOf(o Observation, taint Taint, before absence, clock *serverclock.Clock) Start {
	start := seenAt(o.Seen, clock)
	if certainlyAfter(taint.TimeAdded, before.until) {
		start = start.shownAt(endOf(taint.TimeAdded), deadline.ByTimeAdded)
	}
	if certainlyAfter(o.Changed, before.changed) {
		start = start.shownAt(endOf(o.Changed), deadline.ByLastChange)
	}
	return start
}

// certainlyAfter reports whether a stored second is certainly after a time.
func certainlyAfter(second, moment time.Time) bool {
	return !second.IsZero() && (moment.IsZero() || second.After(moment.Truncate(apiResolution)))
}

// endOf returns the end of the second that an API time stands for, or zero for zero.
func endOf(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(apiResolution)
}

// earliest returns the earliest of the times that are not zero.
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
