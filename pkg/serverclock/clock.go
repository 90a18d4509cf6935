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
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// resolution is the resolution of the Date header.
	resolution = time.Second
	// driftPerSecond is how much the rates of two clocks may differ: 200 parts per million, several times the drift of
	// quartz.
	driftPerSecond = 200 * time.Microsecond
	// keepFor is how long the clock of an API server counts after its last response.
	keepFor = 10 * time.Minute
	// maxServers bounds the number of clocks that contradict each other.
	maxServers = 8
)

// Clock estimates the API server's clock. It is safe for concurrent use.
type Clock struct {
	local clock.PassiveClock

	lock    sync.RWMutex
	servers []server
	used    usedOffsets
}

// usedOffsets are the smallest and the largest offset that Local used since Moved last returned true.
type usedOffsets struct {
	lock        sync.Mutex
	any         bool
	least, most time.Duration
}

// server is the estimate of one API server's clock: how far it was ahead of the local clock when it was last seen.
type server struct {
	low, high time.Duration
	seen      time.Time
}

// New returns an estimate that assumes equal clocks until Observe is called. local must not step.
func New(local clock.PassiveClock) *Clock {
	return &Clock{local: local}
}

// Observe takes the Date of a response. sent and answered are local times.
func (c *Clock) Observe(sent, answered, date time.Time) {
	c.lock.Lock()
	defer c.lock.Unlock()
	answer := server{low: date.Sub(answered), high: date.Add(resolution).Sub(sent), seen: answered}
	known := false
	for i := range c.servers {
		both := c.servers[i].at(answered)
		both.low, both.high = max(both.low, answer.low), min(both.high, answer.high)
		if both.low <= both.high {
			both.seen = answered
			c.servers[i], known = both, true
		}
	}
	c.servers = slices.DeleteFunc(c.servers, func(s server) bool { return answered.Sub(s.seen) > keepFor })
	if known {
		return
	}
	if len(c.servers) == maxServers {
		c.servers = slices.Delete(c.servers, 0, 1)
	}
	c.servers = append(c.servers, answer)
}

// at returns the estimate at a local time, widened by the drift.
func (s server) at(now time.Time) server {
	drift := time.Duration(max(0, now.Sub(s.seen).Seconds()) * float64(driftPerSecond))
	return server{low: s.low - drift, high: s.high + drift, seen: s.seen}
}

// Offset returns the bounds of how far the API server's clock is ahead of the local one now. known is false until a
// response had a Date.
func (c *Clock) Offset() (low, high time.Duration, known bool) {
	if c == nil {
		return 0, 0, false
	}
	now := c.local.Now()
	c.lock.RLock()
	defer c.lock.RUnlock()
	for i, s := range c.servers {
		s = s.at(now)
		if i == 0 {
			low, high = s.low, s.high
		}
		low, high = min(low, s.low), max(high, s.high)
	}
	return low, high, len(c.servers) > 0
}

// Local returns the latest local time at which the API server's clock can have shown t. It returns zero for zero.
func (c *Clock) Local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	low, _, _ := c.Offset()
	if c != nil {
		c.used.add(low)
	}
	return t.Add(-low)
}

func (u *usedOffsets) add(offset time.Duration) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if !u.any {
		u.any, u.least, u.most = true, offset, offset
	}
	u.least, u.most = min(u.least, offset), max(u.most, offset)
}

// Moved reports whether Local would now return a time that differs, by the tolerance or more, from one that it returned
// since Moved last returned true. Callers that keep results of Local must then compute them again.
func (c *Clock) Moved(tolerance time.Duration) bool {
	if c == nil {
		return false
	}
	c.used.lock.Lock()
	defer c.used.lock.Unlock()
	low, _, _ := c.Offset()
	if !c.used.any || (low-c.used.least < tolerance && c.used.most-low < tolerance) {
		return false
	}
	c.used.any = false
	return true
}

// Earliest returns the earliest time that the API server's clock can have shown at a local time.
func (c *Clock) Earliest(local time.Time) time.Time {
	low, _, _ := c.Offset()
	return local.Add(low)
}

// Latest returns the latest time that the API server's clock can have shown at a local time.
func (c *Clock) Latest(local time.Time) time.Time {
	_, high, _ := c.Offset()
	return local.Add(high)
}

// Now returns the best estimate of the API server's time. It is for display, not for decisions.
func (c *Clock) Now() time.Time { return c.At(c.local.Now()) }

// At returns the best estimate of the API time at a local time. It is for display, not for decisions.
func (c *Clock) At(local time.Time) time.Time {
	low, high, _ := c.Offset()
	return local.Add((low + high) / 2)
}

// Skew returns how far the API server's clock is ahead of the wall clock of this machine, and the error of that. It is for
// display, not for decisions. known is false until a response had a Date.
func (c *Clock) Skew() (ahead, within time.Duration, known bool) {
	low, high, known := c.Offset()
	return time.Until(c.Now()), (high - low) / 2, known
}
