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
// under way, the end of the attempt tells which of these it was. After a line that says that a pod goes there is no other one about it: until the
// watch shows the same, the pod may be scheduled again, or cancelled.
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
	attempts  int32
	delayedBy []v1alpha1.Delay
	// answerLost says that an answer to a DELETE was lost, also in an earlier eviction of the pod.
	answerLost bool
	// final says that there is a line by which the pod goes, and going that the watch shows it.
	final, going bool
	// spared is the deadline that a line was about by which the pod need not go. Another deadline is another eviction.
	spared time.Time
	// inFlight says that the eviction was cancelled while an attempt is under way, and cancelled is the line about it.
	inFlight  bool
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
	return e != nil && (e.final || !e.spared.IsZero() && e.spared.Sub(deadline).Abs() < time.Second)
}

// remembers reports whether there is more to know of a pod than its schedule.
func (t *trail) remembers(uid types.UID) bool {
	if t == nil {
		return false
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.evictions[uid] != nil
}

// scheduled begins an eviction.
func (t *trail) scheduled(uid types.UID) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	if e := t.evictions[uid]; e != nil {
		*e = eviction{final: e.final, going: e.going, answerLost: e.answerLost} // of the one before
		t.drop(uid, e)
	}
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

// cancel tells that a scheduled eviction was cancelled by a decision on the caches. pod is what the cache has under its name, or nil.
func (t *trail) cancel(was evictionqueue.Cancelled, pod *podcache.Pod, decision deadline.Decision) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	e := t.of(was.UID)
	told := e.isTold(was.Deadline) || t.acting.Load() == 0
	e.going = pod == nil || pod.UID != was.UID || decision.Reason == deadline.IsTerminating
	switch e.inFlight = was.InFlight; {
	case told:
	case was.InFlight:
		e.cancelled = t.cancellation(was.Item, pod, decision)
	default:
		t.write(t.cancellation(was.Item, pod, decision), e)
	}
	t.drop(was.UID, e)
}

// drop drops what is known of an eviction that is over, unless more is to be known of the pod until the watch shows that it goes.
func (t *trail) drop(uid types.UID, e *eviction) {
	if !e.inFlight && (e.going || !e.final && !e.answerLost) {
		delete(t.evictions, uid)
	}
}

// shown notes that the watch shows that a pod goes or is gone, which is not scheduled.
func (t *trail) shown(uid types.UID) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	if e := t.evictions[uid]; e != nil {
		e.going = true
		t.drop(uid, e)
	}
}

// returned tells what is left to tell of a pod that came back from the queue: that it was cancelled meanwhile.
func (t *trail) returned(item evictionqueue.Item, stillScheduled bool) {
	if t == nil || stillScheduled {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	e := t.of(item.UID)
	if e.cancelled != nil {
		t.write(e.cancelled, e)
	}
	e.inFlight, e.cancelled = false, nil
	t.drop(item.UID, e)
}

// gone tells that a pod that came back from the queue is not in the cache any more. Another pod has its name, or none.
func (t *trail) gone(item evictionqueue.Item, other *podcache.Pod) {
	if t == nil {
		return
	}
	t.lock.Lock()
	e := t.of(item.UID)
	e.going = true
	if !e.isTold(item.Deadline) && e.cancelled == nil {
		e.cancelled = t.cancellation(item, other, deadline.Decision{})
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
	case result.Outcome == evictor.Gone: // a proxy may have answered: the watch tells whether it is
	case e.final:
	case result.Outcome.Accepted():
		e.final, e.cancelled = true, nil
		t.write(t.accepted(at, result), e)
	case e.isTold(item.Deadline):
	case result.Outcome != evictor.NotDue:
		e.final, e.cancelled = true, nil
		t.write(t.sparing(at, item, result), e)
	case e.cancelled == nil && isOver(result, at):
		e.spared = item.Deadline
		t.write(t.sparing(at, item, result), e)
	}
	t.lock.Unlock()
	t.returned(item, stillScheduled)
}

// isOver reports whether a pod need not go after an attempt, and not later either.
func isOver(result evictor.Result, at time.Time) bool {
	_, goes := result.Decision.DueFrom(at)
	return !goes
}

// preview tells that a pod would go, but for a policy of mode Preview or a dry run.
func (t *trail) preview(pod *podcache.Pod, decision deadline.Decision) {
	if t == nil || t.acting.Load() == 0 {
		return
	}
	decision = decision.AsOf(t.clock.Now())
	i := slices.IndexFunc(decision.Held, func(step deadline.Step) bool { return step.Mode == deadline.ModePreview })
	if i < 0 {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	if e := t.evictions[pod.UID]; !e.isTold(decision.Held[i].From) {
		t.write(t.previewed(pod, decision, decision.Held[i]), &eviction{})
	}
}

// write has a line written, with what else is known of the eviction.
func (t *trail) write(line *v1alpha1.EvictionRecord, e *eviction) {
	line.Attempts, line.DelayedBy, line.AnswerLost = e.attempts, e.delayedBy, e.answerLost
	t.log.Record(line)
}
