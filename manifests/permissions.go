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

package manifests

import (
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Permissions returns the permissions of a deployment in a namespace, one by one. An empty namespace in one is all namespaces.
func Permissions(namespace string) ([]authorizationv1.ResourceAttributes, error) {
	cluster, err := ClusterRole()
	if err != nil {
		return nil, err
	}
	role, err := Role()
	if err != nil {
		return nil, err
	}
	return append(expand("", cluster.Rules), expand(namespace, role.Rules)...), nil
}

func expand(namespace string, rules []rbacv1.PolicyRule) (all []authorizationv1.ResourceAttributes) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						one := authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Name: name}
						one.Resource, one.Subresource, _ = strings.Cut(resource, "/")
						all = append(all, one)
					}
				}
			}
		}
	}
	return all
}
