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
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// decided is what was decided on a read of the node.
type decided struct {
	decision deadline.Decision
	// due says that the pod has to go now, and step how.
	due  bool
	step deadline.Step
	// changed is when the way in which the pod goes changed since the read began, or zero: then another read has to begin.
	changed time.Time
	// held is what holds the pod, or "", and holdFor for how long.
	held    brake.Hold
	holdFor time.Duration
	// answered is when the read was answered.
	answered time.Time
}

// stays returns the result for a pod that need not go, or is held.
func (d decided) stays() Result {
	if d.held != "" {
		return Result{Outcome: Held, Decision: d.decision, By: d.held, RetryAfter: d.holdFor}
	}
	return Result{Outcome: NotDue, Decision: d.decision}
}

// result returns the result for a pod that goes, or has to wait.
func (d decided) result(outcome Outcome) Result {
	return Result{Outcome: outcome, Decision: d.decision, Step: d.step}
}

// accepted returns the result for a live pod that goes.
func (d decided) accepted(outcome Outcome, live *v1.Pod) Result {
	result := d.result(outcome)
	result.GracePeriodSeconds = gracePeriodOf(live, d.step.Policy)
	return result
}

// decide decides on a live node and a pod, and reports whether the pod is due: it was due when the read of the node began, and by its
// schedule it still is, because the caches may know by now that it need not go.
func (e *Evictor) decide(node NodeReading, pod *podcache.Pod) (decision deadline.Decision, due bool) {
	decision = e.rules.Decide(pod, node.Labels, e.taintsOf(node, pod))
	return decision, decision.Due(node.Began) && e.schedule.Due(pod.UID)
}

// taintsOf returns the taints of a live node, with their starts.
func (e *Evictor) taintsOf(node NodeReading, pod *podcache.Pod) []deadline.Taint {
	if !node.Exists {
		return nil
	}
	return e.starts.Resolve(pod.Node(), node.Observation)
}

// stepAt returns how a pod goes now that was due when the read of its node began, and false if it need not go any more. The pod is evicted
// if it was to be evicted at either time: it is deleted only on a read that began when it was to be deleted.
func stepAt(decision deadline.Decision, began, now time.Time) (step deadline.Step, due bool) {
	step, due = decision.At(now)
	if before, _ := decision.At(began); before.Mode == deadline.ModeEvict {
		step = before
	}
	return step, due
}

// changedAt returns when the way in which a pod goes first changed after the read of its node began, or zero if it is the same until now.
// Since then the read says nothing about the node.
func changedAt(decision deadline.Decision, began, now time.Time) time.Time {
	if _, due := decision.At(began); !due {
		return time.Time{}
	}
	if change, changes := decision.NextChange(began); changes && !now.Before(change) {
		return change
	}
	return time.Time{}
}

// askBrake asks the eviction brake whether a pod may go that is due. While the brake holds what the pod is due for, the pod may go by
// another decision, for a taint that is ignored: that has to have been due when the read of the node began, too.
func (a *attempt) askBrake(d *decided, node NodeReading, pod *podcache.Pod) {
	if a.brake == nil {
		return
	}
	permission := a.brake.Ask(pod, node.Labels, a.taintsOf(node, pod), d.decision)
	now := a.clock.Now()
	if !permission.May() {
		d.due, d.held, d.holdFor = false, permission.Held, permission.RetryAt.Sub(now)
		return
	}
	d.decision = permission.Decision
	if !d.decision.Due(node.Began) {
		d.changed, _ = d.decision.DueFrom(now)
		return
	}
	if d.step, d.due = stepAt(d.decision, node.Began, now); d.due {
		d.changed = changedAt(d.decision, node.Began, now)
	}
}

// dueSince returns since when a pod is known to be due: since its deadline, or since the caches showed its node's taints or the pod as
// they are, if that is later. A read of the node that began before proves nothing: the taint may have gone before the pod was due.
func (e *Evictor) dueSince(pod *podcache.Pod) time.Time {
	since, _ := e.schedule.Deadline(pod.UID)
	for _, known := range []time.Time{e.starts.ObservedAt(pod.Node()), pod.ObservedAt()} {
		if known.After(since) {
			since = known
		}
	}
	return since
}
