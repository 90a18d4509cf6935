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

package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/taint-manager/taint-manager/manifests"
)

// helmLabels are what Helm's conventions ask for beside the labels of kustomize. Nothing selects by them.
var helmLabels = []string{"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}

// equal is a kustomization, and the values with which the chart makes the same.
type equal struct {
	name string
	// kustomization is what stands beside the directories base, components and overlays.
	kustomization string
	namespace     string
	// valuesFile is a file of the chart, and values are further ones.
	valuesFile, values string
	// notInChart are objects of kustomize that the chart does not make.
	notInChart []string
	// change makes the same of what both have in different forms.
	change func(t *testing.T, kustomize, helm objects)
}

func equals() []equal {
	const own = "taint-manager"
	overlay := func(name string) string { return "resources: [../overlays/" + name + ", ../crd]" }
	// The base has no tag; the chart always names one.
	base := func(component string) string {
		return "resources: [../base, ../crd]\nimages: [{name: ghcr.io/taint-manager/taint-manager, newTag: dev}]\ncomponents: [" + component + "]"
	}
	// Helm needs the namespace before it installs anything there.
	namespace := []string{"Namespace/" + own}
	return []equal{
		{name: "base", kustomization: base(""), namespace: kubeSystem},
		{name: "host-network", kustomization: base("../components/host-network"), namespace: kubeSystem,
			values: "{hostNetwork: true, nodeSelector: {node-role.kubernetes.io/control-plane: ''}}"},
		{name: "metrics-reader", kustomization: base("../components/metrics-reader"), namespace: kubeSystem, values: "metricsReader: {enabled: true}"},
		{name: "debug-reader", kustomization: base("../components/debug-reader"), namespace: kubeSystem, values: "debugReader: {enabled: true}"},
		{name: "service-monitor", kustomization: base("../components/service-monitor"), namespace: kubeSystem, values: "serviceMonitor: {enabled: true}"},
		{name: "own-namespace", kustomization: base("../components/own-namespace"), namespace: own, notInChart: namespace},
		{name: "own-namespace with service-monitor", kustomization: base("../components/service-monitor, ../components/own-namespace"), namespace: own,
			values: "serviceMonitor: {enabled: true}", notInChart: namespace},
		{name: "overlays/kind", kustomization: overlay("kind"), namespace: kubeSystem, valuesFile: "values-kind.yaml"},
		{name: "overlays/own-namespace", kustomization: overlay("own-namespace"), namespace: own, valuesFile: "values-own-namespace.yaml", notInChart: namespace},
		{name: "overlays/production", kustomization: overlay("production"), namespace: kubeSystem, valuesFile: "values-production.yaml", change: configuration},
	}
}

// TestEqualsKustomize compares each object that the chart makes with what kustomize makes: of the base, of each component and of each overlay.
func TestEqualsKustomize(t *testing.T) {
	tested := map[string]bool{}
	for _, e := range equals() {
		tested[e.name] = true
		t.Run(e.name, func(t *testing.T) {
			kustomize := kustomizeBuild(t, e.kustomization)
			var values []string
			if e.valuesFile != "" {
				data, err := os.ReadFile(filepath.Join(chartDir, e.valuesFile))
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, string(data))
			}
			helm := mustRender(t, e.namespace, append(values, e.values)...).objects
			for _, key := range e.notInChart {
				if kustomize[key] == nil {
					t.Errorf("kustomize makes no %s", key)
				}
				delete(kustomize, key)
			}
			for key, object := range helm {
				removeHelmLabels(t, key, object)
			}
			if e.change != nil {
				e.change(t, kustomize, helm)
			}
			if difference := cmp.Diff(kustomize, helm); difference != "" {
				t.Errorf("kustomize (-) and the chart (+) differ:\n%s", difference)
			}
		})
	}
	for _, kind := range []string{"overlays", "components"} {
		entries, err := os.ReadDir(filepath.Join(root, "manifests", kind))
		if err != nil || len(entries) == 0 {
			t.Fatalf("%d %s: %v", len(entries), kind, err)
		}
		for _, entry := range entries {
			if name := strings.TrimPrefix(kind+"/"+entry.Name(), "components/"); !tested[name] {
				t.Errorf("there is no comparison with %s", name)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(chartDir, "values-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.ContainsFunc(equals(), func(e equal) bool { return e.valuesFile == filepath.Base(file) }) {
			t.Errorf("%s belongs to no overlay", file)
		}
	}
}

// kustomizeBuild returns what `kubectl apply -k` would apply of a kustomization beside those of the repository.
func kustomizeBuild(t *testing.T, kustomization string) objects {
	t.Helper()
	files := filesys.MakeFsInMemory()
	for _, pattern := range []string{"base/*", "crd/*", "components/*/*", "overlays/*/*"} {
		names, err := filepath.Glob(filepath.Join(root, "manifests", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%d files of %s: %v", len(names), pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := files.WriteFile(strings.TrimPrefix(filepath.ToSlash(name), root), data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := files.WriteFile("/manifests/compared/kustomization.yaml", []byte(kustomization)); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/manifests/compared")
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	all, err := decode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// removeHelmLabels takes the labels off an object that only Helm's conventions ask for.
func removeHelmLabels(t *testing.T, key string, object map[string]any) {
	t.Helper()
	if strings.HasPrefix(key, "CustomResourceDefinition/") {
		return // the file of controller-gen, as it is
	}
	labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
	want := map[string]any{"app.kubernetes.io/instance": releaseName, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "taint-manager-0.0.0-dev"}
	for _, label := range helmLabels {
		if labels[label] != want[label] {
			t.Errorf("%s has the label %s=%v, want %v", key, label, labels[label], want[label])
		}
		delete(labels, label)
	}
}

// configuration makes the same of the two forms of a configuration file. kustomize puts a hash of the file into the name of the ConfigMap, so
// that the Deployment is rolled out when it changes; the chart puts it into an annotation of the pods. The file has comments, and values do
// not.
func configuration(t *testing.T, kustomize, helm objects) {
	t.Helper()
	const deployment, file, checksum = "Deployment/kube-system/taint-manager", "taint-manager.yaml", "checksum/config"
	template := func(of objects) map[string]any {
		return of[deployment]["spec"].(map[string]any)["template"].(map[string]any)
	}
	annotations := template(helm)["metadata"].(map[string]any)["annotations"].(map[string]any)
	if hash, _ := annotations[checksum].(string); len(hash) != 64 {
		t.Errorf("the annotation %s is %v, want a hash", checksum, annotations[checksum])
	}
	delete(annotations, checksum)

	volume := template(kustomize)["spec"].(map[string]any)["volumes"].([]any)[0].(map[string]any)["configMap"].(map[string]any)
	hashed, _ := volume["name"].(string)
	plain := hashed[:strings.LastIndex(hashed, "-")]
	volume["name"] = plain
	config := kustomize["ConfigMap/kube-system/"+hashed]
	delete(kustomize, "ConfigMap/kube-system/"+hashed)
	config["metadata"].(map[string]any)["name"] = plain
	kustomize["ConfigMap/kube-system/"+plain] = config
	for _, of := range []objects{kustomize, helm} {
		data := of["ConfigMap/kube-system/"+plain]["data"].(map[string]any)
		text, _ := data[file].(string)
		data[file] = fromYAML(t, text)
	}
}

// TestPermissions compares the permissions that the chart grants with those that the tests of the controller run with. kustomize's are compared
// above, too; this says it of the permissions alone, in each namespace.
func TestPermissions(t *testing.T) {
	cluster, err := manifests.ClusterRole()
	if err != nil {
		t.Fatal(err)
	}
	inNamespace, err := manifests.Role()
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{kubeSystem, "elsewhere"} {
		made := mustRender(t, namespace).objects
		for key, want := range map[string][]rbacv1.PolicyRule{"ClusterRole/taint-manager": cluster.Rules, "Role/" + namespace + "/taint-manager": inNamespace.Rules} {
			role := &rbacv1.ClusterRole{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(made[key], role); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(role.Rules, want) {
				t.Errorf("%s grants\n%v\nwant\n%v", key, role.Rules, want)
			}
		}
		var roles []string
		for _, key := range slices.Sorted(maps.Keys(made)) {
			if strings.HasPrefix(key, "ClusterRole/") || strings.HasPrefix(key, "Role/") {
				roles = append(roles, key)
			}
		}
		if want := []string{"ClusterRole/taint-manager", "Role/" + namespace + "/taint-manager"}; !slices.Equal(roles, want) {
			t.Errorf("the roles are %v, want %v", roles, want)
		}
	}
}
