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
	"slices"
	"strings"
	"testing"
)

// TestNotes reads what an operator is told after an installation.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		name, namespace, set string
		has, hasNot          []string
	}{
		{"default", kubeSystem, "", []string{
			"taint-manager dev is in namespace kube-system.\n",
			"   kubectl -n kube-system rollout status deployment/taint-manager\n",
			"#switching-over-from-the-built-in-controller-and-back",
			"   kubectl taint-manager doctor\n",
			"   helm test " + releaseName + " -n kube-system --logs",
		}, []string{"dryRun", "crd.enabled", "replicaCount", "--manager-namespace"}},
		{"own namespace", "elsewhere", "image: {tag: v1.2.3}", []string{
			"taint-manager v1.2.3 is in namespace elsewhere.\n",
			"   kubectl taint-manager doctor --manager-namespace elsewhere\n",
		}, nil},
		{"dry run", kubeSystem, "dryRun: true", []string{
			"It evicts no pod: dryRun is set.\n",
			"   kubectl get events -A --field-selector reason=TaintManagerPreview\n",
			"   helm upgrade " + releaseName + " CHART -n kube-system --reset-then-reuse-values --set dryRun=false",
		}, []string{"Switch the built-in controller off"}},
		{"no CustomResourceDefinition", kubeSystem, "crd: {enabled: false}", []string{"\ncrd.enabled is false: "}, nil},
		{"one replica", kubeSystem, "replicaCount: 1", []string{"\nreplicaCount is 1: nobody evicts while the replica is away."}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			notes := mustRender(t, c.namespace, c.set).notes
			for _, text := range c.has {
				if !strings.Contains(notes, text) {
					t.Errorf("the notes have no %q:\n%s", text, notes)
				}
			}
			for _, text := range c.hasNot {
				if strings.Contains(notes, text) {
					t.Errorf("the notes have %q:\n%s", text, notes)
				}
			}
		})
	}
}

// TestHooks reads what `helm test` makes: permissions to read, before the pod, and the pod, and all of it is deleted when the test has passed.
func TestHooks(t *testing.T) {
	r := mustRender(t, "elsewhere")
	for key, weight := range map[string]int{
		"ServiceAccount/elsewhere/taint-manager-test": -1, "ClusterRole/taint-manager-test": -1, "ClusterRoleBinding/taint-manager-test": -1,
		"Role/elsewhere/taint-manager-test": -1, "RoleBinding/elsewhere/taint-manager-test": -1, "Pod/elsewhere/taint-manager-test": 0,
	} {
		if got, is := r.weights[key]; !is || got != weight {
			t.Errorf("%s has weight %d (%t), want %d", key, got, is, weight)
		}
		if got := fieldOf(r, key+":metadata.annotations"); !sameAs(t, got,
			"{helm.sh/hook: test, helm.sh/hook-weight: '"+map[int]string{-1: "-1", 0: "0"}[weight]+"', helm.sh/hook-delete-policy: 'before-hook-creation,hook-succeeded'}") {
			t.Errorf("%s has the annotations %v", key, got)
		}
		// The labels are not those by which the Deployment, the Service and the budget select.
		if got := fieldOf(r, key+":metadata.labels"); got.(map[string]any)["app.kubernetes.io/component"] != "test" {
			t.Errorf("%s has the labels %v", key, got)
		}
	}
	if len(r.hooks) != 6 {
		t.Errorf("%d hooks", len(r.hooks))
	}
	for _, key := range []string{"ClusterRole/taint-manager-test", "Role/elsewhere/taint-manager-test"} {
		for _, rule := range fieldOf(r, key+":rules").([]any) {
			rule := rule.(map[string]any)
			want := []string{"[get]", "[list]", "[get, list]"}
			if sameAs(t, rule["resources"], "[subjectaccessreviews]") {
				want = []string{"[create]"}
			}
			if !slices.ContainsFunc(want, func(verbs string) bool { return sameAs(t, rule["verbs"], verbs) }) {
				t.Errorf("%s has the rule %v, and may read only", key, rule)
			}
		}
	}
	// The namespace may enforce Pod Security "restricted".
	for _, of := range []string{"Deployment/elsewhere/taint-manager:spec.template.spec", "Pod/elsewhere/taint-manager-test:spec"} {
		pod := fieldOf(r, of+".securityContext")
		if !sameAs(t, pod, "{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {type: RuntimeDefault}}") {
			t.Errorf("%s has the security context %v", of, pod)
		}
		container := fieldOf(r, of+".containers.0.securityContext")
		if !sameAs(t, container, "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}") {
			t.Errorf("%s has the security context of its container %v", of, container)
		}
	}
}
