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

package tainteviction

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/audit"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// trail has the audit log tell what became of each eviction, once. A nil *trail tells nothing.
//
// An eviction begins when a pod is scheduled, and ends when the pod is evicted, spared or cancelled. Where it is cancelled while an attempt is
// under way, the end of the attempt tells which of these it was. A pod that was evicted or spared stays scheduled until the watch shows the
// same: that is no cancellation.
//
// Only a replica that leads or acts in the place of a leader tells. The caller holds the lock of the pod's evaluations.
type trail struct {
	log      *audit.Log
	instance string
	dryRun   bool
	clock    clock.PassiveClock
	server   *serverclock.Clock
	leading  *atomic.Bool
	// acting is how many of Lead and Assist run.
	acting atomic.Int32

	lock sync.Mutex
	// evictions are those of which there is more to know than their schedule.
	evictions map[types.UID]*eviction
}

// eviction is what is known of the eviction of one pod, besides its schedule.
type eviction struct {
	// attempts counts those that have ended.
	attempts   int32
	delayedBy  []v1alpha1.Delay
	answerLost bool
	// told says that there is a line, and spared which deadline that was about if the pod was spared. Another deadline is another eviction.
	told   bool
	spared time.Time
	// cancelled is the line about a cancellation, which is to be written when the attempt ends that is under way.
	cancelled *v1alpha1.EvictionRecord
}

// newTrail returns nil without an audit log.
func newTrail(config *Config, leading *atomic.Bool) *trail {
	if config.Audit == nil {
		return nil
	}
	return &trail{
		log: config.Audit, instance: config.Identity, dryRun: config.Rules.DryRun, clock: config.Clock, server: config.ServerClock, leading: leading,
		evictions: map[types.UID]*eviction{},
	}
}

// act has this replica tell, until the function that is returned is called.
func (t *trail) act() (end func()) {
	if t == nil {
		return func() {}
	}
	t.acting.Add(1)
	return func() { t.acting.Add(-1) }
}

// cause returns what a deadline comes from, to be scheduled with it.
func (t *trail) cause(decision deadline.Decision, due time.Time) unique.Handle[deadline.Cause] {
	if t == nil {
		return unique.Handle[deadline.Cause]{}
	}
	step, _ := decision.At(due)
	return unique.Make(deadline.CauseOf(step))
}

// of returns what is known of an eviction, to be changed. The caller holds the lock.
func (t *trail) of(uid types.UID) *eviction {
	e := t.evictions[uid]
	if e == nil {
		e = &eviction{}
		t.evictions[uid] = e
	}
	return e
}

// isTold reports whether there is a line about an eviction with a deadline. Deadlines move a little with the estimate of the API server's
// clock.
func (e *eviction) isTold(deadline time.Time) bool {
	return e != nil && e.told && (e.spared.IsZero() || e.spared.Sub(deadline).Abs() < time.Second)
}

// scheduled begins an eviction.
func (t *trail) scheduled(uid types.UID) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	delete(t.evictions, uid) // of one that was cancelled while an attempt is under way
}

// delay notes what delays an eviction.
func (t *trail) delay(uid types.UID, by v1alpha1.Delay) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	t.of(uid).delay(by)
}

func (e *eviction) delay(by v1alpha1.Delay) {
	if !slices.Contains(e.delayedBy, by) {
		e.delayedBy = append(e.delayedBy, by)
	}
}

// cancel tells that a scheduled eviction was cancelled by a decision on the caches. pod is the pod by the cache, or nil.
func (t *trail) cancel(was evictionqueue.Cancelled, pod *podcache.Pod, decision deadline.Decision) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	known := t.evictions[was.UID]
	told := known.isTold(was.Deadline) || t.acting.Load() == 0
	if was.InFlight {
		if !told {
			t.of(was.UID).cancelled = t.cancellation(was.Item, pod, decision)
		}
		return
	}
	delete(t.evictions, was.UID)
	if !told {
		t.write(t.cancellation(was.Item, pod, decision), known)
	}
}

// returned tells what is left to tell of a pod that came back from the queue: what became of it meanwhile.
func (t *trail) returned(item evictionqueue.Item, stillScheduled bool) {
	if t == nil || stillScheduled {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	known := t.evictions[item.UID]
	delete(t.evictions, item.UID)
	if known != nil && known.cancelled != nil {
		t.write(known.cancelled, known)
	}
}

// gone tells that a pod that came back from the queue is not in the cache any more. Another pod has its name, or none.
func (t *trail) gone(item evictionqueue.Item, other *podcache.Pod) {
	if t == nil {
		return
	}
	t.lock.Lock()
	known := t.evictions[item.UID]
	if !known.isTold(item.Deadline) && (known == nil || known.cancelled == nil) {
		t.of(item.UID).cancelled = t.cancellation(item, other, deadline.Decision{})
	}
	t.lock.Unlock()
	t.returned(item, false)
}

// attempted tells what became of an eviction by the result of an attempt that ended at a local time.
func (t *trail) attempted(at time.Time, item evictionqueue.Item, result evictor.Result, stillScheduled bool) {
	if t == nil {
		return
	}
	t.lock.Lock()
	e := t.of(item.UID)
	e.attempts++
	e.answerLost = e.answerLost || result.Outcome == evictor.Failed && result.Unanswered
	switch {
	case result.Outcome == evictor.Failed:
		e.delay(v1alpha1.DelayFailures)
	case result.Outcome == evictor.Held:
		e.delay(v1alpha1.DelayHold)
	case blocks(result.Outcome):
		e.delay(v1alpha1.DelayBudget)
	case result.Outcome.Waits():
	case result.Outcome.Accepted():
		t.write(t.accepted(at, result), e)
		e.tell(time.Time{})
	case e.isTold(item.Deadline):
	case result.Outcome != evictor.NotDue:
		t.write(t.sparing(at, item, result), e)
		e.tell(time.Time{})
	case e.cancelled == nil && isOver(result, at):
		t.write(t.sparing(at, item, result), e)
		e.tell(item.Deadline)
	}
	t.lock.Unlock()
	t.returned(item, stillScheduled)
}

// tell notes that there is a line. spared is the deadline of a pod that was spared, or zero.
func (e *eviction) tell(spared time.Time) {
	e.told, e.spared, e.cancelled = true, spared, nil
}

// isOver reports whether a pod need not go after an attempt, and not later either.
func isOver(result evictor.Result, at time.Time) bool {
	_, goes := result.Decision.DueFrom(at)
	return !goes
}

// preview tells that a pod would go, but for a policy of mode Preview or a dry run.
func (t *trail) preview(pod *podcache.Pod, decision deadline.Decision) {
	i := slices.IndexFunc(decision.Held, func(step deadline.Step) bool { return step.Mode == deadline.ModePreview })
	if t == nil || i < 0 || t.acting.Load() == 0 {
		return
	}
	t.write(t.previewed(pod, decision, decision.Held[i]), nil)
}

// write has a line written, with what else is known of the eviction.
func (t *trail) write(line *v1alpha1.EvictionRecord, known *eviction) {
	if known != nil {
		line.Attempts, line.DelayedBy, line.AnswerLost = known.attempts, known.delayedBy, known.answerLost
	}
	t.log.Record(line)
}
