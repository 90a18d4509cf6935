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
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/manifests"
)

// authReader lets a server read which client certificates to trust.
const authReader = "extension-apiserver-authentication-reader"

// Rules are the permissions in all namespaces that the manifests give to a deployment.
func Rules() []rbacv1.PolicyRule {
	role, err := manifests.ClusterRole()
	if err != nil {
		panic(err) // the files are part of this program, and their own tests read them
	}
	return role.Rules
}

// Account makes a service account with the given rules in all namespaces and the role of a deployment in its own, and
// returns the path of a kubeconfig for it.
func Account(ctx context.Context, cp *controlplane.ControlPlane, name string, rules []rbacv1.PolicyRule) (kubeconfig string, err error) {
	kubeconfig, _, err = cp.ServiceAccount(ctx, Namespace, name, rules)
	if err != nil {
		return "", err
	}
	role, err := manifests.Role()
	if err != nil {
		return "", err
	}
	if err := cp.EnsureRole(ctx, role); err != nil {
		return "", err
	}
	if err := ensureStarts(ctx, cp); err != nil {
		return "", err
	}
	for _, role := range []string{role.Name, authReader} {
		if err := cp.BindRole(ctx, Namespace, role, Namespace, name); err != nil {
			return "", err
		}
	}
	return kubeconfig, nil
}

// Withdraw takes the rules and the role of a deployment from an account. Account gives them back.
func Withdraw(ctx context.Context, cp *controlplane.ControlPlane, name string) error {
	role, err := manifests.Role()
	if err != nil {
		return err
	}
	if err := cp.UnbindRole(ctx, Namespace, role.Name, Namespace, name); err != nil {
		return err
	}
	_, _, err = cp.ServiceAccount(ctx, Namespace, name, nil)
	return err
}

// ensureStarts makes the ConfigMap that is deployed with the rest.
func ensureStarts(ctx context.Context, cp *controlplane.ControlPlane) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	config, err := manifests.TaintStartConfigMap()
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ConfigMaps(config.Namespace).Create(ctx, config, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("ConfigMap %s: %w", config.Name, err)
	}
	return nil
}
