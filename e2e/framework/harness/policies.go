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

package harness

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
	"github.com/taint-manager/taint-manager/manifests"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// crdTimeout is how long the API server may take to serve the policies, or to remove them.
const crdTimeout = 30 * time.Second

// crds returns the resource of CustomResourceDefinitions.
func crds() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// Policies makes the API server serve policies until the test ends, by a CustomResourceDefinition that may be changed, and returns a client
// of theirs. They are the whole cluster's, so the test has to be one that shares no controller.
func (s *Scene) Policies(changes ...func(crd *unstructured.Unstructured)) dynamic.ResourceInterface {
	s.T.Helper()
	client, err := dynamic.NewForConfig(s.CP.AdminConfig())
	s.Must(err)
	crd, err := manifests.PolicyCRD()
	s.Must(err)
	for _, change := range changes {
		change(crd)
	}
	_, err = client.Resource(crds()).Create(s.Context(), crd, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	s.Must(err)
	s.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), crdTimeout)
		defer cancel()
		if err := removeCRD(ctx, client.Resource(crds()), crd.GetName()); err != nil {
			s.T.Errorf("removing the policies: %v", err)
		}
	})
	policies := client.Resource(policyv1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
	s.Eventually("serving policies", crdTimeout, func(ctx context.Context) error {
		_, err := policies.List(ctx, metav1.ListOptions{})
		return err
	})
	return policies
}

// RemovePolicies removes the CustomResourceDefinition of policies, and all policies with it, as kubectl delete does.
func (s *Scene) RemovePolicies() timing.Moment {
	s.T.Helper()
	client, err := dynamic.NewForConfig(s.CP.AdminConfig())
	s.Must(err)
	crd, err := manifests.PolicyCRD()
	s.Must(err)
	removed, err := timing.Of(func() error { return removeCRD(s.Context(), client.Resource(crds()), crd.GetName()) })
	s.Must(err)
	return removed
}

// removeCRD deletes a CustomResourceDefinition if there is one, and returns when it is gone, and its objects with it.
func removeCRD(ctx context.Context, crds dynamic.ResourceInterface, name string) error {
	if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return loop.Until(ctx, pollInterval, crdTimeout, func(ctx context.Context) error {
		_, err := crds.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		default:
			return fmt.Errorf("%s is still there", name)
		}
	})
}
