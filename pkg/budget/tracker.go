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

package budget

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// blindAfter is how long evictions wait for the first list of budgets. After that they go on without: where the list fails, the answers
	// name the budgets that block. unsyncedWait is the time between two looks.
	blindAfter, unsyncedWait = 10 * time.Second, time.Second
	// tickInterval is the time between two looks for what is over.
	tickInterval = time.Second
	// minConflict is how long no eviction is sent for a budget whose status could not be updated, at least. It is increased by up to a half at
	// random, because there are others.
	minConflict = 10 * time.Second
)

// Queue holds the pods that are to be evicted. evictionqueue.Queue implements it.
type Queue interface {
	// Wake ends the wait of a pod. It reports whether the pod is going to be handed out now.
	Wake(uid types.UID) bool
}

// Turn is the permission to send an eviction of one pod.
type Turn struct {
	// Waited says that the pod has waited for its budget, and Since since when. Since is the begin of the turn of a pod that has not.
	Waited bool
	Since  time.Time

	// name is that of the pod.
	name string
	// state is the budget that the pod is covered by, or nil if there is none, or several, or the pod is not guarded.
	state *state
	need  need
	// versions is that of the state when the turn began.
	versions int
	// probe says that the pod was woken as a probe, and shown that the status shows the eviction.
	probe, shown bool
}

// Refusal says why there is no turn, or why the API server refused an eviction.
type Refusal struct {
	// Budget is the name of the budget that the pod has to wait for. It is "" while budgets are being read, and if an answer named none.
	Budget string
	// Since is since when the pod waits.
	Since time.Time
	// RetryAfter is after what time to ask again while budgets are being read.
	RetryAfter time.Duration
	// InLine says that the budget allows the eviction, by its known status, and that only others of it go first.
	InLine bool
	// Uncounted says that the disruption controller has not counted yet what the budget allows.
	Uncounted bool

	// waiter is the pod as it waited when Begin refused it, by its budget; nil for an answer.
	waiter *waiter
}

// Answer is what the API server answered to an eviction.
type Answer struct {
	// Accepted says that the pod goes.
	Accepted bool
	// Refused says that the budget does not let the pod go.
	Refused bool
	// Conflict says that the status of the budget could not be updated.
	Conflict bool
	// RetryAfter is how long the API server asked to wait.
	RetryAfter time.Duration
}

// Tracker tracks all budgets, and decides which evictions may be sent. It is safe for concurrent use.
type Tracker struct {
	clock    clock.PassiveClock
	queue    Queue
	informer cache.SharedIndexInformer
	// synced reports whether all budgets have been read. needed is closed, once, when they are needed first.
	synced func() bool
	needed chan struct{}
	once   sync.Once

	lock sync.Mutex
	// blindFrom is from when on evictions do not wait for that; zero before Begin.
	blindFrom time.Time
	// budgets are by namespace and name, and waiters by the UID of the pod.
	budgets map[string]map[string]*state
	waiters map[types.UID]*waiter
}

// New returns a tracker that wakes the pods of a queue. It knows no budgets before Run.
func New(client kubernetes.Interface, clock clock.PassiveClock, queue Queue) (*Tracker, error) {
	t := newTracker(clock, queue)
	var err error
	if t.informer, t.synced, err = newInformer(client, t); err != nil {
		return nil, err
	}
	return t, nil
}

func newTracker(clock clock.PassiveClock, queue Queue) *Tracker {
	return &Tracker{
		clock: clock, queue: queue, synced: func() bool { return true }, needed: make(chan struct{}),
		budgets: map[string]map[string]*state{}, waiters: map[types.UID]*waiter{},
	}
}

// Run watches budgets from the first call of Begin until ctx is done. So who evicts no pod by the eviction API reads no budgets.
func (t *Tracker) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-t.needed:
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { t.informer.RunWithContext(ctx) })
	wait.UntilWithContext(ctx, func(context.Context) { t.tick() }, tickInterval)
}

