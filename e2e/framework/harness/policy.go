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
	"encoding/json"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// policyTimeout is how long the API server may take to act on a policy, or on its end.
const policyTimeout = 30 * time.Second

// DenyDeletes makes the API server deny all deletions of pods in the scene's namespace, by an admission policy, and
// returns when it does. What is returned ends that, and returns when it has ended.
func (s *Scene) DenyDeletes() (allow func()) {
	s.T.Helper()
	probe := s.Pod("no-such-node", builders.Named("probe"))
	return s.deny(s.Namespace, s.Namespace, admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Delete},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}, func(ctx context.Context) error { return s.tryDelete(ctx, probe) })
}

// DenyLease makes the API server deny all writes of the Lease of our controllers, as DenyDeletes does for pods.
func (s *Scene) DenyLease() (allow func()) {
	s.T.Helper()
	leases := s.Client.CoordinationV1().Leases(launcher.Namespace)
	return s.deny(s.Namespace+"-lease", launcher.Namespace, admissionv1.NamedRuleWithOperations{
		ResourceNames: []string{launcher.Name},
		RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{"coordination.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"leases"}},
		},
	}, func(ctx context.Context) error {
		patch := []byte(`{"metadata":{"annotations":{"e2e/probe":"1"}}}`)
		_, err := leases.Patch(ctx, launcher.Name, types.MergePatchType, patch, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
}

// deny makes the API server deny some writes in a namespace, by an admission policy of a name, and returns when it denies a probe. What
// is returned ends that, and returns when it has ended.
func (s *Scene) deny(name, namespace string, what admissionv1.NamedRuleWithOperations, probe func(context.Context) error) (allow func()) {
	s.T.Helper()
	const policies, bindings = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
	s.createPolicy(policies, denies(name, namespace, what))
	s.createPolicy(bindings, bindingOf(name))
	lifted := false
	lift := func(ctx context.Context) error {
		lifted = true
		client := s.Client.AdmissionregistrationV1().RESTClient()
		return errors.Join(client.Delete().AbsPath(s.policyPath(bindings), name).Do(ctx).Error(),
			client.Delete().AbsPath(s.policyPath(policies), name).Do(ctx).Error())
	}
	s.T.Cleanup(func() {
		if !lifted {
			ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
			defer cancel()
			_ = lift(ctx) // whoever failed before has said so
		}
	})
	s.Eventually("the policy", policyTimeout, func(ctx context.Context) error {
		if err := probe(ctx); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			return fmt.Errorf("does not deny yet: %w", err)
		}
		return nil
	})
	return func() {
		s.T.Helper()
		s.Must(lift(s.Context()))
		s.Eventually("the end of the policy", policyTimeout, probe)
	}
}

// policyPath is the path of policies or of their bindings. The two are alike in all versions of their API.
func (s *Scene) policyPath(resource string) string {
	return "/apis/" + controlplane.PolicyAPI(s.cluster.version) + "/" + resource
}

// createPolicy creates a policy, or a binding of one, of the version of the API that is served.
func (s *Scene) createPolicy(resource string, object runtime.Object) {
	s.T.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	s.Must(err)
	content["apiVersion"] = controlplane.PolicyAPI(s.cluster.version)
	body, err := json.Marshal(content)
	s.Must(err)
	s.Must(s.Client.AdmissionregistrationV1().RESTClient().Post().AbsPath(s.policyPath(resource)).
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(s.Context()).Error())
}

// tryDelete asks for a deletion without having it done.
func (s *Scene) tryDelete(ctx context.Context, pod *corev1.Pod) error {
	return s.Client.CoreV1().Pods(s.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
}

func denies(name, namespace string, what admissionv1.NamedRuleWithOperations) *admissionv1.ValidatingAdmissionPolicy {
	return &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules:     []admissionv1.NamedRuleWithOperations{what},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "denied by the test"}},
		},
	}
}

func bindingOf(name string) *admissionv1.ValidatingAdmissionPolicyBinding {
	return &admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
}
