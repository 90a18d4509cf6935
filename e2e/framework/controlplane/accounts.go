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
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// tokenLife is longer than any test.
const tokenLife = 24 * time.Hour

// ServiceAccount makes a service account that may do, in the whole cluster, what the rules say and nothing else.
// It returns the path of a kubeconfig with a token of the account, and a configuration with the same token and without
// limits on the client's side. For an account that exists already the rules are replaced.
func (cp *ControlPlane) ServiceAccount(
	ctx context.Context, namespace, name string, rules []rbacv1.PolicyRule,
) (kubeconfig string, config *rest.Config, err error) {
	client, err := cp.Client()
	if err != nil {
		return "", nil, err
	}
	role := namespace + ":" + name
	if err := ensureClusterRole(ctx, client, role, rules); err != nil {
		return "", nil, err
	}
	return cp.ServiceAccountWithRoles(ctx, namespace, name, role)
}

// ServiceAccountWithRoles is ServiceAccount with cluster roles that exist in place of rules.
func (cp *ControlPlane) ServiceAccountWithRoles(
	ctx context.Context, namespace, name string, clusterRoles ...string,
) (kubeconfig string, config *rest.Config, err error) {
	client, err := cp.Client()
	if err != nil {
		return "", nil, err
	}
	if err := ensureNamespace(ctx, client, namespace); err != nil {
		return "", nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", nil, fmt.Errorf("service account %s/%s: %w", namespace, name, err)
	}
	for _, role := range clusterRoles {
		if err := bindClusterRole(ctx, client, role, namespace, name); err != nil {
			return "", nil, err
		}
	}
	for _, role := range clusterRoles {
		if err := awaitAllowed(ctx, client, role, userName(namespace, name)); err != nil {
			return "", nil, err
		}
	}
	return cp.credentials(ctx, client, namespace, name)
}

// EnsureRole makes a role in its namespace, if there is none of that name.
func (cp *ControlPlane) EnsureRole(ctx context.Context, role *rbacv1.Role) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	_, err = client.RbacV1().Roles(role.Namespace).Create(ctx, role, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("role %s/%s: %w", role.Namespace, role.Name, err)
	}
	return nil
}

// BindRole gives a service account a role in the role's own namespace, as "extension-apiserver-authentication-reader"
// in "kube-system", which servers with delegated authentication need.
func (cp *ControlPlane) BindRole(ctx context.Context, roleNamespace, role, namespace, account string) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bindingName(role, namespace, account)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
	_, err = client.RbacV1().RoleBindings(roleNamespace).Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("binding role %s/%s to %s/%s: %w", roleNamespace, role, namespace, account, err)
	}
	return nil
}

// UnbindRole undoes BindRole.
func (cp *ControlPlane) UnbindRole(ctx context.Context, roleNamespace, role, namespace, account string) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	if err := client.RbacV1().RoleBindings(roleNamespace).Delete(ctx, bindingName(role, namespace, account), metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("taking role %s/%s from %s/%s: %w", roleNamespace, role, namespace, account, err)
	}
	return nil
}

// userName is how the API server calls a service account.
func userName(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

func bindingName(role, namespace, account string) string {
	return role + ":" + namespace + ":" + account
}

func bindClusterRole(ctx context.Context, client kubernetes.Interface, role, namespace, account string) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bindingName(role, namespace, account)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("binding cluster role %s to %s/%s: %w", role, namespace, account, err)
	}
	return nil
}

func ensureNamespace(ctx context.Context, client kubernetes.Interface, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return nil
}

func ensureClusterRole(
	ctx context.Context, client kubernetes.Interface, name string, rules []rbacv1.PolicyRule,
) error {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	_, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = client.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("cluster role %s: %w", name, err)
	}
	return nil
}

// credentials asks for a token, as a person would who deploys outside of the cluster.
func (cp *ControlPlane) credentials(
	ctx context.Context, client kubernetes.Interface, namespace, name string,
) (string, *rest.Config, error) {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife / time.Second))},
	}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", nil, fmt.Errorf("token of %s/%s: %w", namespace, name, err)
	}
	user := userName(namespace, name)
	token := answer.Status.Token
	if err := cp.writeKubeconfig(user, &clientcmdapi.AuthInfo{Token: token}); err != nil {
		return "", nil, err
	}
	config := rest.AnonymousClientConfig(cp.admin)
	config.BearerToken = token
	config.QPS = -1
	return cp.kubeconfigPath(user), config, nil
}
