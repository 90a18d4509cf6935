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

package chart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	system = metav1.NamespaceSystem
	// name is that of the release, of the Deployment and of the service account.
	name = "taint-manager"
	crd  = "taintevictionpolicies.policy.taint-manager.io"
)

var (
	crds     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	policies = schema.GroupVersionResource{Group: "policy.taint-manager.io", Version: "v1alpha1", Resource: "taintevictionpolicies"}
)

// deployment waits until the Deployment is complete, and returns it.
func (w *world) deployment(t *testing.T, namespace string) (d *appsv1.Deployment) {
	t.Helper()
	must(t, loop.Until(t.Context(), interval, timeout, func(ctx context.Context) (err error) {
		if d, err = w.client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		wanted := ptr.Deref(d.Spec.Replicas, 1)
		if s := d.Status; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != wanted || s.AvailableReplicas != wanted || s.Replicas != wanted {
			return fmt.Errorf("the Deployment is not complete: %+v", s)
		}
		return nil
	}))
	return d
}

// run starts the controller with the arguments and the configuration file of the Deployment, as its service account, and waits until it is ready,
// which it is not without permissions.
func (w *world) run(t *testing.T, namespace string) *controlplane.Process {
	t.Helper()
	d := w.deployment(t, namespace)
	spec := &d.Spec.Template.Spec
	kubeconfig, _, err := w.cp.ServiceAccountWithRoles(t.Context(), namespace, spec.ServiceAccountName)
	must(t, err)
	args := slices.Clone(spec.Containers[0].Args)
	for _, volume := range spec.Volumes {
		config, err := w.client.CoreV1().ConfigMaps(namespace).Get(t.Context(), volume.ConfigMap.Name, metav1.GetOptions{})
		must(t, err)
		directory := t.TempDir()
		for file, text := range config.Data {
			must(t, os.WriteFile(filepath.Join(directory, file), []byte(text), 0o600))
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], spec.Containers[0].VolumeMounts[0].MountPath+"/", directory+"/")
		}
	}
	process, err := launcher.Start(t.Context(), w.cp, launcher.Options{Name: "of-" + namespace, Binary: w.manager, Kubeconfig: kubeconfig, Args: args})
	must(t, err)
	return process
}

// evicts checks that a pod goes that does not tolerate a taint, and that its Event names the controller.
func (w *world) evicts(t *testing.T) {
	t.Helper()
	const node, namespace = "worker", "default"
	_, err := controlplane.CreateNode(t.Context(), w.client, node)
	must(t, err)
	must(t, controlplane.WaitForNodes(t.Context(), w.client, node))
	defer func() { must(t, w.client.CoreV1().Nodes().Delete(t.Context(), node, metav1.DeleteOptions{})) }()
	pod, err := w.client.CoreV1().Pods(namespace).Create(t.Context(), builders.Pod(node, builders.Named("goes")), metav1.CreateOptions{})
	must(t, err)
	must(t, builders.SetTaints(t.Context(), w.client, node, builders.NoExecute("example.com/ill")))
	must(t, loop.Until(t.Context(), interval, timeout, func(ctx context.Context) error {
		events, err := w.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=TaintManagerEviction,involvedObject.name=" + pod.Name})
		if err == nil && len(events.Items) == 0 {
			err = errors.New("there is no Event of the eviction")
		}
		return err
	}))
	_, err = w.client.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		must(t, loop.Until(t.Context(), interval, timeout, func(ctx context.Context) error {
			if _, err := w.client.CoreV1().Pods(namespace).Get(ctx, pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the pod is still there: %w", err)
			}
			return nil
		}))
	}
}

// hasField reports whether the CustomResourceDefinition has a field of the spec of policies.
func (w *world) hasField(t *testing.T, field string) bool {
	t.Helper()
	object, err := w.dynamic.Resource(crds).Get(t.Context(), crd, metav1.GetOptions{})
	must(t, err)
	versions, _, err := unstructured.NestedSlice(object.Object, "spec", "versions")
	must(t, err)
	_, has, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", field)
	must(t, err)
	return has
}