// Begin asks for a turn for a pod that is to be evicted. It returns the turn, which the caller ends with End; or why there is none: then the
// caller parks the pod, and calls Wait.
func (t *Tracker) Begin(pod Pod) (*Turn, *Refusal) {
	t.once.Do(func() { close(t.needed) })
	t.lock.Lock()
	defer t.lock.Unlock()
	now := t.clock.Now()
	if t.blindFrom.IsZero() {
		t.blindFrom = now.Add(blindAfter)
	}
	if !t.synced() && now.Before(t.blindFrom) {
		return nil, &Refusal{Since: now, RetryAfter: unsyncedWait}
	}
	w := t.take(pod.GetUID())
	turn := &Turn{Waited: w != nil, Since: now, name: pod.GetName(), probe: w != nil && w.probe}
	if w != nil {
		turn.Since = w.since
	}
	if pod.Guarded() {
		turn.state = t.sole(pod, w)
	}
	if w != nil && w.state != nil && w.state != turn.state {
		t.advance(w.state)
	}
	s := turn.state
	if s == nil {
		return turn, nil
	}
	turn.need, turn.versions = s.need(pod.Ready()), s.versions
	if !s.open(now) || turn.need == refused && !turn.probe {
		if w == nil {
			w = &waiter{since: now}
		}
		w.state = s
		return nil, &Refusal{Budget: s.name, Since: w.since, InLine: turn.need != refused && !now.Before(s.notBefore), Uncounted: s.uncounted(), waiter: w}
	}
	s.turn = turn
	return turn, nil
}

// End ends a turn. The next pod of the budget is woken as soon as it may go.
func (t *Tracker) End(turn *Turn, answer Answer) {
	t.lock.Lock()
	defer t.lock.Unlock()
	s, now := turn.state, t.clock.Now()
	if s == nil || s.turn != turn {
		return
	}
	if turn.probe && turn.need == refused {
		s.probed(!answer.Accepted)
	}
	s.putOffProbe(now)
	if answer.Accepted {
		s.wentAt = now
	}
	if answer.Accepted && turn.need != nothing && !turn.shown && s.budget != nil {
		s.settleBy = now.Add(settleTimeout)
		return
	}
	s.turn = nil
	switch {
	case answer.Accepted && s.budget == nil:
		s.exhausted = false // there may be more places, and nothing else tells
	case answer.Conflict:
		s.notBefore = now.Add(wait.Jitter(max(minConflict, answer.RetryAfter), 0.5))
	case answer.Refused && s.versions == turn.versions:
		s.exhausted, s.refusing = true, s.refusing || turn.need == nothing
		if answer.RetryAfter > 0 {
			s.nextProbe = now.Add(answer.RetryAfter)
		}
	}
	t.advance(s)
}

// Wait has a parked pod wait for the budget of a refusal, and wakes it when it may go. It returns false if no budget is known to cover the
// pod: nothing wakes it then. The pod has to be parked before, or it could be woken in vain.
func (t *Tracker) Wait(pod Pod, refusal Refusal) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	old := t.take(pod.GetUID())
	switch w := refusal.waiter; {
	case w != nil && w.answered && t.belongs(w):
		t.enter(pod, w.state, refusal.Since)
	case w == nil && refusal.Budget != "":
		s := t.get(pod.GetNamespace(), refusal.Budget)
		s.exhausted, s.notCounted = s.exhausted || s.budget == nil, refusal.Uncounted
		t.enter(pod, s, refusal.Since)
	default:
		t.enterCovering(pod, refusal.Since)
	}
	if old != nil && old.state != nil {
		t.advance(old.state)
	}
	_, waits := t.waiters[pod.GetUID()]
	return waits
}

// Forget drops a pod that is not to be evicted any more, or not by the eviction API.
func (t *Tracker) Forget(uid types.UID) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if w := t.take(uid); w != nil && w.state != nil {
		t.advance(w.state)
	}
}

// Covering returns the names of the budgets that cover a pod, by the watch.
func (t *Tracker) Covering(pod Pod) (names []string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	for _, s := range t.covering(pod) {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}

// Waiting returns how many pods wait for budgets.
func (t *Tracker) Waiting() int {
	t.lock.Lock()
	defer t.lock.Unlock()
	return len(t.waiters)
}
