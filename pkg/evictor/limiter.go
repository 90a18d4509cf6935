package evictor

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

const (
	// firstLimit is how many evictions go on at the same time before anything is known, and leastLimit how few at least. With more an API
	// server works on so many first calls at once that the first pod goes late.
	firstLimit, leastLimit = 16, 4
	// wellLimit is how far the limit is raised while evictions go well. It is enough to keep an API server busy that takes 0.2 s for each
	// of the calls, and leaves a third of what it works on by default to others.
	wellLimit = 64
	// comeBackPart is the part of the limit by which it is raised after the API server had too much to do.
	comeBackPart = 4
	// checkInterval is how often it is looked whether attempts wait, while pods wait for slots.
	checkInterval = 200 * time.Millisecond
	// An attempt waits for something else than the API server's work when it takes longer than leastWait, and longer than so
	// many times what others took that ended lately.
	leastWait, longerThanOthers = 400 * time.Millisecond, 4
	// quickLimit is how far the limit is raised for that. By default the API server works on about 98 calls of controllers at the
	// same time. More of them wait in its own queue, where pods of other namespaces would wait behind them. So beyond it the
	// attempts must have waited for longWait.
	quickLimit, longWait = 100, 4 * time.Second
	// forgetLimitAfter is how long a limit is kept while no pod waits for a slot.
	forgetLimitAfter = time.Minute
)

// Queue is what a ConcurrencyLimiter drives.
type Queue interface {
	// SetSlots changes how many pods may be handed out at the same time.
	SetSlots(slots int)
	// Waiting reports whether there are pods that are due and have not been handed out.
	Waiting() bool
	// Backlog receives after a pod was due and could not be handed out.
	Backlog() <-chan struct{}
}

// ConcurrencyLimiter sets how many evictions go on at the same time. With too few the API server waits for us; with too many
// its answers only take longer, for all its clients. It is safe for concurrent use.
//
// The limit begins at 16:
//
//   - While pods wait for slots it is raised by one with each eviction that goes well, up to 64. So it doubles within a round trip.
//   - It is halved at once when the API server has too much to do, once for all attempts that go on at the time. It is raised by a
//     quarter again for as many attempts that succeed as it allows, up to what it was, or 64.
//   - It is doubled while pods wait for slots and most slots are held by attempts that take much longer than others: they wait
//     for an admission webhook, say, and the API server could do more meanwhile. Up to 100 that is every 0.4 s or so, and
//     beyond that every 4 s.
//
// What was found out is forgotten when no pod has waited for a slot for a minute.
type ConcurrencyLimiter struct {
	clock clock.WithTicker
	queue Queue
	// most is the highest limit. Limited says that the client has a rate limit of its own: attempts wait for that then.
	most    int
	limited bool

	lock    sync.Mutex
	limit   int
	running map[*Attempt]bool
	// before is the limit before the API server had too much to do, and wellLimit at least, until it is as high again. well counts what
	// has gone well since the last step of the way there, and lowered the times that it had too much to do.
	before, well, lowered int
	// ended counts the attempts that ended since the limit was last raised, or pods began to wait; took is how long they took together.
	ended int
	took  time.Duration
	// backlog is when a pod was last seen to wait for a slot.
	backlog time.Time
}

// Attempt is an attempt that goes on.
type Attempt struct {
	began time.Time
	// lowered is that of the limiter when it began.
	lowered int
}

// NewConcurrencyLimiter returns a limiter of a queue, whose limit is never higher than most. Limited says that the client has
// a rate limit.
func NewConcurrencyLimiter(clock clock.WithTicker, queue Queue, most int, limited bool) *ConcurrencyLimiter {
	l := &ConcurrencyLimiter{clock: clock, queue: queue, most: most, limited: limited, running: map[*Attempt]bool{}, backlog: clock.Now()}
	l.set(firstLimit)
	return l
}

// Run raises the limit while attempts wait, until ctx is over.
func (l *ConcurrencyLimiter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.queue.Backlog():
		}
		l.beginBacklog()
		for l.queue.Waiting() {
			if sleep(ctx, l.clock, checkInterval) != nil {
				return
			}
			l.check()
		}
	}
}

// Begin notes that an attempt begins.
func (l *ConcurrencyLimiter) Begin() *Attempt {
	l.lock.Lock()
	defer l.lock.Unlock()
	a := &Attempt{began: l.clock.Now(), lowered: l.lowered}
	l.running[a] = true
	return a
}

// End notes that an attempt has ended, with an error, or with the pod deleted or not.
func (l *ConcurrencyLimiter) End(a *Attempt, deleted bool, err error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := l.clock.Now()
	delete(l.running, a)
	l.ended++
	l.took += now.Sub(a.began)
	if l.queue.Waiting() {
		l.backlog = now
	}
	switch {
	case isTooMuch(err):
		l.overloaded(a)
	case err != nil || !deleted:
	case l.before > 0:
		l.comeBack()
	case l.limit < wellLimit && l.queue.Waiting():
		l.set(l.limit + 1)
	}
}

// beginBacklog notes that pods begin to wait for slots. How long attempts took before says nothing of now.
func (l *ConcurrencyLimiter) beginBacklog() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.ended, l.took = 0, 0
	now := l.clock.Now()
	if now.Sub(l.backlog) >= forgetLimitAfter {
		l.before = 0
		l.set(firstLimit)
	}
	l.backlog = now
}

// check doubles the limit where most slots are held by attempts that take much longer than others.
func (l *ConcurrencyLimiter) check() {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := l.clock.Now()
	l.backlog = now
	if l.limited || l.before > 0 || l.limit == l.most {
		return
	}
	long, limit := leastWait, 2*l.limit
	if l.limit < quickLimit {
		limit = min(limit, quickLimit)
	} else {
		long = longWait
	}
	if l.ended > 0 {
		long = max(long, longerThanOthers*l.took/time.Duration(l.ended))
	}
	waiting := 0
	for a := range l.running {
		if now.Sub(a.began) >= long {
			waiting++
		}
	}
	if 2*waiting > l.limit {
		l.set(limit)
		l.ended, l.took = 0, 0
	}
}

// Overloaded notes that the API server had too much to do during an attempt, as what is not an error can show too.
func (l *ConcurrencyLimiter) Overloaded(a *Attempt) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.overloaded(a)
}

// overloaded halves the limit because the API server had too much to do during an attempt, unless that began before it was
// halved last.
func (l *ConcurrencyLimiter) overloaded(a *Attempt) {
	if a.lowered < l.lowered {
		return
	}
	l.lowered++
	l.before, l.well = max(l.before, l.limit, min(l.most, wellLimit)), 0
	l.set(l.limit / 2)
}

// comeBack raises the limit by a quarter when as many evictions in a row have gone well, up to what it was. Doubling would be too
// much again soon where the API server can do little.
func (l *ConcurrencyLimiter) comeBack() {
	if l.well++; l.well < l.limit {
		return
	}
	l.well = 0
	l.set(min(l.before, l.limit+l.limit/comeBackPart))
	if l.limit >= l.before {
		l.before = 0
	}
}

// set sets the limit. What the queue is told is what is so now: the lock is held.
func (l *ConcurrencyLimiter) set(limit int) {
	l.limit = min(l.most, max(leastLimit, limit))
	l.queue.SetSlots(l.limit)
}

// isTooMuch reports whether an error is that of an API server that has too much to do.
func isTooMuch(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		errors.Is(err, context.DeadlineExceeded)
}
