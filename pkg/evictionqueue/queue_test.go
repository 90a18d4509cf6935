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
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unique"
	"unsafe"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// gauge is the last value that was set.
type gauge struct{ value float64 }

func (g *gauge) Set(v float64) { g.value = v }

type noGauge struct{}

func (noGauge) Set(float64) {}

// done is Done with the signature of Recheck and Retry.
func done(q *Queue) func(Item, time.Duration) {
	return func(item Item, _ time.Duration) { q.Done(item) }
}

// cancel is Cancel without what was cancelled.
func cancel(q *Queue, uid types.UID) bool {
	_, scheduled := q.Cancel(uid)
	return scheduled
}

func pod(uid string, where ...string) Pod {
	p := Pod{UID: types.UID(uid), Namespace: "ns", Name: uid, Node: "n"}
	if len(where) == 2 {
		p.Node, p.Namespace = where[0], where[1]
	}
	return p
}

func after(seconds float64) time.Time {
	return time.Now().Add(time.Duration(seconds * float64(time.Second)))
}

// bubble runs a test in virtual time with a queue that has a concurrency limit.
func bubble(t *testing.T, limit int, test func(t *testing.T, q *Queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, New(clock.RealClock{}, limit, noGauge{})) })
}

// get returns the item that is handed out at once, or fails the test.
func get(t *testing.T, q *Queue) Item {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	item, ok := q.Get(ctx)
	if !ok {
		t.Fatal("nothing is due")
	}
	return item
}

// none fails the test if an item is handed out within some seconds.
func none(t *testing.T, q *Queue, seconds float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	if item, ok := q.Get(ctx); ok {
		t.Fatalf("handed out %v", item)
	}
}

// has reports whether the pod "a" is scheduled.
func has(q *Queue) bool {
	_, ok := q.Deadline("a")
	return ok
}

func TestHandsOutWhenDue(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		begin := time.Now()
		if !q.Set(pod("b"), after(20)) || !q.Set(pod("a"), after(10)) || q.Set(pod("a"), after(10)) {
			t.Error("Set does not say what is new")
		}
		for i, want := range []string{"a", "b"} {
			item, ok := q.Get(t.Context())
			if at := time.Duration(10*(i+1)) * time.Second; !ok || item.Name != want || time.Since(begin) != at {
				t.Errorf("handed out %v after %v", item, time.Since(begin))
			}
		}
		if q.Len() != 2 {
			t.Errorf("length %d", q.Len())
		}
	})
}

func TestMoves(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("earlier"), after(100))
		q.Set(pod("later"), after(10))
		handed := make(chan string)
		go func() {
			for {
				item, ok := q.Get(t.Context())
				if !ok {
					return
				}
				handed <- item.Name
			}
		}()
		synctest.Wait() // asleep until 10
		begin := time.Now()
		q.Set(pod("earlier"), after(5))
		q.Set(pod("later"), after(50))
		if name := <-handed; name != "earlier" || time.Since(begin) != 5*time.Second {
			t.Errorf("%s after %v", name, time.Since(begin))
		}
		if name := <-handed; name != "later" || time.Since(begin) != 50*time.Second {
			t.Errorf("%s after %v", name, time.Since(begin))
		}
	})
}

func TestMovesWhatIsDue(t *testing.T) {
	bubble(t, 2, func(t *testing.T, q *Queue) {
		q.Set(pod("first"), after(0))
		q.Set(pod("second"), after(0.1))
		time.Sleep(time.Second)
		first := get(t, q)
		none(t, q, 1) // second is due, and has no room
		q.Set(pod("second"), after(10))
		q.Done(first)
		none(t, q, 9.9)
		q.Cancel("second")
		none(t, q, 10)
		if q.Len() != 0 {
			t.Errorf("length %d", q.Len())
		}
	})
}

func TestOneGetAlwaysWaitsForTheNext(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		begin := time.Now()
		late, end := make(chan time.Duration, 2), make(chan struct{})
		defer close(end)
		for range 2 {
			go func() {
				item, _ := q.Get(t.Context())
				late <- time.Since(item.Deadline)
				<-end // as if the eviction took long
			}()
		}
		synctest.Wait() // both sleep for long
		q.Set(pod("second"), after(1))
		synctest.Wait() // one of them sleeps until then
		q.Set(pod("first"), after(0))
		for range 2 {
			if l := <-late; l > 0 {
				t.Errorf("%v late, after %v", l, time.Since(begin))
			}
		}
	})
}

