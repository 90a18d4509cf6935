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
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Deadline returns the deadline of a pod, and whether the pod is scheduled.
func (q *Queue) Deadline(uid types.UID) (deadline time.Time, scheduled bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if e := q.entries[uid]; e != nil && e.state != cancelled {
		return e.deadline(), true
	}
	return time.Time{}, false
}

// Due reports whether a pod is scheduled and its deadline has come.
func (q *Queue) Due(uid types.UID) bool {
	deadline, scheduled := q.Deadline(uid)
	return scheduled && !q.clock.Now().Before(deadline)
}

// Overdue reports whether a pod has been ready to be handed out for d and is not in flight.
func (q *Queue) Overdue(d time.Duration) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.collect(q.clock.Now().Add(-d))
	return !q.ready.empty()
}

// Len returns how many pods are scheduled, including those that are due or in flight.
func (q *Queue) Len() int {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.scheduled
}

// CountDue returns how many pods are due and not parked, and how many of them have been for longer than d, without a break. Those that are in
// flight or back off count too. A pod that was parked counts from when it was ready again.
func (q *Queue) CountDue(d time.Duration) (due, longer int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := q.clock.Now()
	q.collect(now)
	for _, since := range q.due {
		if now.Sub(since) > d {
			longer++
		}
	}
	return len(q.due), longer
}

// Waiting reports whether pods are due that are not in flight.
func (q *Queue) Waiting() bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	return !q.ready.empty()
}
