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

package evictionqueue

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// maxSleep bounds how long Get sleeps, so that a clock that steps makes no pod late by more than this: timers do not notice a step.
const maxSleep = 5 * time.Second

// Gauge shows a number. It is set while the number is locked.
type Gauge interface{ Set(float64) }

// Queue is the timed queue. It is safe for concurrent use.
type Queue struct {
	// clock is the timeline of deadlines. Timers are the runtime's.
	clock clock.PassiveClock

	lock    sync.Mutex
	entries map[types.UID]*entry
	// scheduled counts the entries that are not cancelled; gauge shows it.
	scheduled int
	gauge     Gauge
	waiting   *indexedHeap[*entry]
	ready     *fairQueue
	// due are the entries that are due and not parked, and since when they have been that without a break, for all that this queue has seen.
	due map[*entry]time.Time
	// backlog holds a token after a pod was due and could not be handed out.
	backlog chan struct{}
	// changed holds a token when one call of Get that sleeps should look again. One that returns an item wakes the next.
	changed chan struct{}
}

// New returns an empty queue with a concurrency limit. The gauge shows Len.
func New(clock clock.PassiveClock, concurrencyLimit int, gauge Gauge) *Queue {
	q := &Queue{
		clock:   clock,
		entries: map[types.UID]*entry{},
		gauge:   gauge,
		waiting: &indexedHeap[*entry]{less: sooner},
		ready:   newFairQueue(),
		due:     map[*entry]time.Time{},
		backlog: make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
	}
	q.ready.limit = concurrencyLimit
	return q
}

// SetConcurrencyLimit sets how many items may be in flight at the same time; 1 or more. Items in flight are not recalled.
func (q *Queue) SetConcurrencyLimit(limit int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if limit == q.ready.limit {
		return
	}
	q.ready.limit = limit
	q.wake()
}

// Set schedules a pod, or moves its deadline and changes its cause, and reports whether the pod was not scheduled before. It does not end a backoff.
func (q *Queue) Set(pod Pod, deadline time.Time) (added bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[pod.UID]
	if e != nil {
		e.cause = pod.Cause
	}
	switch {
	case e == nil:
		e = newEntry(pod)
		e.setDeadline(deadline)
		q.entries[pod.UID] = e
		q.wait(e)
		q.addScheduled(1)
		return true
	case e.state == cancelled:
		e.state, e.failedAttempts, e.rechecks = inFlight, 0, 0
		e.setDeadline(deadline)
		q.addScheduled(1)
		return true
	case !e.deadline().Equal(deadline):
		q.remove(e)
		e.setDeadline(deadline)
		if q.clock.Now().Before(deadline) {
			delete(q.due, e)
		}
		if e.state != inFlight {
			q.wait(e)
		}
	}
	return false
}

// Cancel removes a pod, and reports whether it was scheduled.
func (q *Queue) Cancel(uid types.UID) (was Cancelled, scheduled bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[uid]
	if e == nil || e.state == cancelled {
		return Cancelled{}, false
	}
	was = Cancelled{e.item(), e.state == inFlight}
	q.addScheduled(-1)
	q.remove(e)
	if was.InFlight {
		e.state = cancelled
		delete(q.due, e)
	} else {
		q.drop(e)
	}
	return was, true
}

// Get blocks until a pod is due and hands it out. The caller ends the attempt with Done, Recheck or Retry. Get returns false when ctx
// is done; then it has handed out nothing.
func (q *Queue) Get(ctx context.Context) (Item, bool) {
	for {
		q.lock.Lock()
		if ctx.Err() != nil {
			q.lock.Unlock()
			return Item{}, false
		}
		now := q.clock.Now()
		q.collect(now)
		if e := q.next(now); e != nil {
			item := e.item()
			if !q.ready.empty() || q.waiting.Len() > 0 {
				q.wake() // another call of Get now sleeps until the next pod is due
			}
			q.lock.Unlock()
			return item, true
		}
		sleep := q.untilNext(now)
		q.lock.Unlock()
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
		case <-q.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next hands out the next pod that is due, or returns nil if there is none or the limits leave no room.
func (q *Queue) next(now time.Time) *entry {
	if q.ready.empty() {
		return nil
	}
	if q.ready.inFlight < q.ready.limit {
		if e := q.ready.take(now); e != nil {
			e.state = inFlight
			return e
		}
	}
	signal(q.backlog)
	return nil
}

// Backlog returns a channel that receives after a pod was due and the limits left no room for it.
func (q *Queue) Backlog() <-chan struct{} { return q.backlog }

// Done ends an attempt after which there is nothing left to do: the pod is removed.
func (q *Queue) Done(item Item) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if q.attemptEnded(item, false, q.clock.Now()) {
		q.addScheduled(-1)
		q.drop(q.entries[item.UID])
	}
}

// Recheck ends an attempt that did not fail. Unless the pod was cancelled meanwhile, it is handed out again when it is due, and not
// before the given time has passed.
func (q *Queue) Recheck(item Item, after time.Duration) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := q.clock.Now()
	if !q.attemptEnded(item, false, now) {
		return
	}
	e := q.entries[item.UID]
	e.rechecks = min(e.rechecks, math.MaxUint8-1) + 1
	q.backOff(e, now, after)
}

