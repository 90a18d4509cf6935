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

package simulation

import (
	"net/http"
	"time"

	"k8s.io/utils/clock"
)

// drift is by how much the rates of two clocks may differ, in what the controller makes of them: parts of a second per second.
const drift = 200e-6

// ownClock is that of a replica: wrong by a time, and as fast as all others.
type ownClock struct {
	clock.RealClock
	skew time.Duration
}

func (c ownClock) Now() time.Time { return time.Now().Round(0).Add(c.skew) }

func (c ownClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

const (
	// moved is by how much less the controller may make of what it knows of the API server's clock, and noticing how long it
	// may take until it makes anything of it.
	moved    = 110 * time.Millisecond
	noticing = 1500 * time.Millisecond
)

// apiClock is what a replica can know of the API server's clock, which is ahead by skew in truth.
type apiClock struct {
	skew time.Duration
	// bounds are what its answers have told, each of them more than all before.
	bounds []bound
}

// bound is by how much the API server's clock is ahead for certain, by an answer that came at a moment.
type bound struct {
	low time.Duration
	at  time.Time
}

// lowAt is by how much the API server's clock is ahead for certain at a moment, by what an answer of before has told.
func (b bound) lowAt(now time.Time) time.Duration {
	return b.low - time.Duration(drift*float64(now.Sub(b.at)))
}

// dated takes in the Date of an answer that comes at a moment.
func (c *apiClock) dated(answer *http.Response, now time.Time) {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	told := bound{date.Sub(now), now}
	if n := len(c.bounds); n == 0 || told.low > c.bounds[n-1].lowAt(now) {
		c.bounds = append(c.bounds, told)
	}
}

// doubt is by how much later than in truth a time of the API may count at a moment.
func (c apiClock) doubt(now time.Time) time.Duration {
	for i := len(c.bounds) - 1; i >= 0; i-- {
		if b := c.bounds[i]; i == 0 || now.Sub(b.at) > noticing {
			return c.skew - b.lowAt(now) + moved
		}
	}
	return 0 // nothing was answered, so nothing is known
}