func TestCancelWhatHasNoRoom(t *testing.T) {
	bubble(t, 2, func(t *testing.T, q *Queue) {
		q.Set(pod("first"), after(0))
		q.Set(pod("second"), after(0))
		first := get(t, q)
		none(t, q, 1)
		for _, uid := range []types.UID{"first", "second"} {
			if uid != first.UID && !cancel(q, uid) {
				t.Error("was not there")
			}
		}
		q.Done(first)
		none(t, q, 100)
	})
}

func TestCancels(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(10))
		if !has(q) || !cancel(q, "a") || cancel(q, "a") || has(q) || q.Len() != 0 {
			t.Error("Cancel does not say what was there")
		}
		none(t, q, 100)
	})
}

// TestCausesAreHandedOut has the cause of a deadline, as it was set last, come out with the pod, and with what is cancelled.
func TestCausesAreHandedOut(t *testing.T) {
	cause := func(key string) unique.Handle[deadline.Cause] { return unique.Make(deadline.Cause{Key: key}) }
	caused := func(uid, key string) Pod {
		p := pod(uid)
		p.Cause = cause(key)
		return p
	}
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(caused("a", "first"), after(10))
		q.Set(caused("a", "second"), after(20))
		if was, scheduled := q.Cancel("a"); !scheduled || was.InFlight || was.Cause != cause("second") || !was.Deadline.Equal(after(20)) || was.Namespace != "ns" {
			t.Errorf("cancelled: got %+v, %v", was, scheduled)
		}
		q.Set(caused("b", "third"), after(0))
		item := get(t, q)
		q.Set(caused("b", "fourth"), after(0))
		if item.Cause != cause("third") {
			t.Errorf("handed out: got %+v", item)
		}
		if was, scheduled := q.Cancel("b"); !scheduled || !was.InFlight || was.Cause != cause("fourth") {
			t.Errorf("cancelled in flight: got %+v, %v", was, scheduled)
		}
		if was, scheduled := q.Cancel("b"); scheduled {
			t.Errorf("cancelled twice: %+v", was)
		}
	})
}

// TestSizeOfAnEntry guards what a scheduled pod costs.
func TestSizeOfAnEntry(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 96 {
		t.Errorf("an entry takes %d bytes, and the next size of an allocation is 112", size)
	}
}

func TestWhatIsHandedOutIsNotHandedOutTwice(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		item := get(t, q)
		q.Set(pod("a"), after(-5))
		none(t, q, 10)
		if !cancel(q, "a") || has(q) || q.Len() != 0 {
			t.Error("cannot cancel what is handed out")
		}
		if !q.Set(pod("a"), after(5)) || !has(q) {
			t.Error("cannot set what was cancelled")
		}
		none(t, q, 10)
		q.Recheck(item, 0)
		if again := get(t, q); again.FailedAttempts != 0 {
			t.Errorf("failed %d times", again.FailedAttempts)
		}
	})
}

func TestDone(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("finished"), after(0))
		q.Done(get(t, q))
		none(t, q, 10)
		q.Set(pod("cancelled"), after(0))
		item := get(t, q)
		q.Cancel("cancelled")
		q.Recheck(item, time.Second)
		none(t, q, 10)
		if len(q.entries) != 0 || q.Len() != 0 {
			t.Errorf("left: %v", q.entries)
		}
	})
}

func TestBackoff(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		q.Retry(get(t, q), 10*time.Second)
		if at, ok := q.Deadline("a"); !ok || at.After(time.Now()) {
			t.Error("a backoff does not move the deadline")
		}
		none(t, q, 5)
		q.Set(pod("a"), after(-1)) // moving does not end the backoff
		none(t, q, 4.9)
		time.Sleep(100 * time.Millisecond)
		item := get(t, q)
		q.Set(pod("a"), after(60))
		q.Recheck(item, 0)
		none(t, q, 59)
	})
}

