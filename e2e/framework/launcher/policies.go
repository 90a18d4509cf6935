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

package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/manifests"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

const (
	// crdTimeout is how long the API server may take to serve the policies, or to remove them.
	crdTimeout  = 30 * time.Second
	crdInterval = 50 * time.Millisecond
)

// ServePolicies makes the API server serve policies, by a CustomResourceDefinition that may be changed. It returns a client of theirs, and
// what removes them, as kubectl delete does, and returns when they are gone.
func ServePolicies(
	ctx context.Context, cp *controlplane.ControlPlane, changes ...func(crd *unstructured.Unstructured),
) (policies dynamic.ResourceInterface, remove func(context.Context) error, err error) {
	client, err := dynamic.NewForConfig(cp.AdminConfig())
	if err != nil {
		return nil, nil, fmt.Errorf("client of policies: %w", err)
	}
	crd, err := manifests.PolicyCRD()
	if err != nil {
		return nil, nil, err
	}
	for _, change := range changes {
		change(crd)
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(ctx, crd, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
		return nil, nil, fmt.Errorf("creating %s: %w", crd.GetName(), err)
	}
	policies = client.Resource(policyv1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
	if err := loop.Until(ctx, crdInterval, crdTimeout, func(ctx context.Context) error {
		_, err := policies.List(ctx, metav1.ListOptions{})
		return err
	}); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("serving policies: %w", err), removeCRD(ctx, crds, crd.GetName()))
	}
	return policies, func(ctx context.Context) error { return removeCRD(ctx, crds, crd.GetName()) }, nil
}

// removeCRD deletes a CustomResourceDefinition if there is one, and returns when it is gone, and its objects with it.
func removeCRD(ctx context.Context, crds dynamic.ResourceInterface, name string) error {
	if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return loop.Until(ctx, crdInterval, crdTimeout, func(ctx context.Context) error {
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
