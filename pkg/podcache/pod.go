package podcache

import (
	"slices"
	"sync/atomic"
	"time"
	"unique"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// DisruptionReason is the reason in the condition DisruptionTarget of a pod that is evicted because of a taint.
const DisruptionReason = "DeletionByTaintManager"

// Pod is what is kept of a pod that is bound to a node. All but the moment it was first seen at is fixed once distilled.
type Pod struct {
	noMeta
	Name            string
	UID             types.UID
	ResourceVersion string
	// Generation is metadata.generation, which a condition refers to.
	Generation int64
	// Priority is spec.priority.
	Priority int32
	// Mirror, Terminating and Finished are as in deadline.Pod. A Failed pod is finished
	// only if a container of it started: others were rejected by their kubelet, and hold no logs.
	Mirror, Terminating, Finished bool
	// DisruptionTarget says that the pod's condition of that type is True already, with DisruptionReason.
	DisruptionTarget bool

	// namespace and node (spec.nodeName) are handles, not strings: many pods share them, and a string that is made of a handle
	// is shared only for as long as somebody keeps the handle.
	namespace, node unique.Handle[string]
	// tolerations are spec.tolerations.
	tolerations tolerations
	// boundAt is when the API says that the pod came to its node: the transition time of PodScheduled=True, but not before its
	// creation, and that where the condition is missing. In whole seconds of Unix time. Of a pod that is made with a nodeName the
	// kubelet sets the condition, by the clock of its node.
	boundAt int64
	// seen is when this UID reached us first, bound. In nanoseconds of Unix time.
	seen atomic.Int64
	// known is when what the rules read reached us first as it is in this version. In nanoseconds of Unix time.
	observedAt atomic.Int64
}

// NewPod distils a pod that reached us at the given moment.
func NewPod(pod *v1.Pod, seen time.Time) *Pod {
	p := &Pod{
		namespace:       unique.Make(pod.Namespace),
		Name:            pod.Name,
		UID:             pod.UID,
		ResourceVersion: pod.ResourceVersion,
		node:            unique.Make(pod.Spec.NodeName),
		Generation:      pod.Generation,
		Priority:        ptr.Deref(pod.Spec.Priority, 0),
		Terminating:     pod.DeletionTimestamp != nil,
		Finished:        pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed && started(&pod.Status),
		tolerations:     newTolerations(pod.Spec.Tolerations),
		boundAt:         pod.CreationTimestamp.Unix(),
	}
	_, p.Mirror = pod.Annotations[v1.MirrorPodAnnotationKey]
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Status != v1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case v1.PodScheduled:
			if !condition.LastTransitionTime.IsZero() {
				p.boundAt = max(p.boundAt, condition.LastTransitionTime.Unix())
			}
		case v1.DisruptionTarget:
			p.DisruptionTarget = condition.Reason == DisruptionReason
		}
	}
	p.seen.Store(seen.UnixNano())
	p.observedAt.Store(seen.UnixNano())
	return p
}

// started reports whether any container of a pod is known to have started, at any time. A kubelet that rejects a pod reports no
// container, or all of them waiting.
func started(status *v1.PodStatus) bool {
	return slices.ContainsFunc(status.ContainerStatuses, hasStarted) || slices.ContainsFunc(status.InitContainerStatuses, hasStarted) ||
		slices.ContainsFunc(status.EphemeralContainerStatuses, hasStarted)
}

// hasStarted reports whether a container has started. One that waits to be started again has.
func hasStarted(status v1.ContainerStatus) bool {
	return status.State.Running != nil || status.State.Terminated != nil || status.LastTerminationState.Running != nil ||
		status.LastTerminationState.Terminated != nil || status.RestartCount > 0 || ptr.Deref(status.Started, false)
}

// Namespace is metadata.namespace.
func (p *Pod) Namespace() string { return p.namespace.Value() }

// Node is spec.nodeName.
func (p *Pod) Node() string { return p.node.Value() }

// DeepCopyObject returns the pod itself, which nobody changes: only lists of API objects have a use for it.
func (p *Pod) DeepCopyObject() runtime.Object { return p }

func (p *Pod) GetNamespace() string       { return p.Namespace() }
func (p *Pod) GetName() string            { return p.Name }
func (p *Pod) GetUID() types.UID          { return p.UID }
func (p *Pod) GetResourceVersion() string { return p.ResourceVersion }

// Bound returns when the pod came to its node, on the local clock, and never later than we first saw it there. A second of
// the API counts as its end, so that nobody goes early.
func (p *Pod) Bound(clock *serverclock.Clock) time.Time {
	bound, seen := clock.Local(time.Unix(p.boundAt+1, 0)), time.Unix(0, p.seen.Load())
	if seen.Before(bound) {
		return seen
	}
	return bound
}

// Known is when we first knew what the rules read of this version: since then, the pod has been so.
func (p *Pod) ObservedAt() time.Time { return time.Unix(0, p.observedAt.Load()) }

// CarryOver takes over what is known from an earlier version of the same pod, and reports whether the rules now read something
// else than they read of either version before.
func (p *Pod) CarryOver(earlier *Pod, clock *serverclock.Clock) (changed bool) {
	if p.UID != earlier.UID {
		return true
	}
	bound := p.Bound(clock)
	return !p.carryOverTimes(earlier) || !bound.Equal(p.Bound(clock))
}

// carryOverTimes takes over what is known from an earlier version of the same pod, and reports whether the API says the same of both.
func (p *Pod) carryOverTimes(earlier *Pod) (same bool) {
	if p.UID != earlier.UID {
		return false
	}
	lower(&p.seen, earlier.seen.Load())
	if same = p.sameDeadlinePod(earlier); same {
		lower(&p.observedAt, earlier.observedAt.Load())
	}
	return same
}

func lower(to *atomic.Int64, n int64) {
	if n < to.Load() {
		to.Store(n)
	}
}

// Input returns the pod as the rules read it.
func (p *Pod) ToDeadlinePod(clock *serverclock.Clock) deadline.Pod {
	return deadline.Pod{
		Tolerations: p.tolerations.list(),
		Bound:       p.Bound(clock),
		Mirror:      p.Mirror,
		Terminating: p.Terminating,
		Finished:    p.Finished,
	}
}

// sameVersion reports whether two pods of which the API says the same, as far as the rules read it, are one version of it.
func (p *Pod) sameVersion(q *Pod) bool {
	return p.ResourceVersion == q.ResourceVersion && p.Generation == q.Generation && p.Priority == q.Priority && p.DisruptionTarget == q.DisruptionTarget
}

// sameDeadlinePod reports whether the API says the same of two pods, as far as the rules read it.
func (p *Pod) sameDeadlinePod(q *Pod) bool {
	return p.UID == q.UID && p.node == q.node && p.Mirror == q.Mirror && p.Terminating == q.Terminating &&
		p.Finished == q.Finished && p.tolerations == q.tolerations && p.boundAt == q.boundAt
}
