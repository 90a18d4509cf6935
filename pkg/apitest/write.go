package apitest

import (
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

const graceSeconds = 30

// post makes an object.
func (s *Server) post(r request) answer {
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
	o.SetUID(s.newUID(r.resource))
	o.SetCreationTimestamp(s.stamp())
	s.store(r.resource, o)
	return answer{201, o}
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
	o.SetUID(current.GetUID())
	o.SetCreationTimestamp(current.GetCreationTimestamp())
	s.store(r.resource, o)
	return success(o)
}

// patch merges a patch into an object; of a pod's status, nothing but the status. metadata.uid in it must be the object's.
func (s *Server) patch(r request, current object) answer {
	merged, err := strategicpatch.StrategicMergePatch(encode(current), r.body, newObject(r.resource))
	if err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	patched := newObject(r.resource)
	if err := Decode(merged, patched); err != nil {
		return failure(apierrors.NewBadRequest(err.Error()))
	}
	if uid := patched.GetUID(); uid != current.GetUID() {
		return failure(apierrors.NewInvalid(groupVersion(r.resource).WithKind(kinds[r.resource]).GroupKind(), r.name,
			field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), uid, "field is immutable")}))
	}
	if pod, isPod := patched.(*v1.Pod); isPod && r.subresource == "status" {
		whole := current.DeepCopyObject().(*v1.Pod)
		whole.Status = pod.Status
		patched = whole
	}
	s.store(r.resource, patched)
	return success(patched)
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
		return failure(apierrors.NewConflict(groupResource(r.resource), current.GetName(), err))
	}
	if pod, isPod := current.(*v1.Pod); isPod {
		return success(s.deletePod(pod))
	}
	s.remove(r.resource, current)
	return success(current)
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

func (s *Server) deletePod(pod *v1.Pod) *v1.Pod {
	if pod.DeletionTimestamp == nil {
		pod = pod.DeepCopy()
		pod.DeletionTimestamp = ptr.To(metav1.NewTime(s.Now().Add(graceSeconds * time.Second)).Rfc3339Copy())
		pod.DeletionGracePeriodSeconds = ptr.To[int64](graceSeconds)
		s.store("pods", pod)
	}
	if !s.Linger && len(pod.Finalizers) == 0 {
		s.remove("pods", pod)
	}
	return pod
}

func (s *Server) newUID(kind string) types.UID {
	return types.UID(fmt.Sprintf("%s-%d", kind, s.version+1))
}

func keyOf(o object) string { return o.GetNamespace() + "/" + o.GetName() }
