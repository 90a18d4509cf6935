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

package controlplane

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// awaitAllowed waits until the user may do what a cluster role says. The API server learns of roles and bindings by
// watches of its own, and what the user tries before that is forbidden; a controller may not try twice.
func awaitAllowed(ctx context.Context, client kubernetes.Interface, role, user string) error {
	found, err := client.RbacV1().ClusterRoles().Get(ctx, role, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cluster role %s, for %s: %w", role, user, err)
	}
	reviews := client.AuthorizationV1().SubjectAccessReviews()
	for _, rule := range found.Rules {
		spec := sample(rule)
		spec.User = user
		err := poll(ctx, "permissions of "+user, func(ctx context.Context) error {
			review := &authorizationv1.SubjectAccessReview{Spec: spec}
			answer, err := reviews.Create(ctx, review, metav1.CreateOptions{})
			if err == nil && !answer.Status.Allowed {
				err = fmt.Errorf("the rule %v of role %s has no effect yet: %s", rule, role, answer.Status.Reason)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sample is one of the things that a rule allows.
func sample(rule rbacv1.PolicyRule) authorizationv1.SubjectAccessReviewSpec {
	first := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return list[0]
	}
	if len(rule.NonResourceURLs) > 0 {
		return authorizationv1.SubjectAccessReviewSpec{
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{
				Path: first(rule.NonResourceURLs), Verb: first(rule.Verbs),
			},
		}
	}
	resource, subresource, _ := strings.Cut(first(rule.Resources), "/")
	return authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: first(rule.APIGroups), Resource: resource, Subresource: subresource,
			Verb: first(rule.Verbs), Name: first(rule.ResourceNames),
		},
	}
}