func TestOnlyFailedAttemptsAreFailures(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		q.Set(pod("a"), after(0))
		item := get(t, q)
		for i, step := range []struct {
			end              func(Item, time.Duration)
			failed, rechecks int
		}{{q.Recheck, 0, 1}, {q.Recheck, 0, 2}, {q.Retry, 1, 0}, {q.Retry, 2, 0}, {q.Recheck, 2, 1}, {q.Retry, 3, 0}} {
			step.end(item, time.Second)
			time.Sleep(time.Second)
			item = get(t, q)
			if item.FailedAttempts != step.failed || item.Rechecks != step.rechecks {
				t.Errorf("attempt %d: %d failed, %d rechecks, want %d and %d", i, item.FailedAttempts, item.Rechecks, step.failed, step.rechecks)
			}
		}
	})
}

func TestGetEndsWithItsContext(t *testing.T) {
	bubble(t, 20, func(t *testing.T, q *Queue) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { _, ok := q.Get(ctx); ended <- ok }()
		synctest.Wait()
		cancel()
		if <-ended {
			t.Error("handed something out")
		}
		q.Set(pod("a"), after(0))
		if _, ok := q.Get(ctx); ok {
			t.Error("hands out although the context is over")
		}
		get(t, q)
	})
}

func TestNodesAndNamespacesTakeTurns(t *testing.T) {
	bubble(t, 200, func(t *testing.T, q *Queue) {
		for i := range 3 {
			for j, where := range [][]string{{"n1", "x"}, {"n1", "x"}, {"n1", "y"}, {"n2", "x"}} {
				q.Set(pod(fmt.Sprint(i, j), where...), after(float64(i)))
			}
		}
		time.Sleep(time.Minute)
		var turns []string
		for range 6 {
			item := get(t, q)
			turns = append(turns, item.Node+item.Namespace)
		}
		// Whose turn it is first is not said; then they alternate.
		for i := range 4 {
			if turns[i][:2] == turns[i+1][:2] {
				t.Errorf("nodes do not take turns: %v", turns)
			}
		}
		n1 := slices.DeleteFunc(slices.Clone(turns), func(turn string) bool { return turn[:2] != "n1" })
		for i := range len(n1) - 1 {
			if n1[i] == n1[i+1] {
				t.Errorf("namespaces do not take turns: %v", turns)
			}
		}
	})
}

func TestLowerPriorityGoesFirst(t *testing.T) {
	bubble(t, 200, func(t *testing.T, q *Queue) {
		time.Sleep(500 * time.Millisecond) // so that half a second later is still the same
		for i, priority := range []int32{2_000_000_000, 7, -5, 0, 7} {
			p := pod(fmt.Sprint("now", i), "n", fmt.Sprint(i%2))
			p.Priority = priority
			q.Set(p, after(float64(-i)/100))
		}
		earlier := pod("earlier")
		earlier.Priority = 1_000_000
		q.Set(earlier, after(-1))
		time.Sleep(time.Second)
		var got []int32
		for range 6 {
			got = append(got, get(t, q).Priority)
		}
		if want := []int32{1_000_000, -5, 0, 7, 7, 2_000_000_000}; !slices.Equal(got, want) {
			t.Errorf("priorities %v, want %v", got, want)
		}
	})
}

// fill sets pods on a number of nodes and in a number of namespaces, and hands out all that have room.
func fill(q *Queue, name string, pods, nodes, namespaces int) (handed []Item) {
	for i := range pods {
		q.Set(pod(fmt.Sprint(name, i), fmt.Sprint(name, "-n", i%nodes), fmt.Sprint(name, "-ns", i%namespaces)), after(0))
	}
	return drain(q)
}

// drain hands out all that has room.
func drain(q *Queue) (handed []Item) {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.collect(time.Now())
	for e := q.next(time.Now()); e != nil; e = q.next(time.Now()) {
		handed = append(handed, e.item())
	}
	return handed
}

