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

// maxSleep bounds how long a consumer sleeps, so that a step of the system's clock makes nobody late for longer than this:
// deadlines are times of day, and timers do not notice when these jump.
const maxSleep = 5 * time.Second

// Pod names a pod. The UID alone is its identity.
type Pod struct {
	UID             types.UID
	Namespace, Name string
	Node            string
	// Priority is spec.priority: of the pods that are due on a node at the same moment, those of lower priority go first.
	Priority int32
}

// Item is a pod that is due.
type Item struct {
	Pod
	// Deadline is what was last set when the item was handed out.
	Deadline time.Time
	// Failures counts the attempts that failed since the pod was first set, or since its namespace recovered, with one for
	// all before. It ends at 32767.
	Failures int
	// Rechecks counts the attempts that did not fail, after which the pod was still to go, since the last one that failed. It
	// ends at 255.
	Rechecks int
}

// Gauge shows a number. It is set while what it shows is locked.
type Gauge interface{ Set(float64) }

// Gauges show the state of a queue.
type Gauges struct {
	// Scheduled is Len, and Slots what was last set by SetSlots.
	Scheduled, Slots Gauge
}

// Queue is the timed queue. It is safe for concurrent use.
type Queue struct {
	clock clock.WithTicker

	lock    sync.Mutex
	entries map[types.UID]*entry
	// scheduled counts the entries that are not cancelled.
	scheduled int
	gauges    Gauges
	waiting   *indexedHeap[*entry]
	ready     *fairQueue
	// backlog holds a token after a pod was due and could not be handed out.
	backlog chan struct{}
	// changed holds a token when a consumer that sleeps should look again. One that takes something wakes the next.
	changed chan struct{}
}

// Outcome says how an attempt ended.
type Outcome int

const (
	// Finished: the pod is done with, and taken out.
	Finished Outcome = iota
	// Again: nothing went wrong, and the pod is still to go.
	Again
	// Failed: what should have worked did not.
	Failed
)

// New returns an empty queue of which so many pods are handed out at the same time, at most.
func New(clock clock.WithTicker, slots int, gauges Gauges) *Queue {
	q := &Queue{
		clock:   clock,
		entries: map[types.UID]*entry{},
		gauges:  gauges,
		waiting: &indexedHeap[*entry]{before: sooner},
		ready:   newFairQueue(),
		backlog: make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
	}
	q.SetSlots(slots)
	return q
}

// SetSlots changes how many pods are handed out at the same time, at most; 1 or more.
func (q *Queue) SetSlots(slots int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if slots == q.ready.slots {
		return
	}
	q.ready.slots = slots
	q.gauges.Slots.Set(float64(slots))
	q.wake()
}

// Set schedules a pod, or moves its deadline, and says whether the pod was not scheduled before. A backoff goes on.
func (q *Queue) Set(pod Pod, deadline time.Time) (added bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[pod.UID]
	switch {
	case e == nil:
		e = newEntry(pod)
		e.setDeadline(deadline)
		q.entries[pod.UID] = e
		q.wait(e)
		q.count(1)
		return true
	case e.place == cancelled:
		e.place, e.failures, e.rechecks = handedOut, 0, 0
		e.setDeadline(deadline)
		q.count(1)
		return true
	case !e.deadline().Equal(deadline):
		q.leave(e)
		e.setDeadline(deadline)
		if e.place != handedOut {
			q.wait(e)
		}
	}
	return false
}

// Cancel takes a pod out, and says whether it was scheduled. An attempt that has been handed out goes on; its caller finds
// out by Deadline.
func (q *Queue) Cancel(uid types.UID) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[uid]
	if e == nil || e.place == cancelled {
		return false
	}
	q.count(-1)
	q.leave(e)
	if e.place == handedOut {
		e.place = cancelled
	} else {
		delete(q.entries, uid)
	}
	return true
}

// Deadline is that of a pod, or false where it is not scheduled.
func (q *Queue) Deadline(uid types.UID) (time.Time, bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if e := q.entries[uid]; e != nil && e.place != cancelled {
		return e.deadline(), true
	}
	return time.Time{}, false
}

// Len is the number of pods that are scheduled, those that are due or handed out included.
func (q *Queue) Len() int {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.scheduled
}

