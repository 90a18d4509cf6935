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
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// RulesWithout are the permissions of a deployment without what they allow on some resources.
func RulesWithout(resources ...string) []rbacv1.PolicyRule {
	return slices.DeleteFunc(launcher.Rules(), func(rule rbacv1.PolicyRule) bool {
		return slices.ContainsFunc(resources, func(resource string) bool { return slices.Contains(rule.Resources, resource) })
	})
}

// Account makes a service account as ours has one, or gives one other rules, and returns its kubeconfig.
func (s *Scene) Account(name string, rules []rbacv1.PolicyRule) string {
	s.T.Helper()
	kubeconfig, err := launcher.Account(s.Context(), s.CP, name, rules)
	s.Must(err)
	return kubeconfig
}

// Withdraw takes all permissions from such an account, those in its own namespace too. Account gives them back.
func (s *Scene) Withdraw(name string) {
	s.T.Helper()
	s.Must(launcher.Withdraw(s.Context(), s.CP, name))
}

// MayDelete says whether the API server allows such an account to delete pods, or why that is not known.
func (s *Scene) MayDelete(ctx context.Context, name string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + launcher.Namespace + ":" + name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "delete", Resource: "pods"},
	}}
	answer, err := s.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// Token makes a service account and returns a token of it.
func (s *Scene) Token(name string, rules []rbacv1.PolicyRule) string {
	s.T.Helper()
	_, config, err := s.CP.ServiceAccount(s.Context(), s.Namespace, name, rules)
	s.Must(err)
	return config.BearerToken
}
