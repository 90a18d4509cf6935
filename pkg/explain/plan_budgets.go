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
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// BudgetUse is what a plan takes of a disruption budget, until replacements are ready.
type BudgetUse struct {
	Budget Ref `json:"budget"`
	// Allowed is how many disruptions are allowed now.
	Allowed int32 `json:"disruptionsAllowed"`
	// Evicted counts pods that are evicted with or without a place, Blocked those that find none, and Deleted those that are deleted
	// whatever the budget says.
	Evicted int `json:"evicted"`
	Blocked int `json:"blocked"`
	Deleted int `json:"deleted"`
}

// spendBudgets lets the pods that go take their places of disruption budgets one after another, in the order in which they go. A pod that is
// deleted asks for no place, but there is one less for others after it. Of a pod whose mode is not known nothing is.
func (p *Plan) spendBudgets(s *snapshot.Snapshot) {
	index, left := map[types.NamespacedName]int{}, map[types.NamespacedName]int32{}
	for i := range p.Pods {
		pod := &p.Pods[i]
		if !pod.Goes() || pod.Fate.ModeUnknown {
			continue
		}
		covering := s.CoveringBudgets(pod.pod)
		for _, api := range covering {
			name := types.NamespacedName{Namespace: api.Namespace, Name: api.Name}
			at, known := index[name]
			if !known {
				at = len(p.Budgets)
				index[name], left[name] = at, api.Status.DisruptionsAllowed
				p.Budgets = append(p.Budgets, BudgetUse{Budget: Ref{Namespace: api.Namespace, Name: api.Name}, Allowed: api.Status.DisruptionsAllowed})
			}
			use, verdict := &p.Budgets[at], budget.Judge(api, pod.pod)
			switch {
			case pod.Fate.Mode != deadline.ModeEvict:
				use.Deleted++
				if pod.pod.Guarded() && pod.pod.Ready() {
					left[name]--
				}
			case pod.pod.Guarded() && len(covering) > 1, verdict == budget.Refused, verdict == budget.TakesPlace && left[name] <= 0:
				use.Blocked++
				pod.Fate.Outcome, pod.Fate.BlockedBy = Blocked, append(pod.Fate.BlockedBy, api.Name)
			default:
				use.Evicted++
				if verdict == budget.TakesPlace {
					left[name]--
				}
			}
		}
	}
}
