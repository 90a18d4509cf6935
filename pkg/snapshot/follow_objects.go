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

package snapshot

import (
	"cmp"
	"context"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// readNamespaces reads the labels of namespaces again if other policies than before select by them. Without permission it reads none, and
// Unread says so.
func (f *Follower) readNamespaces(ctx context.Context, in *Input) {
	in.Namespaces = f.namespaces
	if !SelectsNamespaces(in.Policies) || sameVersions(in.Policies, f.readFor) {
		return
	}
	f.readFor = in.Policies
	namespaces, err := f.reader.NamespaceLabels(ctx)
	if err != nil {
		in.Unread = append(in.Unread, Unread{What: "namespaces", Error: err.Error(), Means: "whether a policy with a namespaceSelector applies"})
		f.unread, namespaces = in.Unread, nil
	}
	f.namespaces, in.Namespaces = namespaces, namespaces
}

// sameVersions reports whether two lists are of the same versions of policies.
func sameVersions(a, b []*unstructured.Unstructured) bool {
	versions := func(objects []*unstructured.Unstructured) map[string]string {
		all := map[string]string{}
		for _, object := range objects {
			all[object.GetName()] = object.GetResourceVersion()
		}
		return all
	}
	return maps.Equal(versions(a), versions(b))
}

// all returns the objects of an informer, in the order of their names; none without an informer.
func all[T metav1.Object](f *Follower, what string) (objects []T) {
	informer := f.informers[what]
	if informer == nil {
		return nil
	}
	for _, object := range informer.GetStore().List() {
		objects = append(objects, object.(T))
	}
	slices.SortFunc(objects, func(a, b T) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return objects
}

// trimmed returns what is kept of an object that is followed: of pods and nodes, what decisions and those who show progress read. The rest is
// the larger part by far.
func trimmed(object any) (any, error) {
	switch object := object.(type) {
	case *v1.Pod:
		kept := &v1.Pod{ObjectMeta: object.ObjectMeta, Spec: v1.PodSpec{
			NodeName: object.Spec.NodeName, Tolerations: object.Spec.Tolerations, Priority: object.Spec.Priority,
			TerminationGracePeriodSeconds: object.Spec.TerminationGracePeriodSeconds,
		}, Status: v1.PodStatus{Phase: object.Status.Phase, Conditions: object.Status.Conditions}}
		kept.ManagedFields = nil
		if object.Status.Phase == v1.PodFailed { // whether a container has ever started
			kept.Status.ContainerStatuses, kept.Status.InitContainerStatuses = object.Status.ContainerStatuses, object.Status.InitContainerStatuses
			kept.Status.EphemeralContainerStatuses = object.Status.EphemeralContainerStatuses
		}
		return kept, nil
	case *v1.Node:
		object.Status = v1.NodeStatus{Conditions: object.Status.Conditions}
	}
	return object, nil
}
