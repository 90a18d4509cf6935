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
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeQueue has pods waiting unless it is idle.
type fakeQueue struct {
	limit   atomic.Int64
	idle    atomic.Bool
	backlog chan struct{}
}

func (q *fakeQueue) SetConcurrencyLimit(limit int) { q.limit.Store(int64(limit)) }
func (q *fakeQueue) Waiting() bool                 { return !q.idle.Load() }
func (q *fakeQueue) Backlog() <-chan struct{}      { return q.backlog }

func (q *fakeQueue) allowed() int { return int(q.limit.Load()) }

// gauge is the last value that was set.
type gauge struct{ value float64 }

func (g *gauge) Set(v float64) { g.value = v }

var (
	deleted    = Result{Outcome: Deleted}
	overloaded = Result{Outcome: Failed, Overloaded: true}
)

// limiter returns a limiter and its queue.
func limiter(most int) (*ConcurrencyLimiter, *fakeQueue) {
	q := &fakeQueue{backlog: make(chan struct{}, 1)}
	return NewConcurrencyLimiter(q, &gauge{}, most, false), q
}

// server takes a least time for each eviction, and has as many workers as evictions that it works on at the same time.
type server struct {
	limiter *ConcurrencyLimiter
	queue   *fakeQueue
	least   time.Duration
	workers int

	free ends // when each worker has done what it has to do
}

func newServer(most int, least time.Duration, workers int) *server {
	l, q := limiter(most)
	return &server{l, q, least, workers, nil}
}

// ends is a heap of moments.
type ends []time.Time

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].Before(e[j]) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(time.Time)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// serve evicts for some time, as many pods at the same time as allowed, and returns the evictions per second.
func (s *server) serve(d time.Duration, random *rand.Rand) float64 {
	s.free = nil
	for range s.workers {
		heap.Push(&s.free, time.Now())
	}
	var running ends
	attempts := map[time.Time][]*Attempt{} // by their ends
	done, checked := 0, time.Now()
	finish := func(answer time.Time, result Result) {
		a := attempts[answer]
		attempts[answer] = a[1:]
		s.limiter.End(a[0], result)
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		for len(running) < s.queue.allowed() {
			attempt := s.limiter.Begin()
			worker := heap.Pop(&s.free).(time.Time)
			if worker.Before(time.Now()) {
				worker = time.Now()
			}
			answer := worker.Add(time.Duration(float64(s.least) * (0.7 + 0.6*random.Float64())))
			heap.Push(&s.free, answer)
			heap.Push(&running, answer)
			attempts[answer] = append(attempts[answer], attempt)
		}
		answer := heap.Pop(&running).(time.Time)
		time.Sleep(time.Until(answer))
		finish(answer, deleted)
		if time.Since(checked) >= checkInterval {
			checked = time.Now()
			s.limiter.check()
		}
		done++
	}
	for _, answer := range running {
		finish(answer, Result{Outcome: NotDue})
	}
	return float64(done) / d.Seconds()
}

