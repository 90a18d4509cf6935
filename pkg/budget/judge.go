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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Verdict is what the eviction API says of a pod, by the status of one budget.
type Verdict string

const (
	// Free says that the pod goes without a place.
	Free Verdict = "Free"
	// TakesPlace says that the pod takes one of the disruptions that are allowed.
	TakesPlace Verdict = "TakesPlace"
	// Refused says that no disruption is allowed.
	Refused Verdict = "Refused"
)

// Judge returns what the eviction API says of a pod that the budget covers.
func Judge(budget *policyv1.PodDisruptionBudget, pod Pod) Verdict {
	if !pod.Guarded() {
		return Free
	}
	switch needOf(budget, pod.Ready()) {
	case nothing:
		return Free
	case place:
		return TakesPlace
	default:
		return Refused
	}
}

// Index finds the budgets that cover a pod.
type Index struct {
	byNamespace map[string][]indexed
}

type indexed struct {
	budget   *policyv1.PodDisruptionBudget
	selector labels.Selector
}

// NewIndex returns an index of budgets.
func NewIndex(budgets []*policyv1.PodDisruptionBudget) *Index {
	index := &Index{byNamespace: map[string][]indexed{}}
	for _, budget := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil {
			continue // it covers nothing, as the eviction API has it
		}
		index.byNamespace[budget.Namespace] = append(index.byNamespace[budget.Namespace], indexed{budget, selector})
	}
	return index
}

// Covering returns the budgets that cover a pod, in the order in which they were given.
func (i *Index) Covering(pod Pod) []*policyv1.PodDisruptionBudget {
	var covering []*policyv1.PodDisruptionBudget
	for _, one := range i.byNamespace[pod.GetNamespace()] {
		if one.selector.Matches(pod.Labels()) {
			covering = append(covering, one.budget)
		}
	}
	return covering
}
