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
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// removeTimeout is how long the API server may take to remove the policies.
const removeTimeout = 30 * time.Second

// Policies makes the API server serve policies until the test ends, by a CustomResourceDefinition that may be changed, and returns a client
// of theirs. They are the whole cluster's, so the test has to be one that shares no controller.
func (s *Scene) Policies(changes ...func(crd *unstructured.Unstructured)) dynamic.ResourceInterface {
	s.T.Helper()
	policies, remove, err := launcher.ServePolicies(s.Context(), s.CP, changes...)
	s.Must(err)
	s.removePolicies = remove
	s.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		if err := remove(ctx); err != nil {
			s.T.Errorf("removing the policies: %v", err)
		}
	})
	return policies
}

// RemovePolicies removes the CustomResourceDefinition of Policies, and all policies with it, as kubectl delete does.
func (s *Scene) RemovePolicies() timing.Moment {
	s.T.Helper()
	removed, err := timing.Of(func() error { return s.removePolicies(s.Context()) })
	s.Must(err)
	return removed
}
