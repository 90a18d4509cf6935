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
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// partial are files that are not built-in API objects: kustomizations, patches, and custom resources.
var partial = []string{"kustomization.yaml", "servicemonitor.yaml"}

// objects returns all objects of the manifests, decoded strictly: unknown and duplicate fields are errors.
func objects(t *testing.T) map[string]runtime.Object {
	t.Helper()
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
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
