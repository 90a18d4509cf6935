package evictor

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

// server answers after a time that it takes at least, and works on so many evictions at the same time.
type server struct {
	pace    *Pace
	least   time.Duration
	workers int

	free ends // when each worker has done what it has to do
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

// serve has evictions go on for some time, as many as there may, and returns how many ended in a second.
func (s *server) serve(d time.Duration, random *rand.Rand) float64 {
	s.free = nil
	for range s.workers {
		heap.Push(&s.free, time.Now())
	}
	var running ends
	done := 0
	for end := time.Now().Add(d); time.Now().Before(end); {
		for len(running) < s.pace.Slots() {
			s.pace.Begin()
			worker := heap.Pop(&s.free).(time.Time)
			if worker.Before(time.Now()) {
				worker = time.Now()
			}
			answer := worker.Add(time.Duration(float64(s.least) * (0.7 + 0.6*random.Float64())))
			heap.Push(&s.free, answer)
			heap.Push(&running, answer)
		}
		answer := heap.Pop(&running).(time.Time)
		time.Sleep(time.Until(answer))
		s.pace.End(true, nil)
		done++
	}
	for range running {
		s.pace.End(false, nil)
	}
	return float64(done) / d.Seconds()
}

func TestPaceFindsWhatDoesGood(t *testing.T) {
	for _, test := range []struct {
		name        string
		least       time.Duration
		workers     int
		fewest, top int
	}{
		{"a small server", 10 * time.Millisecond, 3, 3, 9},
		{"a large server", 50 * time.Millisecond, 40, 40, 100},
		{"a server without bounds, far away", 200 * time.Millisecond, 1000, 100, 100},
		{"one at a time", 10 * time.Millisecond, 1, 4, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(2) {
				synctest.Test(t, func(t *testing.T) {
					s := &server{NewPace(clock.RealClock{}, 100), test.least, test.workers, nil}
					random := rand.New(rand.NewPCG(seed, 0))
					s.serve(10*time.Second, random)
					rate := s.serve(40*time.Second, random)
					best := float64(min(100, test.workers)) / test.least.Seconds()
					if n := s.pace.slots; n < test.fewest || n > test.top || rate < 0.93*best {
						t.Errorf("%d slots, want %d to %d; %.0f evictions/s, and %.0f would be possible", n, test.fewest, test.top, rate, best)
					}
				})
			}
		})
	}
}

func TestPaceFollowsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 1))
		s := &server{NewPace(clock.RealClock{}, 100), 50 * time.Millisecond, 50, nil}
		for _, step := range []struct{ workers, fewest, most int }{{50, 50, 100}, {4, 4, 12}, {50, 50, 100}} {
			s.workers = step.workers
			s.serve(100*time.Second, random)
			if n := s.pace.slots; n < step.fewest || n > step.most {
				t.Errorf("%d workers: %d slots, want %d to %d", step.workers, n, step.fewest, step.most)
			}
		}
	})
}

func TestPaceHalvesWhenItIsTooMuch(t *testing.T) {
	for name, err := range map[string]error{
		"429": apierrors.NewTooManyRequests("slow down", 1), "server timeout": apierrors.NewTimeoutError("later", 1),
		"no answer": context.DeadlineExceeded,
	} {
		p := NewPace(clock.RealClock{}, 100)
		for _, want := range []int{10, 5, 4, 4} {
			p.Begin()
			if got := p.End(false, err); got != want {
				t.Errorf("%s: %d slots, want %d", name, got, want)
			}
		}
	}
	slow := NewPace(clock.RealClock{}, 100)
	if slow.Overloaded(); slow.Slots() != firstSlots/2 {
		t.Errorf("%d slots after a slow read", slow.Slots())
	}
	synctest.Test(t, func(t *testing.T) {
		s := &server{NewPace(clock.RealClock{}, 100), 50 * time.Millisecond, 50, nil}
		for range 10 {
			s.pace.Begin()
			s.pace.End(false, apierrors.NewTooManyRequests("slow down", 1))
		}
		if s.serve(10*time.Second, rand.New(rand.NewPCG(1, 1))); s.pace.Slots() < 50 {
			t.Errorf("%d slots, 10 s after the API server had too much to do", s.pace.Slots())
		}
	})
	p := NewPace(clock.RealClock{}, 100)
	for range 1000 {
		p.Begin()
		p.End(false, errors.New("another"))
	}
	if got := p.Slots(); got != firstSlots {
		t.Errorf("%d slots after errors that say nothing of the load", got)
	}
}

func TestPaceNeedsDemand(t *testing.T) {
	p := NewPace(clock.RealClock{}, 100)
	for range 1000 { // never more than one at a time
		p.Begin()
		p.End(true, nil)
	}
	if got := p.Slots(); got != firstSlots {
		t.Errorf("%d slots, though they were never in use", got)
	}
	if got := NewPace(clock.RealClock{}, 3).Slots(); got != 3 {
		t.Errorf("%d slots, and 3 are allowed", got)
	}
}
