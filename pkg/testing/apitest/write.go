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
	"errors"
	"fmt"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// graceSeconds is the grace period of a pod that does not have one of its own.
const graceSeconds = 30

// post makes an object, binds a pod to a node, or evicts it.
func (s *Server) post(r request) answer {
	if refusal := s.refuseIn(r); refusal != nil {
		return failure(refusal)
	}
	switch r.subresource {
	case "binding":
		return s.bind(r)
	case "eviction":
		return s.evict(r)
	}
	o := newObject(r.resource)
	if err := Decode(r.body, o); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	switch {
	case o.GetNamespace() == "":
		o.SetNamespace(r.namespace)
	case o.GetNamespace() != r.namespace:
		return failure(apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request"))
	}
	if s.objects[r.resource][keyOf(o)] != nil {
		return failure(apierrors.NewAlreadyExists(groupResource(r.resource), o.GetName()))
	}
	switch o := o.(type) {
	case *policyv1.PodDisruptionBudget:
		o.Generation, o.Status = 1, policyv1.PodDisruptionBudgetStatus{}
	case *v1.Pod:
		o.Spec.TerminationGracePeriodSeconds = ptr.To(ptr.Deref(o.Spec.TerminationGracePeriodSeconds, graceSeconds))
		o.Status = v1.PodStatus{Phase: v1.PodPending}
	}
	o.SetUID(s.newUID(r.resource))
	o.SetCreationTimestamp(s.stamp())
	s.store(r.resource, o)
	return answer{http.StatusCreated, o}
}

// bind binds a pod to a node.
func (s *Server) bind(r request) answer {
	pod, binding := s.objects["pods"][r.key()], &v1.Binding{}
	if err := Decode(r.body, binding); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	if pod == nil {
		return failure(apierrors.NewNotFound(groupResource(r.resource), r.name))
	}
	bound := pod.DeepCopyObject().(*v1.Pod)
	bound.Spec.NodeName = binding.Target.Name
	bound.Status.Conditions = append(bound.Status.Conditions, v1.PodCondition{
		Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: s.stamp(),
	})
	s.store("pods", bound)
	return answer{http.StatusCreated, &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: http.StatusCreated,
	}}
}

// put replaces an object, if nobody has written to it since the version that it names.
func (s *Server) put(r request, current object) answer {
	o := newObject(r.resource)
	if err := Decode(r.body, o); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	if version := o.GetResourceVersion(); version != "" && version != current.GetResourceVersion() {
		return failure(apierrors.NewConflict(groupResource(r.resource), o.GetName(),
			errors.New("the object has been modified; please apply your changes to the latest version and try again")))
	}
	o.SetNamespace(r.namespace)
	o.SetUID(current.GetUID())
	o.SetCreationTimestamp(current.GetCreationTimestamp())
	return s.update(r.resource, current, limited(r, current, o))
}

// update stores a new version of an object, unless nothing has changed.
func (s *Server) update(resource string, current, o object) answer {
	setKind(resource, o)
	o.SetResourceVersion(current.GetResourceVersion())
	if equality.Semantic.DeepEqual(current, o) {
		return success(current)
	}
	s.store(resource, o)
	return success(o)
}

// strategicMerge merges a strategic merge patch into the JSON of an object of a type.
func strategicMerge(current, patch []byte, o object) ([]byte, error) {
	return strategicpatch.StrategicMergePatch(current, patch, o)
}

// patch merges a patch into an object; of a pod's status, nothing but the status. metadata.uid in it must be the object's.
func (s *Server) patch(r request, current object) answer {
	merged, err := r.merge(encode(current))
	if err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	patched := newObject(r.resource)
	if err := Decode(merged, patched); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	if uid := patched.GetUID(); uid != current.GetUID() {
		immutable := field.Invalid(field.NewPath("metadata", "uid"), uid, "field is immutable")
		return failure(apierrors.NewInvalid(groupVersion(r.resource).WithKind(kinds[r.resource]).GroupKind(), r.name,
			field.ErrorList{immutable})) // before 1.37 the API server says it twice
	}
	if pod, isPod := patched.(*v1.Pod); isPod && r.subresource == "status" {
		whole := current.DeepCopyObject().(*v1.Pod)
		whole.Status = pod.Status
		patched = whole
	}
	return s.update(r.resource, current, limited(r, current, patched))
}

// delete deletes an object, if the preconditions hold; a pod gracefully.
func (s *Server) delete(r request, current object) answer {
	options := &metav1.DeleteOptions{}
	if len(r.body) > 0 {
		if err := Decode(r.body, options); err != nil {
			return failure(apierrors.NewBadRequest(err.Error()))
		}
	}
	if err := unmet(options.Preconditions, current); err != nil {
		kind := schema.GroupResource{Group: groupVersion(r.resource).Group, Resource: kinds[r.resource]} // as the API server says it
		return failure(apierrors.NewConflict(kind, current.GetName(), err))
	}
	if pod, isPod := current.(*v1.Pod); isPod {
		return success(s.deletePod(pod, options.GracePeriodSeconds))
	}
	s.remove(r.resource, current)
	return success(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: r.name, Group: groupVersion(r.resource).Group, Kind: r.resource, UID: current.GetUID()},
	})
}

// unmet says which precondition does not hold.
func unmet(p *metav1.Preconditions, o object) error {
	switch {
	case p == nil:
		return nil
	case ptr.Deref(p.UID, o.GetUID()) != o.GetUID():
		return fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", *p.UID, o.GetUID()) //nolint:staticcheck // as the API server says it
	case ptr.Deref(p.ResourceVersion, o.GetResourceVersion()) != o.GetResourceVersion():
		return fmt.Errorf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", //nolint:staticcheck // the same
			*p.ResourceVersion, o.GetResourceVersion())
	default:
		return nil
	}
}

// deletePod has a pod terminate within a time, or else its own. It goes at once where no kubelet runs it, or it has no time.
func (s *Server) deletePod(pod *v1.Pod, within *int64) *v1.Pod {
	grace := ptr.Deref(within, ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, graceSeconds))
	if pod.Spec.NodeName == "" || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
		grace = 0
	}
	if pod.DeletionTimestamp == nil {
		pod = pod.DeepCopy()
		pod.DeletionTimestamp = ptr.To(metav1.NewTime(s.Now().Add(time.Duration(grace) * time.Second)).Rfc3339Copy())
		pod.DeletionGracePeriodSeconds = ptr.To(grace)
		s.store("pods", pod)
	}
	if (!s.Linger || grace == 0) && len(pod.Finalizers) == 0 {
		s.remove("pods", pod)
	}
	return pod
}

func (s *Server) newUID(kind string) types.UID {
	return types.UID(fmt.Sprintf("%s-%d", kind, s.version+1))
}

func keyOf(o object) string { return o.GetNamespace() + "/" + o.GetName() }
