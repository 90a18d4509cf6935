package simulation

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// The rules of the README, "When a pod must go", over full histories. Nothing here is shared with the product.

// never is later than every deadline.
func never() time.Time { return time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC) }

// span is the range within which the rules allow a moment to lie: with all evidence that there ever was, and with no more
// than is left.
type span struct{ earliest, latest time.Time }

func (s span) contains(t time.Time) bool { return !t.Before(s.earliest) && !t.After(s.latest) }

// leftAlone says that a pod does not go whatever taints there are: mirror pods, pods that are being deleted, finished pods.
func leftAlone(pod *v1.Pod) bool {
	_, mirror := pod.Annotations[v1.MirrorPodAnnotationKey]
	finished := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
	return mirror || finished || pod.DeletionTimestamp != nil || pod.Spec.NodeName == ""
}

// deadlineOf is when a pod must go, for a node that has these taints: the earliest over all NoExecute taints. start says
// since when a taint counts as being there.
func deadlineOf(pod *v1.Pod, bound span, node *v1.Node, start func(v1.Taint) span) span {
	due := span{never(), never()}
	if node == nil || leftAlone(pod) {
		return due
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != v1.TaintEffectNoExecute {
			continue
		}
		since := start(taint)
		due.earliest = first(due.earliest, after(pod, taint, last(since.earliest, bound.earliest)))
		due.latest = first(due.latest, after(pod, taint, last(since.latest, bound.latest)))
	}
	return due
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

// tolerates says whether a toleration matches a NoExecute taint: its effect, key and value do, each where it is given.
func tolerates(t v1.Toleration, taint v1.Taint) bool {
	effect := t.Effect == "" || t.Effect == v1.TaintEffectNoExecute
	key := t.Key == "" || t.Key == taint.Key
	value := t.Operator == v1.TolerationOpExists || ((t.Operator == "" || t.Operator == v1.TolerationOpEqual) && t.Value == taint.Value)
	return effect && key && value
}

// boundBy is the pod's binding by the API: the transition of PodScheduled to True, or its creation. A second counts as its end.
func boundBy(pod *v1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.PodScheduled && c.Status == v1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return secondEnd(c.LastTransitionTime.Time)
		}
	}
	return secondEnd(pod.CreationTimestamp.Time)
}

// sameTaint says whether two taints have one start: they are the same, or both are of the node's illness.
func sameTaint(a, b v1.Taint) bool {
	evict := a.Effect == v1.TaintEffectNoExecute && b.Effect == v1.TaintEffectNoExecute
	return evict && a.Value == b.Value && (a.Key == b.Key || (isIllness(a) && isIllness(b)))
}

func isIllness(taint v1.Taint) bool {
	return taint.Key == v1.TaintNodeNotReady || taint.Key == v1.TaintNodeUnreachable
}

// carries says whether a node has a taint, or one with the same start.
func carries(node *v1.Node, taint v1.Taint) bool {
	for _, other := range node.Spec.Taints {
		if sameTaint(taint, other) {
			return true
		}
	}
	return false
}

// evidence is the earliest time that one version of a node gives for the start of a taint: timeAdded, or the last change of
// spec.taints. never where there is none.
func evidence(node *v1.Node, taint v1.Taint) time.Time {
	known := never()
	if t := changedAt(node); !t.IsZero() {
		known = secondEnd(t)
	}
	for _, other := range node.Spec.Taints {
		if sameTaint(taint, other) && other.TimeAdded != nil && !other.TimeAdded.IsZero() {
			known = first(known, secondEnd(other.TimeAdded.Time))
		}
	}
	return known
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
	for _, c := range node.Status.Conditions {
		if c.Type == v1.NodeReady && c.Status != v1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func isReady(node *v1.Node) bool { return notReadySince(node).IsZero() }

// secondEnd is the end of a second that the API has stored.
func secondEnd(t time.Time) time.Time { return t.Add(time.Second) }

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
