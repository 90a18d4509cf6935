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

package explain

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// TestOverdue has a pod be due for longer than it takes to evict one.
func TestOverdue(t *testing.T) {
	allowed := func(status metav1.ConditionStatus, since int) *policyv1.PodDisruptionBudget {
		budget := budgetOf("b", 1)
		budget.Status.Conditions = []metav1.Condition{{Type: policyv1.DisruptionAllowedCondition, Status: status, LastTransitionTime: *ago(since)}}
		return budget
	}
	evicted := policy(t, "x", evicts) // and deleted after 60 s
	for _, test := range []struct {
		name    string
		taint   int // its age in seconds; a pod is due a second later
		objects []any
		want    State
	}{
		{"due for 9 s", 10, nil, StateOverdue},
		{"due for 3 s", 4, nil, StateDue},
		{"a budget allows it", 10, []any{evicted, budgetOf("b", 1)}, StateOverdue},
		{"a budget has allowed it for 6 s", 10, []any{evicted, allowed(metav1.ConditionTrue, 6)}, StateOverdue},
		{"a budget has allowed it for 2 s", 10, []any{evicted, allowed(metav1.ConditionTrue, 2)}, StateDue},
		{"the condition of the budget is of another status", 10, []any{evicted, allowed(metav1.ConditionFalse, 2)}, StateOverdue},
		{"a budget has allowed it for 2 s, and it is deleted anyway", 10, []any{allowed(metav1.ConditionTrue, 2)}, StateOverdue},
		{"deleted for 2 s, whatever its budget says", 63, []any{evicted, budgetOf("b", 0)}, StateDue},
		{"deleted for 9 s, whatever its budget says", 70, []any{evicted, budgetOf("b", 0)}, StateOverdue},
	} {
		s := cluster(snapshot.Input{}, append(test.objects, node("a", noExecute("k", ago(test.taint))), pod("p"))...)
		status := newJudge(s, Facts{}, nil, nil).pod(s.Pods[0])
		if status.State != test.want {
			t.Errorf("%s: got %s (%s), want %s", test.name, status.State, status.Because, test.want)
		}
	}
}
