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

package serverclock

import (
	"time"

	"k8s.io/utils/clock"
)

// steady is a clock that starts at the wall clock and advances with the monotonic clock.
type steady struct {
	clock.RealClock // timers and tickers, which are monotonic
	// start has a monotonic reading, wall has none.
	start, wall time.Time
}

// NewSteady returns a clock that never steps. Its times have no monotonic reading, so they can be stored and compared.
func NewSteady() clock.WithTicker {
	now := time.Now()
	return &steady{start: now, wall: now.Round(0)}
}

// Now returns the time at which the clock was made plus the time that has passed since.
func (s *steady) Now() time.Time { return s.wall.Add(time.Since(s.start)) }

// Since returns the time that has passed since t.
func (s *steady) Since(t time.Time) time.Duration { return s.Now().Sub(t) }
