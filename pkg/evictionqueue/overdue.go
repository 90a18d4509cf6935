package evictionqueue

import "time"

// Overdue reports whether there is a pod that has been due for longer than d and has not been handed out. What a consumer has found
// due, and waits for a slot, counts at once.
func (q *Queue) Overdue(d time.Duration) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.collect(q.clock.Now().Add(-d))
	return !q.ready.empty()
}
