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
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// partial are files of types that the scheme does not know: kustomizations, patches, others' custom resources, and our configuration, which a
// test of cmd/taint-manager/app reads.
var partial = []string{"kustomization.yaml", "servicemonitor.yaml", path.Base(policyCRD), "taint-manager.yaml"}

// objects returns all objects of the manifests, decoded strictly: unknown and duplicate fields are errors.
func objects(t *testing.T) map[string]runtime.Object {
	t.Helper()
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), policyv1alpha1.AddToScheme(types)); err != nil {
		t.Fatal(err)
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, types, types, json.SerializerOptions{Yaml: true, Strict: true})
	found := map[string]runtime.Object{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || slices.Contains(partial, path.Base(name)) {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		object, _, err := strict.Decode(data, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		found[name] = object
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPermissionsDoNotCreep guards the permissions that an operator grants.
func TestPermissionsDoNotCreep(t *testing.T) {
	seen := 0
	for name, object := range objects(t) {
		var rules []rbacv1.PolicyRule
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			rules = role.Rules
		case *rbacv1.Role:
			rules = role.Rules
		default:
			continue
		}
		seen++
		for _, rule := range rules {
			if complaint := dangerous(rule); complaint != "" {
				t.Errorf("%s: %s: %v", name, complaint, rule)
			}
		}
	}
	if seen < 2 {
		t.Errorf("%d roles", seen)
	}
}

// dangerous returns what is wrong with a rule, or an empty string.
func dangerous(rule rbacv1.PolicyRule) string {
	for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs} {
		if strings.Contains(strings.Join(list, " "), "*") {
			return "a wildcard"
		}
	}
	writes := slices.ContainsFunc(rule.Verbs, func(verb string) bool { return !slices.Contains([]string{"get", "list", "watch"}, verb) })
	for _, resource := range rule.Resources {
		kind, subresource, _ := strings.Cut(resource, "/")
		switch {
		case kind == "secrets":
			return "secrets"
		case kind == "nodes" && (writes || subresource != ""):
			return "more of nodes than to read them"
		case kind == "serviceaccounts", kind == "users", kind == "groups":
			return "to become somebody else"
		case slices.Contains(rule.APIGroups, rbacv1.GroupName):
			return "to change permissions"
		case kind == "pods" && slices.Contains([]string{"exec", "attach", "portforward", "proxy", "log", "ephemeralcontainers"}, subresource):
			return "to reach into pods"
		case kind == "configmaps" && len(rule.ResourceNames) == 0:
			return "ConfigMaps that are not named"
		}
	}
	return ""
}

func TestDangerousRulesAreFound(t *testing.T) {
	rule := func(group, resource, verb string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}
	}
	for _, bad := range []rbacv1.PolicyRule{
		rule("", "secrets", "get"), rule("", "*", "get"), rule("*", "pods", "get"), rule("", "pods", "*"),
		rule("", "nodes", "patch"), rule("", "nodes/status", "update"), rule("", "nodes/proxy", "get"),
		rule("", "serviceaccounts/token", "create"), rule("rbac.authorization.k8s.io", "roles", "bind"),
		rule("", "pods/exec", "create"), rule("", "configmaps", "get"),
		{NonResourceURLs: []string{"*"}, Verbs: []string{"get"}},
	} {
		if dangerous(bad) == "" {
			t.Errorf("not found: %v", bad)
		}
	}
}

// TestProductionIsConfigured sees that the ConfigMap with the configuration is made, mounted and named.
func TestProductionIsConfigured(t *testing.T) {
	const overlay = "overlays/production"
	data, err := files.ReadFile(path.Join(overlay, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		ConfigMapGenerator []struct {
			Name, Namespace string
			Files           []string
		}
		Patches []struct {
			Target struct{ Kind, Name string }
			Patch  string
		}
	}
	if err := yaml.Unmarshal(data, &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.ConfigMapGenerator) != 1 || len(kustomization.Patches) != 1 {
		t.Fatalf("got %+v", kustomization)
	}
	generated, patch := kustomization.ConfigMapGenerator[0], kustomization.Patches[0]
	if len(generated.Files) != 1 || generated.Name != "taint-manager-config" || generated.Namespace != "kube-system" {
		t.Fatalf("got %+v", generated)
	}
	if _, err := files.ReadFile(path.Join(overlay, generated.Files[0])); err != nil {
		t.Error(err)
	}
	deployment, ok := objects(t)["base/deployment.yaml"].(*appsv1.Deployment)
	if !ok || patch.Target.Kind != "Deployment" || patch.Target.Name != deployment.Name || deployment.Namespace != generated.Namespace {
		t.Fatalf("patches %+v", patch.Target)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if len(container.Args) == 0 || len(container.VolumeMounts)+len(deployment.Spec.Template.Spec.Volumes) > 0 {
		t.Error("the patch adds to arguments, and whole lists of mounts and volumes: the base must have the one and not the others")
	}
	var operations []struct {
		Op, Path string
		Value    any
	}
	if err := yaml.Unmarshal([]byte(patch.Patch), &operations); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, operation := range operations {
		got = append(got, fmt.Sprint(operation.Op, " ", operation.Path, " ", operation.Value))
	}
	want := []string{
		"add /spec/template/spec/containers/0/args/- --config=/etc/taint-manager/" + generated.Files[0],
		"add /spec/template/spec/containers/0/volumeMounts [map[mountPath:/etc/taint-manager name:config readOnly:true]]",
		"add /spec/template/spec/volumes [map[configMap:map[name:" + generated.Name + "] name:config]]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the patch is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
