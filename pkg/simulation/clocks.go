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

// apiClock is what a replica can know of the API server's clock.
type apiClock struct {
	// skew is by how much that is ahead in truth, low by how much it is ahead for certain, at a moment. Without a moment, nothing
	// is known.
	skew, low time.Duration
	at        time.Time
}

// lowAt is by how much the API server's clock is ahead for certain, at a moment.
func (c apiClock) lowAt(now time.Time) time.Duration {
	return c.low - time.Duration(drift*float64(now.Sub(c.at)))
}

// dated takes in the Date of an answer that comes at a moment.
func (c *apiClock) dated(answer *http.Response, now time.Time) {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	if low := date.Sub(now); c.at.IsZero() || low > c.lowAt(now) {
		c.low, c.at = low, now
	}
}

// doubt is by how much later than in truth a time of the API may count that a replica learns of at a moment.
func (c apiClock) doubt(now time.Time) time.Duration {
	const least = 10 * time.Millisecond
	return c.skew - c.lowAt(now) + least
}
