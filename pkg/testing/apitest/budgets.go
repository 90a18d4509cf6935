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

package apitest

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

const (
	// disruptedFor is how long the disruption controller believes that a pod in status.disruptedPods will be deleted, in seconds.
	disruptedFor = 120
	// maxDisrupted is how many such pods a budget may have for the eviction API to go on.
	maxDisrupted = 2000
)

// AddBudget makes a disruption budget in the namespace "default" for the pods with a label app, of which so many have to be healthy. Its
// status is written by ReconcileBudgets.
func (s *Server) AddBudget(name, app string, minAvailable int, change ...func(*policyv1.PodDisruptionBudget)) {
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt(minAvailable)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		},
	}
	for _, c := range change {
		c(budget)
	}
	s.Put(budget)
}

// UpdateBudget changes a disruption budget in the namespace "default".
func (s *Server) UpdateBudget(name string, change func(*policyv1.PodDisruptionBudget)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	current := s.objects["poddisruptionbudgets"]["default/"+name]
	budget := current.DeepCopyObject().(*policyv1.PodDisruptionBudget)
	change(budget)
	s.store("poddisruptionbudgets", generated(current, budget))
}

// Budget is a disruption budget in the namespace "default", or nil.
func (s *Server) Budget(name string) *policyv1.PodDisruptionBudget {
	s.lock.Lock()
	defer s.lock.Unlock()
	budget, _ := s.objects["poddisruptionbudgets"]["default/"+name].(*policyv1.PodDisruptionBudget)
	return budget.DeepCopy()
}

// generated gives an object the next generation if its spec is another one.
func generated(current, next object) object {
	spec := specOf(next)
	if spec == nil {
		return next
	}
	next.SetGeneration(1)
	if before := specOf(current); before != nil {
		next.SetGeneration(current.GetGeneration())
		if !equality.Semantic.DeepEqual(before, spec) {
			next.SetGeneration(current.GetGeneration() + 1)
		}
	}
	return next
}

// specOf is the spec of an object whose generation counts the changes of that, or nil.
func specOf(o object) any {
	switch o := o.(type) {
	case *policyv1.PodDisruptionBudget:
		return &o.Spec
	case *v1alpha1.TaintEvictionPolicy:
		return &o.Spec
	default:
		return nil
	}
}

// limited returns what a write of a budget or a policy may change: of the subresource status the status only, and else all but the status.
func limited(r request, current, next object) object {
	switch next := next.(type) {
	case *policyv1.PodDisruptionBudget:
		before := current.(*policyv1.PodDisruptionBudget)
		if r.subresource == "status" {
			whole := before.DeepCopy()
			whole.Status = next.Status
			return whole
		}
		next.Status = before.Status
	case *v1alpha1.TaintEvictionPolicy:
		before := current.(*v1alpha1.TaintEvictionPolicy)
		if r.subresource == "status" {
			whole := before.DeepCopy()
			whole.Status = next.Status
			return whole
		}
		next.Status = before.Status
	}
	return generated(current, next)
}

// ReconcileBudgets does what the disruption controller does, for all budgets: it counts healthy pods, and writes how many disruptions are
// allowed.
func (s *Server) ReconcileBudgets() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, o := range s.at(request{resource: "poddisruptionbudgets"}, s.version) {
		before := o.(*policyv1.PodDisruptionBudget)
		budget := before.DeepCopy()
		pods := s.covered(budget)
		s.count(budget, pods)
		if !equality.Semantic.DeepEqual(before.Status, budget.Status) {
			s.store("poddisruptionbudgets", budget)
		}
	}
}

// covered returns the pods that a budget covers.
func (s *Server) covered(budget *policyv1.PodDisruptionBudget) (pods []*v1.Pod) {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		return nil // it covers none
	}
	for _, o := range s.objects["pods"] {
		if o.GetNamespace() == budget.Namespace && selector.Matches(labels.Set(o.GetLabels())) {
			pods = append(pods, o.(*v1.Pod))
		}
	}
	return pods
}

// count writes into the status of a budget what its pods are like. A pod that the eviction API has let go and that is not terminating counts
// as not healthy, for a while.
func (s *Server) count(budget *policyv1.PodDisruptionBudget, pods []*v1.Pod) {
	status, disrupted := &budget.Status, map[string]metav1.Time{}
	status.CurrentHealthy, status.ExpectedPods = 0, s.scale(budget, pods)
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if at, found := status.DisruptedPods[pod.Name]; found && s.Now().Sub(at.Time).Seconds() < disruptedFor {
			disrupted[pod.Name] = at
			continue
		}
		if isReady(pod) {
			status.CurrentHealthy++
		}
	}
	status.DisruptedPods = disrupted
	status.DesiredHealthy = desired(budget, status.ExpectedPods)
	status.DisruptionsAllowed = max(0, status.CurrentHealthy-status.DesiredHealthy)
	if status.ExpectedPods <= 0 {
		status.DisruptionsAllowed = 0
	}
	status.ObservedGeneration = budget.Generation
	s.setAllowed(budget)
}

