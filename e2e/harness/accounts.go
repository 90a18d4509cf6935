package harness

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/taint-manager/taint-manager/e2e/manager"
)

// RulesWithout are the permissions of a deployment without what they allow on a resource.
func RulesWithout(resource string) []rbacv1.PolicyRule {
	return slices.DeleteFunc(manager.Rules(), func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Resources, resource) })
}

// Account makes a service account as ours has one, or gives one other rules, and returns its kubeconfig.
func (s *Scene) Account(name string, rules []rbacv1.PolicyRule) string {
	s.T.Helper()
	kubeconfig, err := manager.Account(s.Context(), s.CP, name, rules)
	s.Must(err)
	return kubeconfig
}

// Token makes a service account and returns a token of it.
func (s *Scene) Token(name string, rules []rbacv1.PolicyRule) string {
	s.T.Helper()
	_, config, err := s.CP.ServiceAccount(s.Context(), s.Namespace, name, rules)
	s.Must(err)
	return config.BearerToken
}
