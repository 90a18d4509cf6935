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
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// readStarts reads the ConfigMap of the controller.
func (r *Reader) readStarts(ctx context.Context, in *Input) ([]Unread, error) {
	if r.Starts.Name == "" {
		return nil, nil
	}
	config, err := r.Kube.CoreV1().ConfigMaps(r.Starts.Namespace).Get(ctx, r.Starts.Name, metav1.GetOptions{})
	switch {
	case err == nil:
		in.Starts = config
		return nil, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return []Unread{{
			What: "ConfigMap " + r.Starts.String(), Error: err.Error(),
			Means: "starts of taints that the node does not show, such as that of a not-ready period, and whether the eviction brake is on",
		}}, nil
	default:
		return nil, fmt.Errorf("reading ConfigMap %s: %w", r.Starts, err)
	}
}

// readPolicies reads the policies, and the labels of namespaces if a policy selects by them.
func (r *Reader) readPolicies(ctx context.Context, in *Input) ([]Unread, error) {
	resource := v1alpha1.GroupVersion.WithResource("taintevictionpolicies")
	keep := func(policy *unstructured.Unstructured) (*unstructured.Unstructured, bool) { return policy, true }
	var err error
	in.Policies, err = List(ctx, r, resource.Resource, metav1.ListOptions{}, r.Dynamic.Resource(resource).List, keep)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err) && r.notServed(ctx):
		return nil, nil // so there are none
	case err != nil:
		in.PoliciesUnread = true
		return Refused(err, "policies", "in which mode a pod goes, and whether a policy keeps it")
	case !SelectsNamespaces(in.Policies):
		return nil, nil
	}
	if in.Namespaces, err = r.NamespaceLabels(ctx); err != nil {
		in.Namespaces = nil
	}
	return Refused(err, "namespaces", "whether a policy with a namespaceSelector applies")
}

// notServed reports whether the API server has no policies. A list without permission is refused in the same way whether it does or not, so
// this asks discovery, which every account may.
func (r *Reader) notServed(ctx context.Context) bool {
	_, err := r.Kube.Discovery().ServerResourcesForGroupVersionWithContext(ctx, v1alpha1.GroupVersion.String())
	return apierrors.IsNotFound(err)
}

// SelectsNamespaces reports whether one of some policies selects by labels of namespaces.
func SelectsNamespaces(policies []*unstructured.Unstructured) bool {
	for _, object := range policies {
		if _, selects, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "namespaceSelector"); selects || err != nil {
			return true
		}
	}
	return false
}

// NamespaceLabels returns the labels of all namespaces.
func (r *Reader) NamespaceLabels(ctx context.Context) (map[string]labels.Set, error) {
	all := map[string]labels.Set{}
	err := pages(ctx, r, "namespaces", metav1.ListOptions{}, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
		list, err := r.Metadata.Resource(v1.SchemeGroupVersion.WithResource("namespaces")).List(ctx, options)
		if err != nil {
			return nil, 0, err
		}
		for i := range list.Items {
			all[list.Items[i].Name] = list.Items[i].Labels
		}
		return list, len(list.Items), nil
	}, func() { clear(all) })
	return all, err
}

// TryPolicies returns a snapshot as if policies were applied, each in place of one of its name, and others, by their names, were deleted.
func (r *Reader) TryPolicies(ctx context.Context, s *Snapshot, policies []*unstructured.Unstructured, deleted ...string) (*Snapshot, error) {
	all := slices.Clone(policies)
	for _, object := range s.objects {
		if !slices.Contains(deleted, object.GetName()) && !slices.ContainsFunc(policies, func(p *unstructured.Unstructured) bool { return p.GetName() == object.GetName() }) {
			all = append(all, object)
		}
	}
	namespaces, unread := s.namespaces, s.Unread
	if namespaces == nil && SelectsNamespaces(all) {
		var err error
		namespaces, err = r.NamespaceLabels(ctx)
		if err != nil {
			namespaces = nil
		}
		more, err := Refused(err, "namespaces", "whether a policy with a namespaceSelector applies")
		if err != nil {
			return nil, err
		}
		unread = append(slices.Clone(unread), more...)
	}
	after := s.withPolicies(all, namespaces)
	after.Unread = unread
	return after, nil
}