// older makes a copy of the chart as it may have been a version ago: with another image, and without a field of policies.
func (w *world) older(t *testing.T, field string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), name)
	must(t, os.CopyFS(copied, os.DirFS(w.chart)))
	edit := func(file string, change func(string) string) {
		path := filepath.Join(copied, file)
		data, err := os.ReadFile(path)
		must(t, err)
		after := change(string(data))
		if after == string(data) {
			t.Fatalf("%s has not changed", file)
		}
		must(t, os.WriteFile(path, []byte(after), 0o600))
	}
	edit("Chart.yaml", func(text string) string {
		return strings.NewReplacer("version: 0.0.0-dev", "version: 0.0.0-older", "appVersion: dev", "appVersion: older").Replace(text)
	})
	edit("files/policy.taint-manager.io_taintevictionpolicies.yaml", func(text string) string {
		object := map[string]any{}
		must(t, yaml.Unmarshal([]byte(text), &object))
		versions, _, err := unstructured.NestedSlice(object, "spec", "versions")
		must(t, err)
		spec := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)["properties"].(map[string]any)["spec"].(map[string]any)
		delete(spec["properties"].(map[string]any), field)
		delete(spec, "x-kubernetes-validations") // some are about the field
		must(t, unstructured.SetNestedSlice(object, versions, "spec", "versions"))
		without, err := yaml.Marshal(object)
		must(t, err)
		return string(without)
	})
	return copied
}

// leftovers returns what is there of the objects that a release has.
func (w *world) leftovers(t *testing.T, manifest string) (left []string) {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(w.client.Discovery())
	must(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	seen := 0
	for document := range strings.SplitSeq(manifest, "\n---") {
		object := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(strings.TrimPrefix(document, "---")), &object.Object))
		if len(object.Object) == 0 {
			continue
		}
		seen++
		mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		must(t, err)
		_, err = w.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Get(t.Context(), object.GetName(), metav1.GetOptions{})
		if err == nil {
			left = append(left, object.GetKind()+"/"+object.GetName())
		} else if !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Fatalf("the release has %d objects, which are not all:\n%s", seen, manifest)
	}
	return left
}

// uninstalled waits until nothing is left of a release but the CustomResourceDefinition.
func (w *world) uninstalled(t *testing.T, manifest string) {
	t.Helper()
	must(t, loop.Until(t.Context(), interval, timeout, func(context.Context) error {
		if left := w.leftovers(t, manifest); !slices.Equal(left, []string{"CustomResourceDefinition/" + crd}) {
			return fmt.Errorf("left are %v", left)
		}
		return nil
	}))
}

// keep makes a policy that keeps all pods.
func (w *world) keep(t *testing.T, policy string) {
	t.Helper()
	must(t, loop.Until(t.Context(), interval, timeout, func(ctx context.Context) error { // until the API server serves policies
		_, err := w.dynamic.Resource(policies).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": policy},
			"spec": map[string]any{"matchingPrecedence": int64(0), "mode": "Keep"},
		}}, metav1.CreateOptions{})
		return err
	}))
}

// cleanUp removes a release that a failed test has left, and, when a test is over, what helm uninstall leaves: a release in another namespace would
// not take it over.
func (w *world) cleanUp(t *testing.T, namespace string) {
	t.Cleanup(func() {
		ctx := context.Background()
		_, err := w.helm.Run(ctx, "uninstall", name, "--namespace", namespace, "--ignore-not-found")
		must(t, err)
		if err := w.dynamic.Resource(crds).Delete(ctx, crd, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		must(t, loop.Until(ctx, interval, timeout, func(ctx context.Context) error {
			if _, err := w.dynamic.Resource(crds).Get(ctx, crd, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the CustomResourceDefinition is still there: %w", err)
			}
			return nil
		}))
	})
}
