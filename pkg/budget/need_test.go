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

package budget

import (
	"fmt"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestNeed(t *testing.T) {
	many := map[string]metav1.Time{}
	for i := range maxDisrupted + 1 {
		many[fmt.Sprint(i)] = metav1.Time{}
	}
	for name, test := range map[string]struct {
		change          func(*policyv1.PodDisruptionBudget)
		ready, notReady need
	}{
		"one is allowed":         {func(*policyv1.PodDisruptionBudget) {}, place, nothing},
		"none is allowed":        {func(b *policyv1.PodDisruptionBudget) { b.Status.DisruptionsAllowed = 0 }, refused, nothing},
		"too few are healthy":    {func(b *policyv1.PodDisruptionBudget) { b.Status.DisruptionsAllowed, b.Status.CurrentHealthy = 0, 1 }, refused, refused},
		"none needs be healthy":  {func(b *policyv1.PodDisruptionBudget) { b.Status.DesiredHealthy = 0 }, place, place},
		"negative":               {func(b *policyv1.PodDisruptionBudget) { b.Status.DisruptionsAllowed = -1 }, refused, nothing},
		"not reconciled":         {func(b *policyv1.PodDisruptionBudget) { b.Generation = 2 }, refused, nothing},
		"many are not confirmed": {func(b *policyv1.PodDisruptionBudget) { b.Status.DisruptedPods = many }, refused, nothing},
		"healthy budget only": {func(b *policyv1.PodDisruptionBudget) {
			b.Spec.UnhealthyPodEvictionPolicy, b.Status.CurrentHealthy = ptr.To(policyv1.IfHealthyBudget), 1
			b.Status.DisruptionsAllowed = 0
		}, refused, refused},
		"always": {func(b *policyv1.PodDisruptionBudget) {
			b.Spec.UnhealthyPodEvictionPolicy, b.Status.CurrentHealthy = ptr.To(policyv1.AlwaysAllow), 1
			b.Status.DisruptionsAllowed, b.Generation = 0, 2
		}, refused, nothing},
		"a policy of later": {func(b *policyv1.PodDisruptionBudget) {
			b.Spec.UnhealthyPodEvictionPolicy, b.Status.CurrentHealthy = ptr.To(policyv1.UnhealthyPodEvictionPolicyType("Later")), 1
			b.Status.DisruptionsAllowed = 0
		}, refused, refused},
	} {
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Generation: 1},
			Status:     policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1, CurrentHealthy: 3, DesiredHealthy: 2},
		}
		test.change(budget)
		if ready, notReady := needOf(budget, true), needOf(budget, false); ready != test.ready || notReady != test.notReady {
			t.Errorf("%s: a pod that is ready needs %d, one that is not %d", name, ready, notReady)
		}
	}
}