// scale is how many pods there should be: those that there are, unless Scale says otherwise.
func (s *Server) scale(budget *policyv1.PodDisruptionBudget, pods []*v1.Pod) int32 {
	if s.Scale != nil {
		return s.Scale(budget)
	}
	return int32(len(pods))
}

// desired is how many pods have to be healthy.
func desired(budget *policyv1.PodDisruptionBudget, expected int32) int32 {
	if unavailable := budget.Spec.MaxUnavailable; unavailable != nil {
		n, err := intstr.GetScaledValueFromIntOrPercent(unavailable, int(expected), true)
		if err != nil {
			panic(err) // a bug of the test
		}
		return max(0, expected-int32(n))
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(budget.Spec.MinAvailable, int(expected), true)
	if err != nil {
		panic(err)
	}
	return int32(n)
}

// setAllowed writes the condition that says whether disruptions are allowed.
func (s *Server) setAllowed(budget *policyv1.PodDisruptionBudget) {
	allowed := metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason,
		ObservedGeneration: budget.Status.ObservedGeneration, LastTransitionTime: s.stamp(),
	}
	if budget.Status.DisruptionsAllowed > 0 {
		allowed.Status, allowed.Reason = metav1.ConditionTrue, policyv1.SufficientPodsReason
	}
	meta.SetStatusCondition(&budget.Status.Conditions, allowed)
}

func isReady(pod *v1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1.PodReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

// takePlace takes a place for a pod from its budget, or says why it does not go. A pod that is not healthy may need none.
func (s *Server) takePlace(pod *v1.Pod) *apierrors.StatusError {
	var budgets []*policyv1.PodDisruptionBudget
	for _, o := range s.at(request{resource: "poddisruptionbudgets"}, s.version) {
		budget := o.(*policyv1.PodDisruptionBudget)
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err == nil && budget.Namespace == pod.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			budgets = append(budgets, budget)
		}
	}
	switch {
	case len(budgets) == 0:
		return nil
	case len(budgets) > 1:
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: 500,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		}}
	}
	budget := budgets[0].DeepCopy()
	status := &budget.Status
	if !isReady(pod) {
		always := ptr.Deref(budget.Spec.UnhealthyPodEvictionPolicy, policyv1.IfHealthyBudget) == policyv1.AlwaysAllow
		if always || status.CurrentHealthy >= status.DesiredHealthy && status.DesiredHealthy > 0 {
			return nil
		}
	}
	if refusal := refusalOf(budget); refusal != nil {
		return refusal
	}
	status.DisruptionsAllowed--
	if status.DisruptionsAllowed == 0 {
		s.setAllowed(budget)
	}
	if status.DisruptedPods == nil {
		status.DisruptedPods = map[string]metav1.Time{}
	}
	status.DisruptedPods[pod.Name] = s.stamp()
	s.store("poddisruptionbudgets", budget)
	return nil
}

// refusalOf says why a budget has no place, or returns nil.
func refusalOf(budget *policyv1.PodDisruptionBudget) (refusal *apierrors.StatusError) {
	status := &budget.Status
	var why string
	const violates = "Cannot evict pod as it would violate the pod's disruption budget."
	switch {
	case status.ObservedGeneration < budget.Generation:
		refusal, why = apierrors.NewTooManyRequests(violates, 10), "is still being processed by the server."
	case status.DisruptionsAllowed < 0:
		refusal = forbidden(budget.Name, "pdb disruptions allowed is negative")
		why = "does not allow evicting pods currently: pdb disruptions allowed is negative"
	case len(status.DisruptedPods) > maxDisrupted:
		refusal = forbidden(budget.Name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
		why = "does not allow evicting pods currently: too many pending evictions not confirmed by PDB controller"
	case status.DisruptionsAllowed > 0:
		return nil
	case status.CurrentHealthy <= status.DesiredHealthy:
		refusal = apierrors.NewTooManyRequests(violates, 0)
		why = fmt.Sprintf("needs %d healthy pods and has %d currently", status.DesiredHealthy, status.CurrentHealthy)
	default:
		refusal, why = apierrors.NewTooManyRequests(violates, 0), "does not allow evicting pods currently"
	}
	refusal.ErrStatus.Details.Causes = append(refusal.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + budget.Name + " " + why,
	})
	return refusal
}

func forbidden(budget, why string) *apierrors.StatusError {
	return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), budget, fmt.Errorf("%s", why))
}

// PodsOf is how many pods in the namespace "default" with a label app there are that are not terminating, and how many of them are ready.
func (s *Server) PodsOf(app string) (pods, ready int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, o := range s.objects["pods"] {
		if o.GetNamespace() != "default" || o.GetLabels()["app"] != app || o.GetDeletionTimestamp() != nil {
			continue
		}
		pods++
		if isReady(o.(*v1.Pod)) {
			ready++
		}
	}
	return pods, ready
}
