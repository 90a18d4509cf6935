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

package simulation

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// The rules of package deadline, stated again, over one pod and the taints of its node. Nothing here is shared with the
// product.

// never is later than every deadline.
func never() time.Time { return time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC) }

// secondEnd is the end of a second that the API has stored.
func secondEnd(t time.Time) time.Time { return t.Add(time.Second) }

// leftAlone says that a pod does not go whatever taints there are: mirror pods, pods that are being deleted, pods that have
// finished.
func leftAlone(pod *v1.Pod) bool {
	_, mirror := pod.Annotations[v1.MirrorPodAnnotationKey]
	finished := pod.Status.Phase == v1.PodSucceeded || (pod.Status.Phase == v1.PodFailed && everStarted(pod))
	return mirror || finished || pod.DeletionTimestamp != nil || pod.Spec.NodeName == ""
}

// everStarted says whether a container of a pod has been started: one has a status, and does not wait.
func everStarted(pod *v1.Pod) bool {
	for _, statuses := range [][]v1.ContainerStatus{
		pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses,
	} {
		for _, status := range statuses {
			if status.State.Waiting == nil {
				return true
			}
		}
	}
	return false
}

// starts are since when the taints of a node count as being there.
type starts struct {
	// taint is for a taint that is dated alone, period for one of the two of a node that is not ready: since when the
	// not-ready period counts, and since when that taint is on in place of the other one.
	taint  func(v1.Taint) time.Time
	period func(v1.Taint) (period, own time.Time)
}

// inPeriod is when a taint of a node that is not ready evicts a pod: max(period + s(K), min(own + s(K), period + max(s(K),
// s(other)))).
func inPeriod(pod *v1.Pod, k v1.Taint, period, own time.Time) time.Time {
	other := v1.Taint{Key: v1.TaintNodeNotReady, Value: k.Value, Effect: k.Effect}
	if k.Key == v1.TaintNodeNotReady {
		other.Key = v1.TaintNodeUnreachable
	}
	longer := last(after(pod, k, period), after(pod, other, period))
	return last(after(pod, k, period), first(after(pod, k, own), longer))
}

// after is when one taint evicts a pod whose count began at since: by the first toleration that tolerates it.
func after(pod *v1.Pod, taint v1.Taint, since time.Time) time.Time {
	for _, t := range pod.Spec.Tolerations {
		if !tolerates(t, taint) {
			continue
		}
		switch seconds := t.TolerationSeconds; {
		case seconds == nil:
			return never()
		case *seconds <= 0:
			return since
		case *seconds >= never().Unix()-since.Unix():
			return never()
		default:
			return time.Unix(since.Unix()+*seconds, int64(since.Nanosecond())).UTC()
		}
	}
	return since
}

// tolerates says whether a toleration matches a taint that evicts: its effect, key and value do, each where it is given. One of NoSchedule is
// tolerated by either effect.
func tolerates(t v1.Toleration, taint v1.Taint) bool {
	effect := t.Effect == "" || t.Effect == v1.TaintEffectNoExecute || t.Effect == taint.Effect
	key := t.Key == "" || t.Key == taint.Key
	value := t.Operator == v1.TolerationOpExists || ((t.Operator == "" || t.Operator == v1.TolerationOpEqual) && t.Value == taint.Value)
	return effect && key && value
}

// boundBy is the pod's binding by the API: the transition of PodScheduled to True, or its creation where that is later. A
// second counts as its end.
func boundBy(pod *v1.Pod) time.Time {
	bound := pod.CreationTimestamp.Time
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.PodScheduled && c.Status == v1.ConditionTrue {
			bound = last(bound, c.LastTransitionTime.Time)
		}
	}
	return secondEnd(bound)
}

// sameTaint says whether two taints are the same one.
func sameTaint(a, b v1.Taint) bool {
	return a.Effect == b.Effect && a.Key == b.Key && a.Value == b.Value
}

func isNotReadyTaint(taint v1.Taint) bool {
	return taint.Key == v1.TaintNodeNotReady || taint.Key == v1.TaintNodeUnreachable
}

// find is a taint of a node, or nil.
func find(node *v1.Node, taint v1.Taint) *v1.Taint {
	for i := range node.Spec.Taints {
		if sameTaint(taint, node.Spec.Taints[i]) {
			return &node.Spec.Taints[i]
		}
	}
	return nil
}

// notReadyTaints are those of a node that are on because it is not ready.
func notReadyTaints(node *v1.Node) (on []v1.Taint) {
	for _, taint := range node.Spec.Taints {
		if taint.Effect == v1.TaintEffectNoExecute && isNotReadyTaint(taint) {
			on = append(on, taint)
		}
	}
	return on
}

// addedAt is the timeAdded of a taint of a node, or zero.
func addedAt(node *v1.Node, taint v1.Taint) time.Time {
	if on := find(node, taint); on != nil && on.TimeAdded != nil {
		return on.TimeAdded.Time
	}
	return time.Time{}
}

// changedAt is the time of the managedFields entry that owns f:taints; writtenAt that of the last write.
func changedAt(node *v1.Node) (t time.Time) {
	for _, entry := range node.ManagedFields {
		if entry.Time != nil && entry.Subresource == "" && entry.FieldsV1 != nil && entry.FieldsV1.GetRawString() == ownsTaints {
			t = last(t, entry.Time.Time)
		}
	}
	return t
}

func writtenAt(node *v1.Node) (t time.Time) {
	for _, entry := range node.ManagedFields {
		if entry.Time != nil {
			t = last(t, entry.Time.Time)
		}
	}
	return t
}

// notReadySince is the transition time of the Ready condition, or zero while that is True.
func notReadySince(node *v1.Node) time.Time {
	if c := readyCondition(node); c.Status != v1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

func isReady(node *v1.Node) bool { return notReadySince(node).IsZero() }

// readyCondition is the Ready condition of a node, empty if it has none.
func readyCondition(node *v1.Node) v1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c
		}
	}
	return v1.NodeCondition{}
}

func first(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func last(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
