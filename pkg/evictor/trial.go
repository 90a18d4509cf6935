package evictor

import "time"

const (
	// A window is so many evictions, at least, and so many for each slot. It counts where pods waited for slots at the end of so
	// many of them.
	leastWindow, generations = 100, 3
	fullPart                 = 0.8
	// Where half of the limit gives less than scarce of the rate with all of it, twice as much may give more than it does. Where
	// half gives more than idle, the limit is too high: the API server's answers only take longer.
	scarce, idle = 0.85, 0.95
	// holdFor is how long a limit that is right is left alone, and restFor one that has just become lower.
	holdFor, restFor = 30 * time.Second, 3 * time.Second
)

// trial compares the evictions per second that the limit gives with what half of it gives. Trying half harms nobody, as trying
// twice as many might.
type trial struct {
	// half is set while half of the limit is tried, and whole is how many evictions per second all of it gave.
	half  bool
	whole float64
	// next is when to try again.
	next   time.Time
	window window
}

// window counts evictions. Those that began before it, and one for each slot after them, are skipped: they do not go on beside as many
// others as there are slots now.
type window struct {
	skip, done int
	began      time.Time
	// full counts the evictions at the end of which pods waited for slots.
	full int
}

// compare counts an eviction, at the end of which pods waited for slots or not, and decides when the window is full.
func (l *ConcurrencyLimiter) compare(now time.Time, full bool) {
	w := &l.trial.window
	if w.skip > 0 {
		w.skip--
		w.began = now
		return
	}
	w.done++
	if full {
		w.full++
	}
	if w.done < max(leastWindow, generations*l.allowed()) {
		return
	}
	rate := float64(w.done) / now.Sub(w.began).Seconds()
	switch full := float64(w.full) >= fullPart*float64(w.done); {
	case !full, !l.trial.half && now.Before(l.trial.next):
		l.begin(false)
	case !l.trial.half:
		l.trial.whole = rate
		l.begin(true)
	case rate > idle*l.trial.whole:
		l.settle(l.limit*3/4, now.Add(restFor))
	case rate < scarce*l.trial.whole:
		l.settle(l.limit*2, now)
	default:
		l.settle(l.limit, now.Add(holdFor))
	}
}

// settle sets the limit, and when to look whether it is right.
func (l *ConcurrencyLimiter) settle(limit int, next time.Time) {
	before := l.limit
	l.set(limit)
	if l.limit == before {
		next = l.clock.Now().Add(holdFor) // it cannot change
	}
	l.trial.next = next
}