func TestOneThatIsAloneLeavesAReserve(t *testing.T) {
	for _, test := range []struct{ limit, namespace, node int }{
		{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {4, 2, 3}, {10, 6, 8}, {20, 16, 18}, {100, 90, 95}, {400, 360, 380},
	} {
		for _, nodes := range []int{1, 50} {
			bubble(t, test.limit, func(t *testing.T, q *Queue) {
				if n := len(fill(q, "a", 1000, nodes, 1)); n != test.namespace {
					t.Errorf("limit %d: a namespace that is alone, on %d nodes, has %d in flight", test.limit, nodes, n)
				}
			})
		}
		bubble(t, test.limit, func(t *testing.T, q *Queue) {
			if n := len(fill(q, "a", 1000, 1, 50)); n != test.node {
				t.Errorf("limit %d: a node that is alone has %d in flight", test.limit, n)
			}
		})
	}
}

func TestOthersCanStart(t *testing.T) {
	bubble(t, 400, func(t *testing.T, q *Queue) {
		first := fill(q, "a", 1000, 10, 1)
		for _, test := range []struct {
			name string
			want int
		}{{"b", 36}, {"c", 2}, {"d", 1}, {"e", 1}, {"f", 0}} {
			if n := len(fill(q, test.name, 1000, 10, 1)); n != test.want {
				t.Errorf("%s has %d in flight, want %d", test.name, n, test.want)
			}
		}
		others := 0
		for _, item := range first[:100] { // what the first one gives back goes to the others
			q.Done(item)
			for _, got := range drain(q) {
				others++
				if got.Namespace == "a-ns0" {
					t.Fatal("the one that has most gets more")
				}
			}
		}
		if others < 90 {
			t.Errorf("others got %d of 100 that ended", others)
		}
	})
	bubble(t, 100, func(t *testing.T, q *Queue) { // on one node
		fill(q, "a", 1000, 1, 1)
		for i := range 20 {
			q.Set(pod(fmt.Sprint("b", i), "a-n0", "b"), after(0))
		}
		if n := len(drain(q)); n == 0 {
			t.Error("another namespace cannot start on a node that one fills")
		}
		if n := len(fill(q, "c", 20, 1, 1)); n == 0 {
			t.Error("another node cannot start")
		}
	})
}

// TestWhatHasRoomIsHandedOut makes random changes. Whenever nothing is handed out, nothing that is due has room.
func TestWhatHasRoomIsHandedOut(t *testing.T) {
	for seed := range uint64(100) {
		bubble(t, 12, func(t *testing.T, q *Queue) {
			random := rand.New(rand.NewPCG(seed, 1))
			ends := []func(Item, time.Duration){done(q), q.Recheck, q.Retry, q.Retry}
			var running []Item
			for step := range 1000 {
				switch random.IntN(8) {
				case 0:
					q.Cancel(types.UID(fmt.Sprint(random.IntN(step + 1))))
				case 1:
					q.SetConcurrencyLimit(1 + random.IntN(30))
				case 2, 3, 4:
					q.Set(pod(fmt.Sprint(step), fmt.Sprint("n", random.IntN(6)), fmt.Sprint("ns", random.IntN(4))), after(random.Float64()))
				default:
					if len(running) > 0 {
						ends[random.IntN(4)](running[0], time.Duration(random.IntN(2000))*time.Millisecond)
						running = running[1:]
					}
				}
				time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
				if random.IntN(3) == 0 {
					running = append(running, drain(q)...)
					checkRoom(t, q, len(running))
				}
			}
		})
	}
}

// checkRoom fails the test if a pod that is due has room, or the queue miscounts.
func checkRoom(t *testing.T, q *Queue, running int) {
	t.Helper()
	f, due, inFlight := q.ready, 0, 0
	for _, e := range q.entries {
		if e.state != ready {
			continue
		}
		due++
		if f.inFlight < f.limit && f.room(&f.nodes[e.node].key) > 0 && f.room(&f.namespaces[e.namespace.Value()].key) > 0 {
			t.Fatalf("%s on %s in %s is not handed out", e.uid, e.node, e.namespace.Value())
		}
	}
	for _, n := range f.nodes {
		inFlight += n.inFlight
	}
	if due != f.due || f.inFlight != running || inFlight != running {
		t.Fatalf("%d are due and %d handed out, the fair queue says %d and %d, %d on nodes", due, running, f.due, f.inFlight, inFlight)
	}
}

// TestBlockedOnesShrink has a concurrency limit of 20, attempts of some namespaces that hang for 10 s and fail, and others that come later.
func TestBlockedOnesShrink(t *testing.T) {
	const limit, blocked = 20, 4
	bubble(t, limit, func(t *testing.T, q *Queue) {
		for i := range 2000 {
			q.Set(pod(fmt.Sprint("b", i), fmt.Sprint("n", i%50), fmt.Sprint("blocked", i%blocked)), after(0))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var consumers sync.WaitGroup
		var last atomic.Pointer[time.Time]
		for range limit {
			consumers.Go(func() {
				for {
					item, ok := q.Get(ctx)
					switch {
					case !ok:
						return
					case item.Namespace == "working":
						time.Sleep(10 * time.Millisecond)
						q.Done(item)
						now := time.Now()
						last.Store(&now)
					default:
						time.Sleep(10 * time.Second)
						q.Retry(item, time.Second<<min(5, item.FailedAttempts))
					}
				}
			})
		}
		time.Sleep(time.Minute)
		begin := time.Now()
		for i := range 100 {
			q.Set(pod(fmt.Sprint("w", i), fmt.Sprint("n", i%50), "working"), after(0))
		}
		time.Sleep(time.Minute)
		if end := last.Load(); end == nil || end.Sub(begin) > time.Second {
			t.Errorf("the last pod of the working namespace went at %v, want within a second of %v", end, begin)
		}
		cancel()
		consumers.Wait()
	})
}

func TestRecoveryEndsBackoffs(t *testing.T) {
	bubble(t, 100, func(t *testing.T, q *Queue) {
		for i := range 20 {
			q.Set(pod(fmt.Sprint("failing", i), fmt.Sprint("n", i), "failing"), after(0))
			q.Retry(get(t, q), time.Duration(i+1)*time.Hour)
		}
		q.Set(pod("else", "n", "else"), after(0))
		q.Retry(get(t, q), time.Hour)
		q.Set(pod("going", "n", "failing"), after(0))
		q.Recheck(get(t, q), time.Hour) // not because it failed
		for i := range 19 {
			if item := get(t, q); item.Namespace != "failing" {
				t.Fatalf("%s was handed out", item.Name)
			} else if i > 0 {
				q.Done(item)
			}
		}
		get(t, q)
		none(t, q, 3000)
	})
}

func TestOneSuccessAmongFailuresIsNoRecovery(t *testing.T) {
	bubble(t, 100, func(t *testing.T, q *Queue) {
		ends := []func(Item, time.Duration){q.Retry, q.Retry, q.Retry, done(q)}
		for i := range 20 {
			q.Set(pod(fmt.Sprint(i)), after(0))
			ends[i%4](get(t, q), time.Hour)
		}
		none(t, q, 3000)
	})
}

func TestConcurrencyLimit(t *testing.T) {
	bubble(t, 4, func(t *testing.T, q *Queue) {
		for i := range 10 {
			q.Set(pod(fmt.Sprint(i), fmt.Sprint("n", i), fmt.Sprint("ns", i)), after(0))
		}
		var items []Item
		for range 4 {
			items = append(items, get(t, q))
		}
		none(t, q, 1)
		handed := make(chan Item)
		go func() { item, _ := q.Get(t.Context()); handed <- item }()
		synctest.Wait()
		q.SetConcurrencyLimit(5) // wakes who waits
		items = append(items, <-handed)
		q.SetConcurrencyLimit(2)
		for range 3 {
			q.Done(items[0])
			items = items[1:]
			none(t, q, 1)
		}
		q.Done(items[0])
		get(t, q)
		none(t, q, 1)
	})
}

func TestFailuresAreForgottenAfterAWhile(t *testing.T) {
	bubble(t, 16, func(t *testing.T, q *Queue) {
		const others = 20
		for i := range others { // so that the queue is never empty
			q.Set(pod(fmt.Sprint("later", i)), after(24*3600))
		}
		for i := range 1000 {
			q.Set(pod("a", fmt.Sprint("n", i), fmt.Sprint("ns", i)), after(0))
			item := get(t, q)
			q.Cancel("a")
			q.Retry(item, time.Second)
		}
		if n := q.ready.nodes["n5"]; n == nil || n.limit == 0 || len(q.ready.namespaces) != 1000 {
			t.Error("failures are not remembered")
		}
		none(t, q, 300)
		q.Set(pod("again", "n5", "ns5"), after(0))
		again := get(t, q)
		none(t, q, 330)
		if n := len(q.ready.nodes) + len(q.ready.namespaces); n != 2 {
			t.Errorf("%d nodes and namespaces are remembered", n)
		}
		if q.ready.nodes["n5"].limit == 0 {
			t.Error("what failed is forgotten while it is in use")
		}
		q.Done(again)
		none(t, q, 660)
		if n := len(q.ready.nodes) + len(q.ready.namespaces) + q.ready.idle.Len(); n != 0 {
			t.Errorf("%d nodes and namespaces are remembered", n)
		}
	})
	bubble(t, 16, func(t *testing.T, q *Queue) { // nor is it forgotten when the queue is empty
		q.Set(pod("a"), after(0))
		item := get(t, q)
		q.Cancel("a")
		q.Retry(item, time.Second)
		q.Set(pod("b"), after(0))
		if get(t, q); q.ready.nodes["n"].limit == 0 {
			t.Error("what failed is forgotten at once")
		}
	})
}

// TestGaugeIsSetInOrder changes the queue from many goroutines.
func TestGaugeIsSetInOrder(t *testing.T) {
	var scheduled gauge
	q := New(clock.RealClock{}, 10, &scheduled)
	for range 200 {
		var changing sync.WaitGroup
		for i := range 8 {
			changing.Go(func() {
				q.Set(pod(fmt.Sprint(i)), after(100))
				q.SetConcurrencyLimit(i + 1)
				if i%2 == 0 {
					q.Cancel(types.UID(fmt.Sprint(i)))
				}
			})
		}
		changing.Wait()
		if scheduled.value != float64(q.Len()) {
			t.Fatalf("the gauge says %v, and %d are scheduled", scheduled.value, q.Len())
		}
	}
}

// TestAgainstOracle makes random changes, and hands out what is due after each, as a plain map says.
func TestAgainstOracle(t *testing.T) {
	for seed := range uint64(50) {
		bubble(t, 2000, func(t *testing.T, q *Queue) {
			random := rand.New(rand.NewPCG(seed, 0))
			want := map[types.UID]time.Time{}
			for range 500 {
				uid := types.UID(fmt.Sprint(random.IntN(30)))
				switch random.IntN(3) {
				case 0, 1:
					want[uid] = after(random.Float64() * 30)
					q.Set(pod(string(uid), fmt.Sprint(random.IntN(3)), fmt.Sprint(random.IntN(3))), want[uid])
				case 2:
					_, there := want[uid]
					if cancel(q, uid) != there {
						t.Fatalf("cancelled what was not there, or the other way round")
					}
					delete(want, uid)
				}
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				due := map[types.UID]bool{}
				for uid, at := range want {
					if !time.Now().Before(at) {
						due[uid] = true
						delete(want, uid)
					}
				}
				for range len(due) {
					item := get(t, q)
					if !due[item.UID] {
						t.Fatalf("%v is not due", item)
					}
					delete(due, item.UID)
					q.Done(item)
				}
				none(t, q, 0)
				if q.Len() != len(want) {
					t.Fatalf("length %d, want %d", q.Len(), len(want))
				}
			}
		})
	}
}

// BenchmarkMillion measures the memory of a million pods, their UIDs included; the other names are shared.
func BenchmarkMillion(b *testing.B) {
	const million, mib = 1_000_000, 1 << 20
	for b.Loop() {
		before := heapBytes(b)
		q := New(clock.RealClock{}, 10, noGauge{})
		start := time.Now().Add(time.Hour)
		for i := range million {
			uid := types.UID(fmt.Sprintf("6ba7b810-9dad-11d1-80b4-%012d", i))
			q.Set(Pod{UID: uid, Namespace: "ns", Name: "name", Node: "node"}, start.Add(time.Duration(i*7919%million)))
		}
		b.ReportMetric((heapBytes(b)-before)/mib, "MiB")
		runtime.KeepAlive(q)
	}
}

func heapBytes(b *testing.B) float64 {
	b.Helper()
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func BenchmarkSet(b *testing.B) {
	q := New(clock.RealClock{}, 10, noGauge{})
	start := time.Now().Add(time.Hour)
	for i := range 100_000 {
		q.Set(pod(fmt.Sprint(i)), start.Add(time.Duration(i)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q.Set(pod("5"), start.Add(time.Duration(i*7919%100_000)))
	}
}
