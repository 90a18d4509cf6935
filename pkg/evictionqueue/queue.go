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
}

// Queue is the timed queue. It is safe for concurrent use.
type Queue struct {
	clock clock.WithTicker

	lock    sync.Mutex
	entries map[types.UID]*entry
	// scheduled counts the entries that are not called off.
	scheduled int
	waiting   *entryHeap
	ready     *ring
	// slots is how many pods may be handed out at the same time, and handedOut how many are.
	slots, handedOut int
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
func New(clock clock.WithTicker, slots int) *Queue {
	q := &Queue{
		clock:   clock,
		entries: map[types.UID]*entry{},
		waiting: &entryHeap{before: sooner},
		ready:   newRing(),
		changed: make(chan struct{}, 1),
	}
	q.SetSlots(slots)
	return q
}

// SetSlots changes how many pods are handed out at the same time, at most; 1 or more. At most half of these, and at least one,
// are of one node or of one namespace.
func (q *Queue) SetSlots(slots int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if slots == q.slots {
		return
	}
	q.slots = slots
	q.ready.widen((slots + 1) / 2)
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
		q.scheduled++
		return true
	case e.place == calledOff:
		e.place, e.failures = handedOut, 0
		e.setDeadline(deadline)
		q.scheduled++
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
	if e == nil || e.place == calledOff {
		return false
	}
	q.scheduled--
	q.leave(e)
	if e.place == handedOut {
		e.place = calledOff
	} else {
		delete(q.entries, uid)
	}
	return true
}

// Deadline is that of a pod, or false where it is not scheduled.
func (q *Queue) Deadline(uid types.UID) (time.Time, bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if e := q.entries[uid]; e != nil && e.place != calledOff {
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
		if e := q.next(); e != nil {
			e.place = handedOut
			q.handedOut++
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

// next takes out what is due and has a slot, or nil.
func (q *Queue) next() *entry {
	if q.handedOut >= q.slots {
		return nil
	}
	return q.ready.take()
}

// Busy says whether there are pods that are due and wait only for a slot.
func (q *Queue) Busy() bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.handedOut >= q.slots && !q.ready.empty()
}

// Done ends the attempt that an item was handed out for. Unless it is finished or was cancelled meanwhile, the pod is handed
// out again when it is due and retryAfter is over; an attempt with that above zero makes one more than the item's Failures,
// which the caller may have lowered. Failed attempts
// halve the share of their node and namespace, down to one pod at a time, and others double it again. The first one in a
// namespace that does not fail after many that did ends the backoff of all others there.
func (q *Queue) Done(item Item, outcome Outcome, retryAfter time.Duration) {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.handedOut--
	if recovered := q.ready.release(item.Pod, outcome != Failed); recovered {
		q.hurry(item.Namespace)
	}
	defer q.wake() // a share has become free
	e := q.entries[item.UID]
	if outcome == Finished || e.place == calledOff {
		if e.place != calledOff {
			q.scheduled--
		}
		delete(q.entries, item.UID)
		if len(q.entries) == 0 {
			q.ready.reset()
		}
		return
	}
	e.failing = outcome == Failed
	if retryAfter > 0 {
		e.failures = int16(min(item.Failures+1, math.MaxInt16))
		e.notBefore = q.clock.Now().Add(retryAfter).UnixNano()
	}
	q.wait(e)
}

// hurry ends the backoff of all pods of a namespace whose last attempt failed: what was out of order is in order again. Those
// that fail once more all the same, because it is not so quite yet, begin with a short backoff.
func (q *Queue) hurry(namespace string) {
	for _, e := range q.waiting.entries {
		if e.failing && e.namespace == namespace {
			e.notBefore, e.failures = 0, 1
		}
	}
	heap.Init(q.waiting)
}

// collect moves what is due from the heap to the ready ring.
func (q *Queue) collect(now time.Time) {
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

// leave takes an entry out of the heap or the ring. What is handed out is in neither.
func (q *Queue) leave(e *entry) {
	switch e.place {
	case waiting:
		heap.Remove(q.waiting, int(e.index))
	case ready:
		q.ready.remove(e)
	}
}

// wake has one consumer look again.
func (q *Queue) wake() {
	select {
	case q.changed <- struct{}{}:
	default: // one is about to
	}
}
