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

// counts fails the test unless so many pods are due, and have been for more than 30 s.
func counts(t *testing.T, q *Queue, due, longer int) {
	t.Helper()
	if d, l := q.CountDue(30 * time.Second); d != due || l != longer {
		t.Errorf("%d pods are due and %d for more than 30 s, want %d and %d", d, l, due, longer)
	}
}

func TestCountDue(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(-3600)) // since before there was a queue
		q.Set(pod("b"), after(10))
		counts(t, q, 1, 0)
		time.Sleep(10 * time.Second)
		counts(t, q, 2, 0)
		a := get(t, q)
		time.Sleep(21 * time.Second)
		counts(t, q, 2, 1) // in flight
		q.Retry(a, time.Minute)
		counts(t, q, 2, 1) // backs off
		time.Sleep(10 * time.Second)
		counts(t, q, 2, 2)
		q.Done(get(t, q)) // b
		counts(t, q, 1, 1)
		time.Sleep(time.Minute)
		q.Done(get(t, q))
		counts(t, q, 0, 0)
		if len(q.due) != 0 {
			t.Errorf("%d are remembered that are gone", len(q.due))
		}
	})
}

// TestParkedPodsAreNotDue has a pod be held for an hour, by which it is not overdue, and then be ready again.
func TestParkedPodsAreNotDue(t *testing.T) {
	for name, end := range map[string]func(q *Queue){
		"woken":             func(q *Queue) { time.Sleep(time.Hour - 1); q.Wake("a"); time.Sleep(time.Nanosecond) },
		"after its time":    func(*Queue) { time.Sleep(time.Hour) },
		"woken at its time": func(q *Queue) { q.WakeAt("a", after(600)); time.Sleep(600 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 20, func(t *testing.T, q *Queue) {
				q.Set(pod("a"), after(0))
				counts(t, q, 1, 0)
				q.Park(get(t, q), time.Hour, true)
				counts(t, q, 0, 0)
				end(q)
				counts(t, q, 1, 0)
				time.Sleep(30 * time.Second)
				counts(t, q, 1, 0)
				time.Sleep(time.Second)
				counts(t, q, 1, 1)
			})
		})
	}
}

// TestLaterDeadlineEndsOverdue has the deadline of a pod be moved.
func TestLaterDeadlineEndsOverdue(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		q.Set(pod("b"), after(0))
		counts(t, q, 2, 0)
		time.Sleep(31 * time.Second)
		counts(t, q, 2, 2)
		q.Set(pod("a"), after(-5)) // is due all the same
		counts(t, q, 2, 2)
		q.Set(pod("a"), after(20))
		counts(t, q, 1, 1)
		time.Sleep(20 * time.Second)
		counts(t, q, 2, 1)
		q.Cancel("a")
		counts(t, q, 1, 1)
		b := get(t, q)
		q.Cancel("b") // in flight
		counts(t, q, 0, 0)
		q.Set(pod("b"), after(0))
		q.Recheck(b, 0)
		counts(t, q, 1, 0)
		q.Park(get(t, q), time.Hour, false)
		q.Cancel("b")
		counts(t, q, 0, 0)
		if len(q.due)+len(q.entries) != 0 {
			t.Errorf("%d and %d are remembered that are gone", len(q.due), len(q.entries))
		}
	})
}
