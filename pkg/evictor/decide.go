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

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

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
