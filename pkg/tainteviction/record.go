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
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// line returns a line about what became of a pod at a local time.
func (t *trail) line(at time.Time, outcome v1alpha1.Outcome, pod v1alpha1.PodReference, node string) *v1alpha1.EvictionRecord {
	return &v1alpha1.EvictionRecord{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind},
		Time:     v1alpha1.NewTime(t.server.At(at)), Outcome: outcome, Pod: pod, Node: node,
		DryRun: t.dryRun, Instance: t.instance, Leader: t.leading.Load(),
	}
}

func referenceOf(pod *podcache.Pod) v1alpha1.PodReference {
	return v1alpha1.PodReference{Namespace: pod.Namespace(), Name: pod.Name, UID: pod.UID}
}

// itemLine returns a line about a pod that was scheduled.
func (t *trail) itemLine(at time.Time, outcome v1alpha1.Outcome, item evictionqueue.Item) *v1alpha1.EvictionRecord {
	line := t.line(at, outcome, v1alpha1.PodReference{Namespace: item.Namespace, Name: item.Name, UID: item.UID}, item.Node)
	if item.Cause != (unique.Handle[deadline.Cause]{}) {
		t.explain(line, item.Cause.Value(), item.Deadline)
	}
	return line
}

// api returns a local time that comes from the API as the API time that it was.
func (t *trail) api(local time.Time) v1alpha1.Time {
	if local.IsZero() {
		return v1alpha1.Time{}
	}
	return v1alpha1.NewTime(t.server.Earliest(local))
}

// accepted returns the line about a pod whose eviction was accepted.
func (t *trail) accepted(at time.Time, result evictor.Result) *v1alpha1.EvictionRecord {
	pod, step := result.Pod, result.Step
	due, _ := result.Decision.DueFrom(at)
	line := t.line(at, v1alpha1.OutcomeEvicted, referenceOf(pod), pod.Node())
	t.explain(line, deadline.CauseOf(step), due)
	line.Reason = v1alpha1.Reason(step.Reason)
	line.LatenessSeconds = ptr.To(at.Sub(due).Seconds())
	t.describePod(line, pod, result.Owner)
	line.Held = t.holds(result.Decision.AsOf(at))
	line.GracePeriodSeconds = result.GracePeriodSeconds
	line.BudgetOverridden = step.Policy != nil && step.Policy.Mode == deadline.ModeEvict && step.Mode == deadline.ModeDelete
	line.Unversioned = result.Unversioned
	return line
}

// sparing returns the line about a pod that an attempt spared: it need not go, or goes already.
func (t *trail) sparing(at time.Time, item evictionqueue.Item, result evictor.Result) *v1alpha1.EvictionRecord {
	line := t.itemLine(at, v1alpha1.OutcomeSpared, item)
	line.Reason = v1alpha1.Reason(result.Outcome) // Terminating or NameReused
	left := result.Decision.AsOf(at)
	if result.Outcome == evictor.NotDue {
		line.Reason = v1alpha1.Reason(left.Reason)
	}
	t.describePod(line, result.Pod, result.Owner)
	line.Held = t.holds(left)
	return line
}

// cancellation returns the line about a pod that was scheduled and need not go any more. pod is what the cache has under its name, or nil.
func (t *trail) cancellation(item evictionqueue.Item, pod *podcache.Pod, decision deadline.Decision) *v1alpha1.EvictionRecord {
	now := t.clock.Now()
	decision = decision.AsOf(now)
	line := t.itemLine(now, v1alpha1.OutcomeCancelled, item)
	line.Reason = v1alpha1.Reason(decision.Reason)
	line.Held = t.holds(decision)
	switch {
	case pod == nil:
		line.Reason = v1alpha1.ReasonGone
	case pod.UID != item.UID:
		line.Reason = v1alpha1.ReasonNameReused
	default:
		t.describePod(line, pod, nil)
	}
	return line
}

// previewed returns the line about a pod that would go by a step.
func (t *trail) previewed(pod *podcache.Pod, decision deadline.Decision, step deadline.Step) *v1alpha1.EvictionRecord {
	line := t.line(t.clock.Now(), v1alpha1.OutcomePreviewed, referenceOf(pod), pod.Node())
	t.explain(line, deadline.CauseOf(step), step.From)
	line.Reason = v1alpha1.Reason(decision.Reason)
	t.describePod(line, pod, nil)
	line.Held = t.holds(decision)
	return line
}

// describePod fills in what is known of the pod itself.
func (t *trail) describePod(line *v1alpha1.EvictionRecord, pod *podcache.Pod, owner *metav1.OwnerReference) {
	line.Binding = t.api(pod.Bound(t.server))
	line.ConditionWritten = pod.DisruptionTarget
	if owner != nil {
		line.Owner = &v1alpha1.OwnerReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID}
	}
}

// explain fills in why and when a pod had to go.
func (t *trail) explain(line *v1alpha1.EvictionRecord, cause deadline.Cause, due time.Time) {
	line.Taint = &v1alpha1.Taint{Key: cause.Key, Value: cause.Value, Effect: cause.Effect}
	line.Taint.Start, line.Taint.StartFrom = t.dated(cause.Evidence.Start)
	line.Taint.NotReadyPeriod, line.Taint.NotReadyPeriodFrom = t.dated(cause.Evidence.Period)
	line.Toleration, line.Policy, line.Mode, line.Deadline = cause.Toleration(), cause.Policy, v1alpha1.Mode(cause.Mode), t.api(due)
	if line.Taint.StartFrom == v1alpha1.SourceFirstSight { // no time of the API, so that there is a best estimate only
		line.Deadline = v1alpha1.NewTime(t.server.At(due))
	}
}

// dated returns the API time of a start, and what dates it.
func (t *trail) dated(d deadline.Dated) (v1alpha1.Time, v1alpha1.Source) {
	switch {
	case d.At.IsZero():
		return v1alpha1.Time{}, ""
	case d.By == deadline.ByFirstSight:
		return v1alpha1.NewTime(t.server.At(d.At)), v1alpha1.SourceFirstSight
	default:
		return v1alpha1.NewTime(d.At), v1alpha1.Source(d.By)
	}
}

// holds returns what holds a pod back.
func (t *trail) holds(decision deadline.Decision) (holds []v1alpha1.Hold) {
	for i := range decision.Held {
		step := &decision.Held[i]
		hold := v1alpha1.Hold{Mode: v1alpha1.Mode(step.Mode), Taint: step.Taint.String(), From: t.api(step.From)}
		if step.Policy != nil {
			hold.Policy = step.Policy.Name
		}
		holds = append(holds, hold)
	}
	return holds
}
