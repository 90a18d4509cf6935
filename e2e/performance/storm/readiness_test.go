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

package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// podOf is a pod of a budget.
func podOf(budget, uid string, ready, terminating bool) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), Labels: map[string]string{budgetLabel: budget}}}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	if terminating {
		now := metav1.Now()
		pod.DeletionTimestamp = &now
	}
	return pod
}

func TestReadiness(t *testing.T) {
	r := newReadiness()
	r.begin([]corev1.Pod{*podOf("a", "a1", true, false), *podOf("a", "a2", true, false), *podOf("b", "b1", true, false), *podOf("b", "b2", true, false)})
	expect := func(what string, minAvailable, violated, fewest int) {
		t.Helper()
		if budgets, n := r.below(minAvailable); budgets != violated || n != fewest {
			t.Errorf("%s: %d budgets were below %d, at least %d pods were ready; want %d and %d", what, budgets, minAvailable, n, violated, fewest)
		}
	}
	see := func(event watch.EventType, pod *corev1.Pod, want bool) {
		t.Helper()
		if goes := r.see(event, pod); goes != want {
			t.Errorf("%s of %s: goes %t, want %t", event, pod.UID, goes, want)
		}
	}
	expect("at the beginning", 2, 0, 2)
	see(watch.Modified, podOf("a", "a1", true, true), true) // still ready, and terminating
	see(watch.Modified, podOf("a", "a1", false, true), false)
	see(watch.Deleted, podOf("a", "a1", false, true), false)
	expect("one of a went", 1, 0, 1)
	see(watch.Added, podOf("a", "a3", false, false), false)
	see(watch.Modified, podOf("a", "a3", true, false), false)
	see(watch.Modified, podOf("a", "a2", true, true), true)
	expect("the next one went after it was replaced", 1, 0, 1)
	see(watch.Modified, podOf("b", "b1", false, false), false) // not ready is as bad as gone
	see(watch.Deleted, podOf("b", "b2", true, false), true)
	expect("two of b at a time", 1, 1, 0)
	see(watch.Modified, podOf("b", "b1", true, false), false)
	expect("b has recovered, but was violated", 1, 1, 0)
	if went, last := r.went(); went != 3 || last.IsZero() {
		t.Errorf("%d pods went, the last at %s", went, last)
	}
}

func TestCounted(t *testing.T) {
	g := guard{budgets: 1, perBudget: 5, minAvailable: 4}
	for _, test := range []struct {
		name       string
		generation int64
		status     policyv1.PodDisruptionBudgetStatus
		want       bool
	}{
		{"all pods are ready", 1, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 5, DisruptionsAllowed: 1}, true},
		{"not observed", 2, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 5, DisruptionsAllowed: 1}, false},
		{"one is not ready", 1, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 4, DisruptionsAllowed: 1}, false},
		{"allows nothing yet", 1, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 5}, false},
	} {
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: test.generation}, Status: test.status}
		if got := g.counted(budget); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
