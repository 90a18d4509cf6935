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

func TestOverdue(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		want := func(want bool) {
			t.Helper()
			if q.Overdue(2*time.Second) != want {
				t.Errorf("overdue: %v", !want)
			}
		}
		want(false)
		q.Set(pod("a"), after(10))
		time.Sleep(11 * time.Second)
		want(false)
		time.Sleep(time.Second)
		want(true)
		q.Set(pod("a"), after(10)) // moved to later, after it was seen to be overdue
		want(false)
		none(t, q, 9)
		time.Sleep(4 * time.Second)
		want(true)
		item := get(t, q)
		want(false) // an attempt is in flight
		q.Retry(item, 5*time.Second)
		want(false)
		time.Sleep(7 * time.Second)
		want(true)
		q.Cancel("a")
		want(false)
	})
}

func TestDue(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		want := func(want bool) {
			t.Helper()
			if q.Due("a") != want {
				t.Errorf("due: %v", !want)
			}
		}
		want(false)
		q.Set(pod("a"), after(10))
		want(false)
		time.Sleep(10 * time.Second)
		want(true)
		item := get(t, q)
		want(true) // in flight
		q.Retry(item, time.Hour)
		want(true) // a backoff does not move the deadline
		q.Set(pod("a"), after(1))
		want(false)
		time.Sleep(time.Second)
		want(true)
		q.Cancel("a")
		want(false)
	})
}
