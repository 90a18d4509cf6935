package serverclock

import (
	"context"
	"time"
)

const (
	// wideBound is the width of the bound from which it is narrowed again, and narrowBound when that ends.
	wideBound, narrowBound = 250 * time.Millisecond, 60 * time.Millisecond
	// A narrowing takes two rounds of so many requests at most.
	rounds, probes = 2, 8
	// lookInterval is the time between two looks at the bound.
	lookInterval = 10 * time.Second
)

// Narrow keeps the bound narrow until ctx is over. An answer tells the second that the API server's clock shows, so the answers
// before and after the end of a second tell when that was. probe makes a cheap request through the transport.
func (c *Clock) Narrow(ctx context.Context, probe func(context.Context) error) {
	for ctx.Err() == nil {
		low, high, known := c.Offset()
		if !known {
			_ = probe(ctx) // its answer is what is wanted, if there is one
			if _, _, known = c.Offset(); !known {
				sleep(ctx, time.Second)
			}
			continue
		}
		if high-low > wideBound && high-low <= 3*resolution {
			c.narrow(ctx, probe)
		}
		sleep(ctx, lookInterval)
	}
}

// narrow asks for answers around the end of a second.
func (c *Clock) narrow(ctx context.Context, probe func(context.Context) error) {
	for range rounds {
		low, high, _ := c.Offset()
		width := high - low
		if width <= narrowBound {
			return
		}
		// A second ends from now on for as long as the bound is wide, by the fastest that the clock may be.
		now := c.local.Now().Add(high)
		begin := c.local.Now().Add(now.Truncate(resolution).Add(resolution).Sub(now))
		step := min(width, resolution) / probes
		for i := range probes {
			sleep(ctx, begin.Add(time.Duration(i)*step+step/2).Sub(c.local.Now()))
			if ctx.Err() != nil {
				return
			}
			_ = probe(ctx) // one that fails tells nothing
			if low, high, _ := c.Offset(); high-low <= 2*step {
				break // the end was between the last two
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
