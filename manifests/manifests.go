// Package manifests holds what is deployed, for kubectl apply -k. The Go code is for the tests: what they run has the
// permissions of these files, no others.
package manifests

import (
	"embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

//go:embed base components
var files embed.FS

// ClusterRole is what a deployment may do in the whole cluster.
func ClusterRole() (*rbacv1.ClusterRole, error) {
	role := &rbacv1.ClusterRole{}
	return role, decode("base/clusterrole.yaml", role)
}

// Role is what a deployment may do in its namespace.
func Role() (*rbacv1.Role, error) {
	role := &rbacv1.Role{}
	return role, decode("base/role.yaml", role)
}

// TaintStartConfigMap is the ConfigMap in which a deployment remembers starts of taints.
func TaintStartConfigMap() (*corev1.ConfigMap, error) {
	config := &corev1.ConfigMap{}
	return config, decode("base/configmap.yaml", config)
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