// Retry ends an attempt that failed. Unless the pod was cancelled meanwhile, it is handed out again when it is due, and not before the
// given time has passed, with one more failed attempt than in item, which the caller may have lowered.
func (q *Queue) Retry(item Item, after time.Duration) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := q.clock.Now()
	if !q.attemptEnded(item, true, now) {
		return
	}
	e := q.entries[item.UID]
	e.failedAttempts, e.rechecks = int16(min(item.FailedAttempts+1, math.MaxInt16)), 0
	q.backOff(e, now, after)
}

// attemptEnded makes room for another attempt, resets the backoffs of a namespace that has recovered, and reports whether the pod is
// still scheduled. If not, it removes the pod.
func (q *Queue) attemptEnded(item Item, failed bool, now time.Time) (scheduled bool) {
	if recovered := q.ready.attemptEnded(item.Pod, failed, now); recovered {
		q.resetBackoff(item.Namespace)
	}
	q.wake()
	if e := q.entries[item.UID]; e.state == cancelled {
		q.drop(e)
		return false
	}
	return true
}

// drop forgets an entry that is in neither the heap nor the fair queue.
func (q *Queue) drop(e *entry) {
	delete(q.entries, e.uid)
	delete(q.due, e)
}

// backOff has an entry wait until it is due, and the given time has passed.
func (q *Queue) backOff(e *entry, now time.Time, after time.Duration) {
	if after > 0 {
		e.notBefore = now.Add(after).UnixNano()
	}
	q.wait(e)
}

// resetBackoff ends the backoff of all pods of a namespace whose last attempt failed, because the cause seems to be gone. Those that
// fail again begin with a short backoff.
func (q *Queue) resetBackoff(namespace string) {
	for _, e := range q.waiting.items {
		if e.backsOff() && e.namespace.Value() == namespace {
			e.notBefore, e.failedAttempts = 0, 1
		}
	}
	heap.Init(q.waiting)
}

// addScheduled changes the number of scheduled pods.
func (q *Queue) addScheduled(n int) {
	q.scheduled += n
	q.gauge.Set(float64(q.scheduled))
}

// collect moves the entries that are ready at a moment from the heap to the fair queue.
func (q *Queue) collect(now time.Time) {
	q.ready.dropIdle(now)
	for q.waiting.Len() > 0 && !now.Before(q.waiting.first().readyAt()) {
		e := heap.Pop(q.waiting).(*entry)
		e.state = ready
		if _, known := q.due[e]; !known {
			q.due[e] = q.clock.Now()
		}
		q.ready.add(e)
	}
}

// untilNext returns how long Get may sleep.
func (q *Queue) untilNext(now time.Time) time.Duration {
	if q.waiting.Len() == 0 {
		return maxSleep
	}
	return min(q.waiting.first().readyAt().Sub(now), maxSleep)
}

// wait adds an entry to the heap, and wakes a call of Get if that would sleep past the entry.
func (q *Queue) wait(e *entry) {
	if e.state != parked {
		e.state = waiting
	}
	heap.Push(q.waiting, e)
	if e.index == 0 {
		q.wake()
	}
}

// remove removes an entry from the heap or the fair queue. An entry in flight is in neither.
func (q *Queue) remove(e *entry) {
	switch e.state {
	case waiting, parked:
		heap.Remove(q.waiting, int(e.index))
	case ready:
		q.ready.remove(e, q.clock.Now())
	}
}

// wake has one call of Get look again.
func (q *Queue) wake() { signal(q.changed) }

// signal puts a token into a channel that has none.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
