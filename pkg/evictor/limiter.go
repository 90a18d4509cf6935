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

package evictor

import (
	"context"
	"sync"
	"time"

	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
)

const (
	// initialLimit is the limit before anything is known, and minLimit the lowest. With a higher initial limit an API server works on so
	// many first calls at once that the first pod is deleted late.
	initialLimit, minLimit = 16, 4
	// successLimit is how far successful evictions raise the limit. It keeps an API server busy that takes 0.2 s for each call, and leaves
	// a third of the calls that it works on by default to other clients.
	successLimit = 64
	// recoveryPart is the part of the limit by which it is raised again after an overload.
	recoveryPart = 4
	// checkInterval is the time between two checks for attempts that wait, while pods wait to be evicted.
	checkInterval = 200 * time.Millisecond
	// An attempt counts as one that waits, not for the API server's own work, when it takes longer than minWait, and longer than
	// slowFactor times the mean of the attempts that ended lately.
	minWait, slowFactor = 400 * time.Millisecond, 4
	// quickLimit is how far attempts that wait raise the limit quickly. By default the API server works on about 98 calls of controllers
	// at the same time, and queues the rest, where calls for pods of other namespaces would queue behind them. So beyond this limit an
	// attempt must have taken longWait.
	quickLimit, longWait = 100, 4 * time.Second
	// forgetLimitAfter is how long the limit is kept while no pod waits to be evicted.
	forgetLimitAfter = time.Minute
)

// Queue enforces the limit of a ConcurrencyLimiter.
type Queue interface {
	// SetConcurrencyLimit sets how many items may be in flight at the same time.
	SetConcurrencyLimit(limit int)
	// Waiting reports whether pods are due that are not in flight.
	Waiting() bool
	// Backlog returns a channel that receives after a pod was due and the limits left no room for it.
	Backlog() <-chan struct{}
}

// ConcurrencyLimiter owns the concurrency limit: how many evictions are in flight at the same time. The queue enforces it, and the
// gauge shows it. If it is too low the API server waits for us; if it is too high the API server answers later, to all its clients. A
// ConcurrencyLimiter is safe for concurrent use.
//
// The limit starts at 16.
//
//   - While pods wait to be evicted, each successful eviction raises it by one, up to 64. So it doubles within a round trip.
//   - An overload of the API server halves it at once, but only once for all attempts that are in flight at that moment. Then a quarter
//     is added whenever as many evictions in a row have succeeded as the limit allows, up to the limit before the overload, or 64.
//   - It doubles while pods wait to be evicted and more than half of it is held by attempts that take much longer than others: they wait
//     for an admission webhook, say, and the API server could do more meanwhile. Up to 100 that happens about every 0.4 s, and beyond
//     that every 4 s.
//   - It starts again at 16 when no pod has waited for a minute.
//   - While a ceiling is set, it is no higher than the ceiling.
type ConcurrencyLimiter struct {
	queue Queue
	gauge evictionqueue.Gauge
	// max is the highest limit. rateLimited says that the client has a rate limit, for which attempts wait.
	max         int
	rateLimited bool

	lock sync.Mutex
	// limit is the limit without the ceiling. ceiling is 0 for none.
	limit, ceiling int
	inFlight       map[*Attempt]bool
	// recoverTo is the limit to return to after an overload, and 0 otherwise. succeeded counts the successful evictions since the last step
	// towards it, and overloads the times that the limit was halved.
	recoverTo, succeeded, overloads int
	// ended counts the attempts that ended since the limit was last doubled, or pods began to wait; took is their total duration.
	ended int
	took  time.Duration
	// backlogSeen is when a pod was last seen to wait.
	backlogSeen time.Time
}

// Attempt is an attempt in flight.
type Attempt struct {
	began time.Time
	// overloads is that of the limiter when the attempt began.
	overloads int
}

// NewConcurrencyLimiter returns a limiter that sets the limit of a queue, to highest at most. rateLimited says that the client has a rate
// limit. The gauge shows the limit.
func NewConcurrencyLimiter(queue Queue, gauge evictionqueue.Gauge, highest int, rateLimited bool) *ConcurrencyLimiter {
	l := &ConcurrencyLimiter{
		queue: queue, gauge: gauge, max: highest, rateLimited: rateLimited, inFlight: map[*Attempt]bool{}, backlogSeen: time.Now(),
	}
	l.setLimit(initialLimit)
	return l
}

