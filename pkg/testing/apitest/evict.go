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
	"net/http"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// TerminateNamespace has nothing be created in a namespace any more, evictions included.
func (s *Server) TerminateNamespace(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.terminating[name] = true
}

// refuseIn says that nothing can be created in a namespace that is terminating, or returns nil.
func (s *Server) refuseIn(r request) *apierrors.StatusError {
	if r.namespace == "" || !s.terminating[r.namespace] {
		return nil
	}
	refusal := apierrors.NewForbidden(groupResource(r.resource), r.name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", r.namespace))
	refusal.ErrStatus.Details.Causes = append(refusal.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: v1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", r.namespace), Field: "metadata.namespace",
	})
	return refusal
}

// evict evicts a pod, if its budget has a place. As in the API server, the preconditions are looked at after that.
func (s *Server) evict(r request) answer {
	eviction := &policyv1.Eviction{}
	if err := Decode(r.body, eviction); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	if eviction.Namespace != "" && eviction.Namespace != r.namespace {
		return failure(apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request"))
	}
	if eviction.Name != r.name {
		return failure(apierrors.NewBadRequest("name in URL does not match name in Eviction object"))
	}
	pod, _ := s.objects["pods"][r.key()].(*v1.Pod)
	if pod == nil {
		return failure(apierrors.NewNotFound(groupResource(r.resource), r.name))
	}
	if guarded(pod) {
		if refusal := s.takePlace(pod); refusal != nil {
			return failure(refusal)
		}
	}
	options := ptr.Deref(eviction.DeleteOptions, metav1.DeleteOptions{})
	if err := unmetByEviction(options.Preconditions, pod); err != nil {
		return failure(apierrors.NewConflict(schema.GroupResource{Resource: "Pod"}, pod.Name, err))
	}
	s.deletePod(s.condemned(pod), options.GracePeriodSeconds)
	return answer{http.StatusCreated, &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: http.StatusCreated,
	}}
}

// guarded says whether budgets guard a pod.
func guarded(pod *v1.Pod) bool {
	phase := pod.Status.Phase
	return phase != v1.PodSucceeded && phase != v1.PodFailed && phase != v1.PodPending && pod.DeletionTimestamp == nil
}

// unmetByEviction says which precondition of an eviction does not hold. The words are others than those of a DELETE.
func unmetByEviction(p *metav1.Preconditions, pod *v1.Pod) error {
	switch {
	case p == nil:
		return nil
	case p.UID != nil && *p.UID != pod.UID:
		return fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated",
			*p.UID, pod.UID)
	case p.ResourceVersion != nil && *p.ResourceVersion != pod.ResourceVersion:
		return fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). "+
			"The object might have been modified", *p.ResourceVersion, pod.ResourceVersion)
	default:
		return nil
	}
}

// condemned gives a pod the condition that the eviction API writes.
func (s *Server) condemned(pod *v1.Pod) *v1.Pod {
	pod = pod.DeepCopy()
	condition := v1.PodCondition{
		Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		LastTransitionTime: s.stamp(),
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1.DisruptionTarget {
			if c.Status == condition.Status {
				condition.LastTransitionTime = c.LastTransitionTime
			}
			*c = condition
			s.store("pods", pod)
			return pod
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, condition)
	s.store("pods", pod)
	return pod
}
