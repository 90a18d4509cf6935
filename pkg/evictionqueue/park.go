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
	"math"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Park takes back an item whose pod has to wait for something else than time. Unless the pod was cancelled meanwhile, it is handed out again
// when Wake is called for it, and at the latest after the given time. attempted says that an attempt was made, which did not fail; without
// one, the limits of the node and the namespace stay as they are.
func (q *Queue) Park(item Item, after time.Duration, attempted bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := q.clock.Now()
	if !attempted {
		q.ready.returned(item.Pod, now)
		q.wake()
		if e := q.entries[item.UID]; e.state == cancelled {
			q.drop(e)
			return
		}
	} else if !q.attemptEnded(item, false, now) {
		return
	}
	e := q.entries[item.UID]
	if attempted {
		e.rechecks = min(e.rechecks, math.MaxUint8-1) + 1
	}
	e.state = parked
	delete(q.due, e)
	q.backOff(e, now, after)
}

// Wake has a parked pod wait no longer. It reports whether the pod is going to be handed out now: one that is in flight, is not due, or waits
// otherwise is not.
func (q *Queue) Wake(uid types.UID) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[uid]
	switch {
	case e == nil:
		return false
	case e.state == ready:
		return true
	case e.state != parked:
		return false
	}
	q.remove(e)
	e.state, e.notBefore = waiting, 0
	q.wait(e)
	return !q.clock.Now().Before(e.deadline())
}

// WakeAt has a parked pod wait until a time at the latest.
func (q *Queue) WakeAt(uid types.UID, at time.Time) {
	q.lock.Lock()
	defer q.lock.Unlock()
	e := q.entries[uid]
	if e == nil || e.state != parked || !at.Before(time.Unix(0, e.notBefore)) {
		return
	}
	q.remove(e)
	e.notBefore = at.UnixNano()
	q.wait(e)
}
