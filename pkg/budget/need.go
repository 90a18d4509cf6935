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
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Pod is what is read of a pod.
type Pod interface {
	GetNamespace() string
	GetName() string
	GetUID() types.UID
	// Labels returns metadata.labels.
	Labels() labels.Labels
	// Ready reports whether the condition Ready is True.
	Ready() bool
	// Guarded reports whether budgets guard the pod. They do not while its phase is Pending, and when it has finished or is terminating.
	Guarded() bool
}

// need says what the eviction of a pod needs of its budget.
type need int

const (
	// nothing: the pod goes without a place.
	nothing need = iota
	// place: the pod takes a place, and there is one.
	place
	// refused: there is no place.
	refused
)

// maxDisrupted is how many evictions that the disruption controller has not confirmed a budget may have.
const maxDisrupted = 2000

// needOf returns what the eviction of a pod that budgets guard needs, as the eviction API decides it.
func needOf(budget *policyv1.PodDisruptionBudget, ready bool) need {
	status := &budget.Status
	if !ready {
		if policy := budget.Spec.UnhealthyPodEvictionPolicy; policy != nil && *policy == policyv1.AlwaysAllow {
			return nothing
		}
		if status.DesiredHealthy > 0 && status.CurrentHealthy >= status.DesiredHealthy {
			return nothing
		}
	}
	if status.ObservedGeneration < budget.Generation || status.DisruptionsAllowed <= 0 || len(status.DisruptedPods) > maxDisrupted {
		return refused
	}
	return place
}