// Get waits until a pod is due and hands it out. The caller must call Done with it. False when ctx is over; then nothing
// was handed out.
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
				q.wake() // another one now sleeps until what is next
			}
			q.lock.Unlock()
			return item, true
		}
		sleep := q.untilNext(now)
		q.lock.Unlock()
		timer := q.clock.NewTimer(sleep)
		select {
		case <-ctx.Done():
		case <-q.changed:
		case <-timer.C():
		}
		timer.Stop()
	}
}

// next hands out what is due and has a slot, or nil.
func (q *Queue) next(now time.Time) *entry {
	if q.ready.empty() {
		return nil
	}
	if q.ready.inFlight < q.ready.slots {
		if e := q.ready.take(now); e != nil {
			e.place = handedOut
			return e
		}
	}
	signal(q.backlog)
	return nil
}

// Waiting reports whether there are pods that are due and have not been handed out.
func (q *Queue) Waiting() bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	return !q.ready.empty()
}

// Backlog receives after a pod was due and could not be handed out, because there was no slot for it.
func (q *Queue) Backlog() <-chan struct{} { return q.backlog }

// Done ends the attempt that an item was handed out for. Unless it is finished or was cancelled meanwhile, the pod is handed
// out again when it is due and retryAfter is over; a failed attempt makes one more than the item's Failures, which the caller
// may have lowered. Failed attempts halve the limit of their node and namespace, down to one pod at a time, and others double
// it again. The first one in a namespace that does not fail after many that did ends the backoff of all others there.
func (q *Queue) Done(item Item, outcome Outcome, retryAfter time.Duration) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := q.clock.Now()
	if recovered := q.ready.release(item.Pod, outcome == Failed, now); recovered {
		q.resetBackoff(item.Namespace)
	}
	defer q.wake() // there is room
	e := q.entries[item.UID]
	if outcome == Finished || e.place == cancelled {
		if e.place != cancelled {
			q.count(-1)
		}
		delete(q.entries, item.UID)
		return
	}
	if outcome == Failed {
		e.failures, e.rechecks = int16(min(item.Failures+1, math.MaxInt16)), 0
	} else {
		e.rechecks = min(e.rechecks, math.MaxUint8-1) + 1
	}
	if retryAfter > 0 {
		e.notBefore = now.Add(retryAfter).UnixNano()
	}
	q.wait(e)
}

// count notes that so many more are scheduled.
func (q *Queue) count(more int) {
	q.scheduled += more
	q.gauges.Scheduled.Set(float64(q.scheduled))
}

// resetBackoff ends the backoff of all pods of a namespace whose last attempt failed: what was out of order is in order again. Those
// that fail once more all the same, because it is not so quite yet, begin with a short backoff.
func (q *Queue) resetBackoff(namespace string) {
	for _, e := range q.waiting.items {
		if e.failing() && e.namespace == namespace {
			e.notBefore, e.failures = 0, 1
		}
	}
	heap.Init(q.waiting)
}

// collect moves what is due from the heap to the fair queue.
func (q *Queue) collect(now time.Time) {
	q.ready.forget(now)
	for q.waiting.Len() > 0 && !now.Before(q.waiting.first().at()) {
		e := heap.Pop(q.waiting).(*entry)
		e.place = ready
		q.ready.add(e)
	}
}

// untilNext is how long a consumer may sleep.
func (q *Queue) untilNext(now time.Time) time.Duration {
	if q.waiting.Len() == 0 {
		return maxSleep
	}
	return min(q.waiting.first().at().Sub(now), maxSleep)
}

// wait puts an entry into the heap, and wakes a consumer where it would sleep past the entry.
func (q *Queue) wait(e *entry) {
	e.place = waiting
	heap.Push(q.waiting, e)
	if e.index == 0 {
		q.wake()
	}
}

// leave takes an entry out of the heap or the fair queue. What is handed out is in neither.
func (q *Queue) leave(e *entry) {
	switch e.place {
	case waiting:
		heap.Remove(q.waiting, int(e.index))
	case ready:
		q.ready.remove(e, q.clock.Now())
	}
}

// wake has one consumer look again.
func (q *Queue) wake() { signal(q.changed) }

// signal puts a token into a channel that does not have one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
