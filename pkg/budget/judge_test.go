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
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestJudge(t *testing.T) {
	allows := func(n int32) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: n, CurrentHealthy: 1, DesiredHealthy: 2}}
	}
	pending := web("pending")
	pending.guarded = false
	for _, test := range []struct {
		name    string
		pod     pod
		allowed int32
		want    Verdict
	}{
		{"a place is left", web("a"), 1, TakesPlace},
		{"no place is left", web("a"), 0, Refused},
		{"budgets do not guard the pod", pending, 0, Free},
	} {
		if got := Judge(allows(test.allowed), test.pod); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
	healthy := allows(0)
	healthy.Status.CurrentHealthy = 2
	if got := Judge(healthy, unready("a")); got != Free {
		t.Errorf("a pod that is not ready while enough others are: got %s, want %s", got, Free)
	}
}

func TestCoveringBudgets(t *testing.T) {
	budget := func(namespace, name string, match map[string]string) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: match}},
		}
	}
	invalid := budget("ns", "invalid", nil)
	invalid.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Near"}}
	index := NewIndex([]*policyv1.PodDisruptionBudget{
		budget("ns", "web", map[string]string{"app": "web"}), budget("other", "web", map[string]string{"app": "web"}),
		budget("ns", "all", nil), budget("ns", "db", map[string]string{"app": "db"}), invalid,
	})
	var got []string
	for _, one := range index.Covering(pod{"a", labels.Set{"app": "web"}, true, true}) {
		got = append(got, one.Namespace+"/"+one.Name)
	}
	if want := []string{"ns/web", "ns/all"}; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
}
