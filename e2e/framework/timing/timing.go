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

// Package timing says when an action took place, and when its consequences are due.
//
// An action, such as tainting a node, happens at some instant between its request and the answer: a Moment. So nobody may go
// before the request, and lateness counts from the answer.
package timing

import (
	"fmt"
	"time"
)

// Moment says when an action took place: between its request and its answer.
type Moment struct{ Before, After time.Time }

// Of returns when a function did what it does.
func Of(do func() error) (Moment, error) {
	before := time.Now()
	err := do()
	return Moment{before, time.Now()}, err
}

// Now is an action that takes no time.
func Now() Moment {
	now := time.Now()
	return Moment{now, now}
}

// Window is when a pod has to begin to go.
type Window struct{ From, To time.Time }

// Due returns the window of a pod whose seconds count from the action. It may be late by what is told.
func Due(m Moment, seconds float64, late time.Duration) Window {
	d := time.Duration(seconds * float64(time.Second))
	return Window{m.Before.Add(d), m.After.Add(d + late)}
}

// Extend moves the end of the window.
func (w Window) Extend(by time.Duration) Window {
	w.To = w.To.Add(by)
	return w
}

// Outside says by how much an eviction misses the window; empty if it does not. It is zero where there was none until the time
// up to which the pod was watched.
func (w Window) Outside(evicted, watched time.Time) string {
	switch {
	case evicted.IsZero():
		return fmt.Sprintf("not evicted up to %s after the moment it was due at", Round(watched.Sub(w.From)))
	case evicted.Before(w.From):
		return fmt.Sprintf("evicted %s EARLY", w.From.Sub(evicted))
	case evicted.After(w.To):
		return fmt.Sprintf("evicted %s after the moment it was due at, expected at most %s", Round(evicted.Sub(w.From)), Round(w.To.Sub(w.From)))
	default:
		return ""
	}
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Round rounds to what is worth reading.
func Round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
