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
	policyv1 "k8s.io/api/policy/v1"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Budget is a disruption budget that covers a pod.
type Budget struct {
	Budget Ref `json:"budget"`
	// Allowed is how many disruptions are allowed now; Healthy, Desired and Expected are numbers of pods.
	Allowed  int32 `json:"disruptionsAllowed"`
	Healthy  int32 `json:"currentHealthy"`
	Desired  int32 `json:"desiredHealthy"`
	Expected int32 `json:"expectedPods"`
	// UnhealthyPodEvictionPolicy says whether pods that are not ready go without a place. Without it, it is IfHealthyBudget.
	UnhealthyPodEvictionPolicy policyv1.UnhealthyPodEvictionPolicyType `json:"unhealthyPodEvictionPolicy,omitempty"`
	// Stale says that the disruption controller has not seen the latest version. It allows nothing until then.
	Stale bool `json:"stale,omitempty"`
	// Verdict is what the eviction API would say now.
	Verdict budget.Verdict `json:"verdict"`
}

// Budgets returns the disruption budgets that cover a pod, of those that were read.
func Budgets(s *snapshot.Snapshot, pod *podcache.Pod) (all []Budget) {
	for _, api := range s.CoveringBudgets(pod) {
		one := Budget{
			Budget:  Ref{Namespace: api.Namespace, Name: api.Name},
			Allowed: api.Status.DisruptionsAllowed, Healthy: api.Status.CurrentHealthy, Desired: api.Status.DesiredHealthy,
			Expected: api.Status.ExpectedPods, Stale: api.Status.ObservedGeneration < api.Generation, Verdict: budget.Judge(api, pod),
		}
		if api.Spec.UnhealthyPodEvictionPolicy != nil {
			one.UnhealthyPodEvictionPolicy = *api.Spec.UnhealthyPodEvictionPolicy
		}
		all = append(all, one)
	}
	return all
}
