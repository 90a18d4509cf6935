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

// Package manifests holds the manifests of a deployment, for kubectl apply -k. The Go code lets tests run with exactly the
// permissions in these files.
package manifests

import (
	"embed"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

//go:embed base components crd examples overlays
var files embed.FS

// ClusterRole returns the permissions of a deployment in the whole cluster.
func ClusterRole() (*rbacv1.ClusterRole, error) {
	role := &rbacv1.ClusterRole{}
	return role, decode("base/clusterrole.yaml", role)
}

// Role returns the permissions of a deployment in its namespace.
func Role() (*rbacv1.Role, error) {
	role := &rbacv1.Role{}
	return role, decode("base/role.yaml", role)
}

// MetricsReader returns the role of those who may read the metrics, as Prometheus does.
func MetricsReader() (*rbacv1.ClusterRole, error) {
	role := &rbacv1.ClusterRole{}
	return role, decode("components/metrics-reader/clusterrole.yaml", role)
}

// DebugReader returns the role of those who may look into a running replica.
func DebugReader() (*rbacv1.ClusterRole, error) {
	role := &rbacv1.ClusterRole{}
	return role, decode("components/debug-reader/clusterrole.yaml", role)
}

// TaintStartConfigMap returns the ConfigMap in which a deployment keeps starts of taints.
func TaintStartConfigMap() (*corev1.ConfigMap, error) {
	config := &corev1.ConfigMap{}
	return config, decode("base/configmap.yaml", config)
}

// PolicyCRD returns the CustomResourceDefinition of policies.
func PolicyCRD() (*unstructured.Unstructured, error) { return decodeCustom(policyCRD) }

// PolicyExamples returns the policies that are examples.
func PolicyExamples() ([]*unstructured.Unstructured, error) {
	entries, err := files.ReadDir(examples)
	if err != nil {
		return nil, fmt.Errorf("reading the examples: %w", err)
	}
	var policies []*unstructured.Unstructured
	for _, entry := range entries {
		policy, err := decodeCustom(path.Join(examples, entry.Name()))
		if err != nil {
			return nil, err
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

const (
	policyCRD = "crd/policy.taint-manager.io_taintevictionpolicies.yaml"
	examples  = "examples"
)

// decodeCustom reads an object whose type is not one of client-go's.
func decodeCustom(path string) (*unstructured.Unstructured, error) {
	data, err := files.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a manifest: %w", err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &object.Object); err != nil {
		return nil, fmt.Errorf("manifests/%s: %w", path, err)
	}
	return object, nil
}

func decode(path string, into runtime.Object) error {
	data, err := files.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a manifest: %w", err)
	}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, into); err != nil {
		return fmt.Errorf("manifests/%s: %w", path, err)
	}
	return nil
}