func TestLimiterHalvesWhenOverloaded(t *testing.T) {
	for name, err := range map[string]error{
		"429": apierrors.NewTooManyRequests("slow down", 1), "server timeout": apierrors.NewTimeoutError("later", 1),
		"no answer": fmt.Errorf("reading: %w", context.DeadlineExceeded),
	} {
		l, q := limiter(100)
		for _, want := range []int{8, 4, 4, 4} {
			if l.End(l.Begin(), Result{Outcome: Failed, Overloaded: isOverload(err)}); q.allowed() != want {
				t.Errorf("%s: limit %d, want %d", name, q.allowed(), want)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newServer(100, 50*time.Millisecond, 50)
		for range 10 {
			s.limiter.End(s.limiter.Begin(), overloaded)
		}
		if s.serve(10*time.Second, rand.New(rand.NewPCG(1, 1))); s.queue.allowed() < 50 {
			t.Errorf("limit %d, 10 s after the API server had too much to do", s.queue.allowed())
		}
	})
	l, q := limiter(100)
	webhook := &apierrors.StatusError{ErrStatus: metav1.Status{
		Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Message: `admission webhook "quota.example.com" denied the request: one at a time`,
	}}
	for range 1000 {
		l.End(l.Begin(), Result{Outcome: Failed, Overloaded: isOverload(errors.New("another"))})
		l.End(l.Begin(), Result{Outcome: Failed, Overloaded: isOverload(webhook)})
	}
	if q.allowed() != initialLimit {
		t.Errorf("limit %d after errors that say nothing of the load", q.allowed())
	}
}

// TestLimiterDoublesWithinARoundTrip starts low, so that the first pods do not wait for each other, and soon keeps an API server busy.
func TestLimiterDoublesWithinARoundTrip(t *testing.T) {
	l, q := limiter(400)
	for _, want := range []int{32, 64, 64} {
		for range q.allowed() {
			l.End(l.Begin(), deleted)
		}
		if q.allowed() != want {
			t.Errorf("limit %d, want %d", q.allowed(), want)
		}
	}
}

// TestLimiterRecoversSlowly has a small API server, which is seldom overloaded.
func TestLimiterRecoversSlowly(t *testing.T) {
	const workers, evictions = 8, 1000
	l, q := limiter(400)
	refused := 0
	for done := 0; done < evictions; {
		if q.allowed() > workers {
			refused++
			l.End(l.Begin(), overloaded)
			continue
		}
		done++
		l.End(l.Begin(), deleted)
	}
	if refused > evictions/20 {
		t.Errorf("it had too much to do %d times in %d evictions", refused, evictions)
	}
}

func TestLimiterHalvesOnceForAllInFlight(t *testing.T) {
	l, q := limiter(100)
	var running []*Attempt
	for range 20 {
		running = append(running, l.Begin())
	}
	l.End(running[0], Result{Outcome: Deleted, Overloaded: true})
	l.End(running[1], Result{Outcome: Deleted, Overloaded: true})
	for _, a := range running {
		l.End(a, overloaded)
	}
	if q.allowed() != initialLimit/2 {
		t.Errorf("limit %d after 20 attempts at the same time were too many", q.allowed())
	}
}

func TestLimiterNeedsDemand(t *testing.T) {
	l, q := limiter(100)
	q.idle.Store(true)
	for range 1000 { // never more than one at a time
		l.End(l.Begin(), deleted)
	}
	if q.allowed() != initialLimit {
		t.Errorf("limit %d, though they were never in use", q.allowed())
	}
	if _, q := limiter(3); q.allowed() != 3 {
		t.Errorf("limit %d, and 3 are allowed", q.allowed())
	}
}

// TestLimiterRaisesWhileAttemptsWait has attempts that use up the limit and do not end.
func TestLimiterRaisesWhileAttemptsWait(t *testing.T) {
	for _, test := range []struct {
		name    string
		limited bool
		// before is how the first attempts end.
		before func(l *ConcurrencyLimiter)
		// soon and late are the limits after 2.5 s and after 13 s.
		soon, late int
	}{
		{"nothing is known", false, func(*ConcurrencyLimiter) {}, 100, 400},
		{"others are quick", false, func(l *ConcurrencyLimiter) {
			a := l.Begin()
			time.Sleep(10 * time.Millisecond)
			l.End(a, deleted)
		}, 100, 400},
		{"others take as long", false, func(l *ConcurrencyLimiter) {
			a := l.Begin()
			time.Sleep(5 * time.Second)
			l.End(a, deleted)
		}, initialLimit + 1, initialLimit + 1},
		{"the API server had too much to do", false, func(l *ConcurrencyLimiter) {
			l.End(l.Begin(), overloaded)
		}, initialLimit / 2, initialLimit / 2},
		{"the client has a rate limit", true, func(*ConcurrencyLimiter) {}, initialLimit, initialLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &fakeQueue{backlog: make(chan struct{}, 1)}
				l := NewConcurrencyLimiter(q, &gauge{}, 400, test.limited)
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { l.Run(ctx) })
				q.backlog <- struct{}{}
				synctest.Wait()
				test.before(l)
				used := 0
				for i := range 130 {
					for ; used < q.allowed()*4/5; used++ {
						l.Begin()
					}
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					if i == 24 && q.allowed() != test.soon {
						t.Errorf("limit %d after 2.5 s, want %d", q.allowed(), test.soon)
					}
				}
				if q.allowed() != test.late {
					t.Errorf("limit %d after 13 s, want %d", q.allowed(), test.late)
				}
				cancel()
				running.Wait()
			})
		})
	}
}

func TestLimiterForgetsAfterAMinuteWithoutBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, q := limiter(400)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		q.backlog <- struct{}{}
		for range 400 {
			l.Begin()
		}
		time.Sleep(15 * time.Second)
		q.idle.Store(true)
		for _, step := range []struct {
			pause time.Duration
			want  int
		}{{50 * time.Second, 400}, {61 * time.Second, initialLimit}} {
			time.Sleep(step.pause)
			q.backlog <- struct{}{}
			synctest.Wait()
			if q.allowed() != step.want {
				t.Errorf("limit %d when pods wait again after %v, want %d", q.allowed(), step.pause, step.want)
			}
		}
		cancel()
		running.Wait()
	})
}

// TestGaugeIsTheLimitOfTheQueue ends attempts in many goroutines.
func TestGaugeIsTheLimitOfTheQueue(t *testing.T) {
	q, g := &fakeQueue{}, &gauge{}
	l := NewConcurrencyLimiter(q, g, 400, false)
	for range 200 {
		var attempts sync.WaitGroup
		for i := range 8 {
			attempts.Go(func() { l.End(l.Begin(), []Result{deleted, overloaded}[i%2]) })
		}
		attempts.Wait()
		if g.value != float64(q.allowed()) {
			t.Fatalf("the gauge says %v, and the limit is %d", g.value, q.allowed())
		}
	}
}

func TestCeilingRisesWithEachDeletion(t *testing.T) {
	l, q := limiter(400)
	l.SetCeiling(3)
	for i, step := range []struct {
		result Result
		want   int
	}{{Result{Outcome: NotDue}, 3}, {deleted, 4}, {deleted, 5}, {Result{Outcome: Failed}, 5}} {
		if l.End(l.Begin(), step.result); q.allowed() != step.want {
			t.Errorf("limit %d after attempt %d, want %d", q.allowed(), i, step.want)
		}
	}
	if l.SetCeiling(0); q.allowed() != initialLimit+2 {
		t.Errorf("limit %d without a ceiling", q.allowed())
	}
}
