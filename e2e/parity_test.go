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

package e2e

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// TestParityTolerations has what pods of one node tolerate, and when each must go after the node got its taints.
func TestParityTolerations(t *testing.T) {
	t.Parallel()
	const never = -1
	ill, worse := builders.NoExecute("ill"), builders.NoExecute("worse")
	valued := corev1.Toleration{Key: "ill", Operator: corev1.TolerationOpEqual, Value: "flu"}
	for _, test := range []struct {
		name        string
		taints      []corev1.Taint
		tolerations []builders.Change
		seconds     float64
	}{
		{"nothing", []corev1.Taint{ill}, nil, 0},
		{"another taint", []corev1.Taint{ill}, []builders.Change{builders.ToleratesForever("worse")}, 0},
		{"another value", []corev1.Taint{ill}, []builders.Change{builders.With(valued)}, 0},
		{"another effect", []corev1.Taint{ill}, []builders.Change{
			builders.With(corev1.Toleration{Key: "ill", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}),
		}, 0},
		{"taint of another effect", []corev1.Taint{{Key: "ill", Effect: corev1.TaintEffectNoSchedule}}, nil, never},
		{"for ever", []corev1.Taint{ill}, []builders.Change{builders.ToleratesForever("ill")}, never},
		{"everything for ever", []corev1.Taint{ill, worse}, []builders.Change{
			builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists}),
		}, never},
		{"for a time", []corev1.Taint{ill}, []builders.Change{builders.Tolerates("ill", 3)}, 3},
		{"for no time", []corev1.Taint{ill}, []builders.Change{builders.Tolerates("ill", 0)}, 0},
		{"for less than no time", []corev1.Taint{ill}, []builders.Change{builders.Tolerates("ill", -5)}, 0},
		{"two taints, the shorter time", []corev1.Taint{ill, worse},
			[]builders.Change{builders.Tolerates("ill", 5), builders.Tolerates("worse", 2)}, 2},
		{"two taints, one for ever", []corev1.Taint{ill, worse},
			[]builders.Change{builders.ToleratesForever("ill"), builders.Tolerates("worse", 2)}, 2},
		{"two taints, one of them not", []corev1.Taint{ill, worse}, []builders.Change{builders.Tolerates("ill", 5)}, 0},
		{"first in order is shorter", []corev1.Taint{ill},
			[]builders.Change{builders.Tolerates("ill", 2), builders.ToleratesForever("ill")}, 2},
		{"first in order is longer", []corev1.Taint{ill},
			[]builders.Change{builders.Tolerates("ill", 4), builders.Tolerates("", 1)}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := suite.Shared(t)
			node := s.Node()
			pod := s.Pod(node, test.tolerations...)
			s.Running(pod)
			tainted := s.Taint(node, test.taints...)
			if test.seconds == never {
				s.Stays(pod, tainted.After.Add(4*time.Second), "it tolerates all there is")
			} else {
				s.Evicted(pod, harness.Due(tainted, test.seconds))
			}
		})
	}
}

func TestParityCancelled(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]corev1.Taint{
		"all taints removed":                 {},
		"the one left is tolerated for ever": {builders.NoExecute("known")},
		"the one left has another effect":    {{Key: "ill", Effect: corev1.TaintEffectNoSchedule}},
	} {
		t.Run(name, func(t *testing.T) {
			s := suite.Shared(t)
			node := s.Node()
			pod := s.Pod(node, builders.Tolerates("ill", 3), builders.ToleratesForever("known"))
			tainted := s.Taint(node, append([]corev1.Taint{builders.NoExecute("ill")}, left...)...)
			s.Quiet(pod, tainted.After.Add(counting))
			s.Taint(node, left...)
			s.Stays(pod, tainted.After.Add(6*time.Second), "nothing is left that would evict it")
		})
	}
}

func TestParityBoundToTaintedNode(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	first, created := s.PodAt(node)
	s.Evicted(first, harness.Due(created, 0))
	bystander := s.Pod(node, builders.ToleratesForever("ill"))
	s.Quiet(bystander, tainted.After.Add(3*time.Second))
	later, createdLater := s.PodAt(node, builders.Tolerates("ill", 2))
	s.Evicted(later, harness.Due(createdLater, 2)) // counted from its binding, not from the taint
	scheduled, createdLast := s.PodAt("", builders.Tolerates("ill", 2), func(pod *corev1.Pod) { pod.Spec.NodeSelector = s.NodeSelector() })
	s.Evicted(scheduled, harness.Due(createdLast, 2))
}

// A kubelet whose clock is an hour behind says of a pod that was made with its node's name that it has been there for an hour.
func TestParityBoundByAClockThatIsBehind(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	s.Silence(node) // or its kubelet would say something else
	bystander := s.Pod(node, builders.ToleratesForever("ill"))
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(bystander, tainted.After.Add(3*time.Second)) // by so much the pod would go early
	pod, created := s.PodAt(node, builders.Tolerates("ill", 5))
	s.Scheduled(pod, tainted.Before.Add(-time.Hour))
	s.Evicted(pod, harness.Due(created, 5))
	if c := builders.ConditionOf(s.Last(pod), corev1.PodScheduled); c == nil || time.Since(c.LastTransitionTime.Time) < time.Hour {
		t.Errorf("the condition was changed: %v", c)
	}
}

func TestParityRecreatedUnderTheSameName(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	old := s.Pod(node, builders.Named("same"), builders.Tolerates("ill", 3))
	kept := s.Pod(node, builders.Named("kept"), builders.Tolerates("ill", 3))
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(old, tainted.After.Add(counting))
	s.Remove(old)
	s.Remove(kept)
	longer, created := s.PodAt(node, builders.Named("same"), builders.Tolerates("ill", 5))
	forever := s.Pod(node, builders.Named("kept"), builders.ToleratesForever("ill"))
	s.Evicted(longer, harness.Due(created, 5))
	s.Stays(forever, tainted.After.Add(7*time.Second), "it only has the name of one that had to go")
}

func TestParityRetaintedAtOnce(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 4))
	s.Running(pod)
	first := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, first.After.Add(counting))
	s.Untaint(node)
	again := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(again, 4))
}

func TestParityHeldByFinalizer(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node, builders.Held("e2e.taint-manager.test/held"))
	s.Running(pod)
	s.Silence(node) // or its kubelet would confirm the end
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(tainted, 0))
	live := s.Live(pod)
	condition := builders.ConditionOf(live, corev1.DisruptionTarget)
	if condition == nil || condition.Status != corev1.ConditionTrue || condition.Reason != "DeletionByTaintManager" {
		t.Errorf("condition DisruptionTarget: %v", condition)
	}
	first := s.Events(evictionReason, 1, tainted.After.Add(15*time.Second))
	// A second attempt would write a second Event.
	s.Taint(node, builders.NoExecute("ill"), builders.NoExecute("worse"))
	if all := s.Events(evictionReason, 2, time.Now().Add(4*time.Second)); len(first) != 1 || len(all) != 1 {
		t.Errorf("%d events, then %d; want one", len(first), len(all))
	}
	if after := s.Live(pod); !after.DeletionTimestamp.Equal(live.DeletionTimestamp) {
		t.Errorf("deletion timestamp moved from %s to %s", live.DeletionTimestamp, after.DeletionTimestamp)
	}
	s.Release(pod)
}
