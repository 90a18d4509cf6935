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
	"context"
	"time"
)

const (
	// wideBound is the width from which the bound is narrowed again. narrowBound is the width at which narrowing ends.
	wideBound, narrowBound = 250 * time.Millisecond, 60 * time.Millisecond
	// rounds and probes bound the number of requests for one narrowing.
	rounds, probes = 2, 8
	// checkInterval is the time between two checks of the width.
	checkInterval = 10 * time.Second
)

// Narrow keeps the bound narrow until ctx is done. Date shows whole seconds, so responses right before and after the end of
// a second locate it. probe makes a cheap request through the transport.
func (c *Clock) Narrow(ctx context.Context, probe func(context.Context) error) {
	for ctx.Err() == nil {
		low, high, known := c.Offset()
		if !known {
			_ = probe(ctx) // its response calls Observe
			if _, _, known = c.Offset(); !known {
				sleep(ctx, time.Second)
			}
			continue
		}
		if high-low > wideBound && high-low <= 3*resolution {
			c.narrow(ctx, probe)
		}
		sleep(ctx, checkInterval)
	}
}

// narrow makes requests around the end of a second.
func (c *Clock) narrow(ctx context.Context, probe func(context.Context) error) {
	for range rounds {
		low, high, _ := c.Offset()
		width := high - low
		if width <= narrowBound {
			return
		}
		// By the fastest that the clock may be, a second ends from now on, within the width of the bound.
		now := c.local.Now().Add(high)
		begin := c.local.Now().Add(now.Truncate(resolution).Add(resolution).Sub(now))
		step := min(width, resolution) / probes
		for i := range probes {
			sleep(ctx, begin.Add(time.Duration(i)*step+step/2).Sub(c.local.Now()))
			if ctx.Err() != nil {
				return
			}
			_ = probe(ctx) // a failed request is no evidence
			if low, high, _ := c.Offset(); high-low <= 2*step {
				break // the second ended between the last two
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
