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
	"context"
	"time"
)

// maxSleep bounds how long Run sleeps: timers are the runtime's, and another clock may run at another rate.
const maxSleep = 5 * time.Second

// Change is what has changed since Run last reported.
type Change struct {
	// WentOn and WentOff tell that the brake went on, or off, or both. When it went off, what was held must be asked for again.
	WentOn, WentOff bool
	// Begun are nodes that have waited for their turn and may begin now, first those that waited longest.
	Begun []string
}

// happened reports whether there is anything to report.
func (c Change) happened() bool { return c.WentOn || c.WentOff || len(c.Begun) > 0 }

// Run calls a function with each change, soon after it, until ctx is done.
func (b *Brake) Run(ctx context.Context, changed func(Change)) {
	for {
		change, sleep := b.poll()
		if change.happened() {
			changed(change)
		}
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// poll returns what has changed, and for how long nothing else changes by itself.
func (b *Brake) poll() (Change, time.Duration) {
	b.lock.Lock()
	defer b.lock.Unlock()
	now := b.advance()
	if b.pace != nil && b.since.IsZero() {
		b.grant(now, "")
	}
	change := b.pending
	b.pending = Change{}
	sleep := maxSleep
	if next := b.next(now); !next.IsZero() {
		sleep = min(sleep, next.Sub(now))
	}
	b.looks = now.Add(sleep)
	return change, sleep
}

// grant lets the nodes begin whose turn it is. Run reports them, except one that is told by other means.
func (b *Brake) grant(now time.Time, except string) {
	for _, name := range b.pace.grant(now) {
		if name != except {
			b.pending.Begun = append(b.pending.Begun, name)
		}
	}
}

// next returns the first time at which something changes by itself, or zero.
func (b *Brake) next(now time.Time) time.Time {
	next := b.nextJudgement()
	if b.pace != nil && b.since.IsZero() {
		next = sooner(next, b.pace.next(now))
	}
	return next
}

// nextJudgement returns the first time at which the brake may go on or off by itself, or zero.
func (b *Brake) nextJudgement() time.Time {
	next := b.tally.next()
	if !b.since.IsZero() && !b.fell.IsZero() {
		next = sooner(next, b.fell.Add(b.config.Cooldown))
	}
	return next
}

// sooner returns the earlier of two times, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// advance does what was to happen until now, each thing at its time and not when somebody happened to look, and returns the time.
func (b *Brake) advance() time.Time {
	now := later(b.last, b.config.Clock.Now())
	b.last = now
	for at := b.nextJudgement(); !at.IsZero() && !at.After(now); at = b.nextJudgement() {
		b.tally.advance(at)
		b.judge(at)
	}
	if now.Sub(b.began) >= b.config.Window {
		b.known = nil
	}
	return now
}

// judge has the brake go on or off, by the nodes that count at a time.
func (b *Brake) judge(at time.Time) {
	if !b.holds {
		return
	}
	tooMany, on := b.tally.counting > b.config.limit(b.total), !b.since.IsZero()
	switch {
	case tooMany && !on:
		b.since, b.pending.WentOn = at, true
	case tooMany:
		b.fell = time.Time{}
	case on && b.fell.IsZero():
		b.fell = at
	}
	if on && !b.fell.IsZero() && !at.Before(b.fell.Add(b.config.Cooldown)) {
		b.since, b.fell, b.pending.WentOff = time.Time{}, time.Time{}, true
	}
}

// notify has Run look again if there is something to report, or will be before Run looks by itself.
func (b *Brake) notify(now time.Time) {
	next := b.next(now)
	if b.pending.happened() || !next.IsZero() && next.Before(b.looks) {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}
