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
	"testing"
	"time"
)

func TestParkedPodIsHandedOutWhenWoken(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		for _, attempted := range []bool{false, true} {
			q.Park(get(t, q), time.Hour, attempted)
			if q.Waiting() || q.Overdue(time.Second) || !q.Due("a") || q.Len() != 1 {
				t.Errorf("waiting %v, overdue %v, due %v, length %d", q.Waiting(), q.Overdue(time.Second), q.Due("a"), q.Len())
			}
			none(t, q, 1000)
			if !q.Wake("a") {
				t.Error("not woken")
			}
			if item := get(t, q); item.Rechecks != map[bool]int{false: 0, true: 2}[attempted] || item.FailedAttempts != 0 {
				t.Errorf("item %+v", item)
			} else {
				q.Recheck(item, 0)
			}
		}
	})
}

func TestParkedPodIsHandedOutAtTheLatest(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		q.Park(get(t, q), time.Minute, false)
		none(t, q, 59.9)
		time.Sleep(100 * time.Millisecond)
		if get(t, q).UID != "a" {
			t.Error("not handed out")
		}
	})
}

func TestWakeAtShortensTheWait(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.WakeAt("a", after(1)) // is not scheduled
		q.Set(pod("a"), after(0))
		q.Park(get(t, q), time.Hour, false)
		q.WakeAt("a", after(7200))
		q.WakeAt("a", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)) // more nanoseconds than there are
		q.WakeAt("a", after(60))
		q.WakeAt("a", after(90))
		none(t, q, 59.9)
		time.Sleep(100 * time.Millisecond)
		item := get(t, q)
		q.WakeAt("a", after(61)) // is in flight
		q.Recheck(item, time.Hour)
		q.WakeAt("a", after(62)) // backs off
		none(t, q, 3599.9)
	})
}

func TestWakeWakesParkedPodsOnly(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		if q.Wake("a") {
			t.Error("woke a pod that is not scheduled")
		}
		q.Set(pod("a"), after(10))
		if q.Wake("a") {
			t.Error("woke a pod that is not due")
		}
		time.Sleep(10 * time.Second)
		item := get(t, q)
		if q.Wake("a") {
			t.Error("woke a pod in flight")
		}
		q.Retry(item, 10*time.Second)
		if q.Wake("a") {
			t.Error("woke a pod that backs off")
		}
		none(t, q, 9.9)
		time.Sleep(100 * time.Millisecond)
		q.Recheck(get(t, q), 10*time.Second)
		if q.Wake("a") {
			t.Error("woke a pod that is checked again later")
		}
		none(t, q, 9.9)
		time.Sleep(100 * time.Millisecond)
		q.Park(get(t, q), time.Hour, true)
		if !q.Wake("a") {
			t.Error("did not wake a parked pod")
		}
		if q.Overdue(0); !q.Wake("a") {
			t.Error("says that a pod that is ready is not handed out")
		}
		get(t, q)
	})
}

func TestParkedPodThatMoves(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		q.Park(get(t, q), time.Hour, false)
		q.Set(pod("a"), after(60))
		if q.Wake("a") {
			t.Error("says that a pod that is not due is handed out")
		}
		none(t, q, 59.9)
		time.Sleep(100 * time.Millisecond)
		item := get(t, q)
		q.Park(item, time.Hour, false)
		q.Set(pod("a"), after(-1))
		none(t, q, 1000)
		if !q.Wake("a") {
			t.Error("not woken after its deadline moved")
		}
		get(t, q)
	})
}

func TestParkedPodThatIsCancelled(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		for _, attempted := range []bool{false, true} {
			q.Set(pod("a"), after(0))
			q.Park(get(t, q), time.Minute, attempted)
			if !cancel(q, "a") || q.Wake("a") || q.Len() != 0 {
				t.Errorf("length %d", q.Len())
			}
			none(t, q, 100)
			q.Set(pod("a"), after(0))
			item := get(t, q)
			q.Cancel("a")
			q.Park(item, time.Minute, attempted) // cancelled in flight
			none(t, q, 100)
			if len(q.entries) != 0 {
				t.Errorf("%d entries", len(q.entries))
			}
		}
	})
}

// TestParkedPodsTakeNoRoom has a queue with room for one.
func TestParkedPodsTakeNoRoom(t *testing.T) {
	bubble(t, 1, func(t *testing.T, q *Queue) {
		for _, name := range []string{"a", "b", "c"} {
			q.Set(pod(name), after(0))
		}
		for range 3 {
			q.Park(get(t, q), time.Hour, false)
		}
		none(t, q, 1)
		for _, name := range []string{"c", "a"} {
			q.Wake(pod(name).UID)
			if item := get(t, q); item.Name != name {
				t.Errorf("handed out %s", item.Name)
			} else {
				q.Done(item)
			}
		}
		if len(q.ready.nodes)+len(q.ready.namespaces) != 0 {
			t.Errorf("remembers %d nodes and %d namespaces", len(q.ready.nodes), len(q.ready.namespaces))
		}
	})
}

// TestParkingIsNoSuccess has the limit of a node after failures be as it was, and no backoff be reset.
func TestParkingIsNoSuccess(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			q.Set(pod(name), after(0))
		}
		for range recoveryFailures {
			q.Retry(get(t, q), time.Hour)
		}
		limit, failures := q.ready.nodes["n"].limit, q.ready.namespaces["ns"].failures
		q.Park(get(t, q), time.Minute, false)
		if q.ready.nodes["n"].limit != limit || q.ready.namespaces["ns"].failures != failures {
			t.Errorf("limit %d, was %d; %d failures, were %d", q.ready.nodes["n"].limit, limit, q.ready.namespaces["ns"].failures, failures)
		}
		none(t, q, 59.9)
	})
}

// TestRecoveryLeavesParkedPodsAlone has a namespace recover while a pod of it, which failed before, is parked.
func TestRecoveryLeavesParkedPodsAlone(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("parked"), after(0))
		q.Retry(get(t, q), 0)
		q.Park(get(t, q), time.Hour, false)
		for range recoveryFailures {
			q.Set(pod("a"), after(0))
			q.Retry(get(t, q), 0)
		}
		q.Done(get(t, q)) // a succeeds
		none(t, q, 1000)
		if !q.Wake("parked") {
			t.Error("not woken")
		}
	})
}