// Run raises the limit while attempts wait, until ctx is done.
func (l *ConcurrencyLimiter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.queue.Backlog():
		}
		l.backlogBegan()
		for l.queue.Waiting() {
			if sleep(ctx, checkInterval) != nil {
				return
			}
			l.check()
		}
	}
}

// SetCeiling sets an upper bound of the limit, which each pod that is deleted raises by one; 0 removes it.
func (l *ConcurrencyLimiter) SetCeiling(ceiling int) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.ceiling = ceiling
	l.apply()
}

// Begin notes that an attempt begins.
func (l *ConcurrencyLimiter) Begin() *Attempt {
	l.lock.Lock()
	defer l.lock.Unlock()
	a := &Attempt{began: time.Now(), overloads: l.overloads}
	l.inFlight[a] = true
	return a
}

// End notes the result of an attempt.
func (l *ConcurrencyLimiter) End(a *Attempt, result Result) {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now()
	delete(l.inFlight, a)
	l.ended++
	l.took += now.Sub(a.began)
	if l.queue.Waiting() {
		l.backlogSeen = now
	}
	if result.Overloaded {
		l.halve(a)
	}
	if !result.Outcome.Accepted() {
		return
	}
	switch {
	case l.recoverTo > 0:
		l.comeBack()
	case l.limit < successLimit && l.queue.Waiting():
		l.setLimit(l.limit + 1)
	}
	if l.ceiling > 0 {
		l.ceiling++
		l.apply()
	}
}

// backlogBegan notes that pods begin to wait. How long attempts took before says nothing about now.
func (l *ConcurrencyLimiter) backlogBegan() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.ended, l.took = 0, 0
	now := time.Now()
	if now.Sub(l.backlogSeen) >= forgetLimitAfter {
		l.recoverTo = 0
		l.setLimit(initialLimit)
	}
	l.backlogSeen = now
}

// check doubles the limit if more than half of it is held by attempts that take much longer than others.
func (l *ConcurrencyLimiter) check() {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now()
	l.backlogSeen = now
	if l.rateLimited || l.recoverTo > 0 || l.limit == l.max {
		return
	}
	long, limit := minWait, 2*l.limit
	if l.limit < quickLimit {
		limit = min(limit, quickLimit)
	} else {
		long = longWait
	}
	if l.ended > 0 {
		long = max(long, slowFactor*l.took/time.Duration(l.ended))
	}
	waiting := 0
	for a := range l.inFlight {
		if now.Sub(a.began) >= long {
			waiting++
		}
	}
	if 2*waiting > l.limit {
		l.setLimit(limit)
		l.ended, l.took = 0, 0
	}
}

// halve halves the limit because the API server was overloaded during an attempt, unless the attempt began before the limit was last
// halved.
func (l *ConcurrencyLimiter) halve(a *Attempt) {
	if a.overloads < l.overloads {
		return
	}
	l.overloads++
	l.recoverTo, l.succeeded = max(l.recoverTo, l.limit, min(l.max, successLimit)), 0
	l.setLimit(l.limit / 2)
}

// comeBack raises the limit by a quarter after as many successful evictions as it allows, up to what it was before the overload. Doubling
// it would soon overload a small API server again.
func (l *ConcurrencyLimiter) comeBack() {
	if l.succeeded++; l.succeeded < l.limit {
		return
	}
	l.succeeded = 0
	l.setLimit(min(l.recoverTo, l.limit+l.limit/recoveryPart))
	if l.limit >= l.recoverTo {
		l.recoverTo = 0
	}
}

// setLimit sets the limit within its bounds.
func (l *ConcurrencyLimiter) setLimit(limit int) {
	l.limit = min(l.max, max(minLimit, limit))
	l.apply()
}

// apply passes the limit on. The lock is held, so that the queue and the gauge have the latest one.
func (l *ConcurrencyLimiter) apply() {
	limit := l.limit
	if l.ceiling > 0 {
		limit = min(limit, l.ceiling)
	}
	l.queue.SetConcurrencyLimit(limit)
	l.gauge.Set(float64(limit))
}
