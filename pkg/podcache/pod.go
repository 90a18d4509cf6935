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

// DisruptionReason is the reason of the condition DisruptionTarget of a pod that is evicted because of a taint.
const DisruptionReason = "DeletionByTaintManager"

// Pod holds what is kept of a pod that is bound to a node. Only the times at which it was seen change after NewPod.
type Pod struct {
	noMeta
	Name            string
	UID             types.UID
	ResourceVersion string
	// Generation is metadata.generation, which conditions refer to.
	Generation int64
	// Priority is spec.priority.
	Priority int32
	// Mirror, Terminating and Finished are as in deadline.Pod. A Failed pod is finished only if one of its containers
	// started: a pod that its kubelet rejected holds no logs.
	Mirror, Terminating, Finished bool
	// DisruptionTarget is true if the pod has the condition DisruptionTarget, True, with DisruptionReason.
	DisruptionTarget bool

	// namespace and node (spec.nodeName) are handles because many pods share them. A string from a handle is shared only as
	// long as the handle is kept.
	namespace, node unique.Handle[string]
	// tolerations are spec.tolerations.
	tolerations tolerations
	// labels are metadata.labels.
	labels labelSet
	// ready and guarded are what disruption budgets read of the status.
	ready, guarded bool
	// boundAt is the binding according to the API, in seconds of Unix time: the transition time of PodScheduled=True, but
	// no earlier than the creation, and the creation if the condition is missing. For a pod that is created with a
	// nodeName, the kubelet sets the condition by its own clock.
	boundAt int64
	// seen is when this UID first reached us, bound to a node. In nanoseconds of Unix time.
	seen atomic.Int64
	// observedAt is when a version in which the rules read the same first reached us. In nanoseconds of Unix time.
	observedAt atomic.Int64
}

// NewPod returns what is kept of a pod. seen is the local time at which it reached us.
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
		labels:          newLabelSet(pod.Labels),
		guarded:         isGuarded(pod),
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
		case v1.PodReady:
			p.ready = true
		}
	}
	p.seen.Store(seen.UnixNano())
	p.observedAt.Store(seen.UnixNano())
	return p
}

// started reports whether a container of the pod is known to have started at any time. A kubelet that rejects a pod reports
// no containers, or all of them as waiting.
func started(status *v1.PodStatus) bool {
	return slices.ContainsFunc(status.ContainerStatuses, hasStarted) || slices.ContainsFunc(status.InitContainerStatuses, hasStarted) ||
		slices.ContainsFunc(status.EphemeralContainerStatuses, hasStarted)
}

// hasStarted reports whether a container has started. One that waits for a restart has.
func hasStarted(status v1.ContainerStatus) bool {
	return status.State.Running != nil || status.State.Terminated != nil || status.LastTerminationState.Running != nil ||
		status.LastTerminationState.Terminated != nil || status.RestartCount > 0 || ptr.Deref(status.Started, false)
}

// Namespace returns metadata.namespace.
func (p *Pod) Namespace() string { return p.namespace.Value() }

// Node returns spec.nodeName.
func (p *Pod) Node() string { return p.node.Value() }

// DeepCopyObject returns the pod itself, which is never changed. Only lists of API objects call it.
func (p *Pod) DeepCopyObject() runtime.Object { return p }

// GetNamespace implements metav1.Object.
func (p *Pod) GetNamespace() string { return p.Namespace() }

// GetName implements metav1.Object.
func (p *Pod) GetName() string { return p.Name }

// GetUID implements metav1.Object.
func (p *Pod) GetUID() types.UID { return p.UID }

// GetResourceVersion implements metav1.Object.
func (p *Pod) GetResourceVersion() string { return p.ResourceVersion }

// Bound returns the binding as a local time. API times count as the end of their second, so that no pod goes early.
func (p *Pod) Bound(clock *serverclock.Clock) time.Time {
	bound, seen := clock.Local(time.Unix(p.boundAt+1, 0)), time.Unix(0, p.seen.Load())
	if seen.Before(bound) {
		return seen
	}
	return bound
}

// ObservedAt returns the local time since which the pod is known to be, for the rules, as in this version.
func (p *Pod) ObservedAt() time.Time { return time.Unix(0, p.observedAt.Load()) }

// CarryOver takes over the times that are known from an earlier version of the same pod. It reports whether the rules now
// read something else than in either version before.
func (p *Pod) CarryOver(earlier *Pod, clock *serverclock.Clock) (changed bool) {
	if p.UID != earlier.UID {
		return true
	}
	bound := p.Bound(clock)
	return !p.carryOverTimes(earlier) || !bound.Equal(p.Bound(clock))
}

// carryOverTimes takes over the times that are known from an earlier version of the same pod. It reports whether the API
// says the same of both.
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

// lower sets an integer to n if n is smaller.
func lower(to *atomic.Int64, n int64) {
	if n < to.Load() {
		to.Store(n)
	}
}

// ToDeadlinePod returns what the rules read of the pod. The labels of its node and namespace are for the caller to add.
func (p *Pod) ToDeadlinePod(clock *serverclock.Clock) deadline.Pod {
	return deadline.Pod{
		Tolerations: p.tolerations.list(),
		Bound:       p.Bound(clock),
		Mirror:      p.Mirror,
		Terminating: p.Terminating,
		Finished:    p.Finished,
		Labels:      deadline.Labels{Pod: p.labels},
	}
}

// sameVersion reports whether two pods that are the same for the rules are the same version.
func (p *Pod) sameVersion(q *Pod) bool {
	return p.ResourceVersion == q.ResourceVersion && p.Generation == q.Generation && p.Priority == q.Priority && p.DisruptionTarget == q.DisruptionTarget
}

// sameDeadlinePod reports whether the API says the same of two pods, as far as the rules read it.
func (p *Pod) sameDeadlinePod(q *Pod) bool {
	return p.UID == q.UID && p.node == q.node && p.Mirror == q.Mirror && p.Terminating == q.Terminating &&
		p.Finished == q.Finished && p.tolerations == q.tolerations && p.labels == q.labels && p.boundAt == q.boundAt
}
