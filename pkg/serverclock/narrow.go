package serverclock

import (
	"context"
	"time"
)

const (
	// wideBound is the width of the bound from which it is narrowed again, and narrowBound when that ends.
	wideBound, narrowBound = 250 * time.Millisecond, 60 * time.Millisecond
	// maxProbes bounds the requests of one narrowing.
	maxProbes = 8
	// lookInterval is the time between two looks at the bound.
	lookInterval = 10 * time.Second
)

// Narrow keeps the bound narrow until ctx is over. An answer tells the second that the API server's clock shows, so one
// that is asked for when a second may have ended halves the bound. probe makes a cheap request through the transport.
func (c *Clock) Narrow(ctx context.Context, probe func(context.Context) error) {
	for ctx.Err() == nil {
		wait := lookInterval
		switch low, high, known := c.Offset(); {
		case !known:
			wait = time.Second
			_ = probe(ctx) // its answer is what is wanted, if there is one
		case high-low > wideBound && high-low <= 3*resolution:
			c.halve(ctx, probe)
		}
		sleep(ctx, wait)
	}
}

// halve asks for answers at moments that halve the bound.
func (c *Clock) halve(ctx context.Context, probe func(context.Context) error) {
	for range maxProbes {
		low, high, _ := c.Offset()
		if high-low <= narrowBound || ctx.Err() != nil {
			return
		}
		// A second of the API server's clock ends then, by the middle of the bound.
		guess := c.local.Now().Add((low + high) / 2)
		sleep(ctx, guess.Truncate(resolution).Add(resolution).Sub(guess))
		if err := probe(ctx); err != nil && ctx.Err() != nil {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
