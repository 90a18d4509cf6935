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

package app

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"
)

// answers are what an API server answers, by path and label selector. All else is not found.
var answers = map[string]string{
	"/api/v1/nodes": `
kind: NodeList
apiVersion: v1
items:
- {metadata: {name: a}, spec: {taints: [{key: maint, value: kernel, effect: NoExecute}, {key: maint, value: disk, effect: NoExecute}]}}
- {metadata: {name: b}, spec: {taints: [{key: rack, effect: NoSchedule}, {key: soft, effect: PreferNoSchedule}]}}
- {metadata: {name: c}, spec: {taints: [{key: node.kubernetes.io/unreachable, effect: NoExecute}]}}
`,
	"/api/v1/nodes?pool=spot": `
kind: NodeList
apiVersion: v1
items: [{metadata: {name: b}, spec: {taints: [{key: rack, effect: NoSchedule}]}}]
`,
	"/api/v1/nodes/b":              `{kind: Node, apiVersion: v1, metadata: {name: b}, spec: {taints: [{key: rack, effect: NoSchedule}]}}`,
	"/api/v1/namespaces/shop/pods": `{kind: PartialObjectMetadataList, apiVersion: meta.k8s.io/v1, items: [{metadata: {name: web-1}}, {metadata: {name: web-2}}, {metadata: {name: db}}]}`,
	"/api/v1/namespaces":           `{kind: PartialObjectMetadataList, apiVersion: meta.k8s.io/v1, items: [{metadata: {name: kube-system}}, {metadata: {name: shop}}]}`,
	"/apis/policy.taint-manager.io/v1alpha1/taintevictionpolicies": `
kind: TaintEvictionPolicyList
apiVersion: policy.taint-manager.io/v1alpha1
items:
- {metadata: {name: databases}, spec: {mode: Keep, matchingPrecedence: 10, taints: [{key: upgrade, value: os}, {key: repair.example.com/*}]}}
- {metadata: {name: pause}, spec: {mode: Keep, matchingPrecedence: 0}}
- {metadata: {name: pause-rack-7}, spec: {mode: Keep, matchingPrecedence: 0, taints: [{key: drain, effect: NoSchedule}]}}
`,
}

// answering starts such an API server, and returns a kubeconfig for it.
func answering(t *testing.T) (kubeconfig string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if selector := r.URL.Query().Get("labelSelector"); selector != "" {
			path += "?" + selector
		}
		w.Header().Set("Content-Type", "application/json")
		answer, known := answers[path]
		if path == "/api/v1/nodes" && strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			answer = strings.Replace(strings.Replace(answer, "NodeList", "PartialObjectMetadataList", 1), "v1", "meta.k8s.io/v1", 1)
		}
		if !known {
			w.WriteHeader(http.StatusNotFound)
			answer = "{kind: Status, apiVersion: v1, status: Failure, reason: NotFound, code: 404}"
		}
		data, err := yaml.YAMLToJSON([]byte(answer))
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: prod, cluster: {server: %q}}]\nusers: [{name: alice, user: {}}]\n"+
		"contexts: [{name: c, context: {cluster: prod, user: alice, namespace: shop}}, {name: d, context: {cluster: prod}}]\ncurrent-context: c\n", server.URL)
	if err := os.WriteFile(kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// completed returns what a shell is offered for the last argument, and how it is to complete.
func completed(t *testing.T, kubeconfig string, args ...string) (candidates []string, directive string) {
	t.Helper()
	var stdout bytes.Buffer
	cmd := NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &bytes.Buffer{}})
	cmd.SetArgs(slices.Concat([]string{"__completeNoDesc", args[0], "--kubeconfig", kubeconfig}, args[1:]))
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	const names, parts = ":4", ":6" // no files, and for a part of a taint no space after it
	kubeconfig := answering(t)
	for _, test := range []struct {
		args, want, directive string
	}{
		{"plan ", "a b c", names},
		{"plan a ", "b c", names},
		{"status a", "a", names},
		{"watch b ", "a c", names},
		{"why ", "db web-1 web-2", names},
		{"why w", "web-1 web-2", names},
		{"why web-1 ", "", names},
		{"why -n none ", "", names},
		{"why -n ", "kube-system shop", names},
		{"why --manager-namespace k", "kube-system", names},
		{"why --context ", "c d", names},
		{"why --cluster ", "prod", names},
		{"why --user ", "alice", names},
		{"why --manager-lease ", "", names},
		{"plan -l ", "", names},
		{"plan --policies ", "yaml yml json", ":8"},

		// Keys of nodes and of policies, but no patterns; and of a node that is lost.
		{"plan a --taint ", "drain maint node.kubernetes.io/not-ready node.kubernetes.io/out-of-service node.kubernetes.io/unreachable rack upgrade", parts},
		{"plan a --taint node.kubernetes.io/n", "node.kubernetes.io/not-ready", parts},
		{"plan a --taint=ma", "maint", parts},
		// A whole key goes on.
		{"plan a --taint maint", "maint:NoExecute maint:NoSchedule maint=disk maint=kernel", parts},
		{"plan a --taint maint=", "maint=disk maint=kernel", parts},
		{"plan a --taint maint=k", "maint=kernel", parts},
		{"plan a --taint maint=kernel", "maint=kernel:NoExecute maint=kernel:NoSchedule", parts},
		{"plan a --taint maint=kernel:", "maint=kernel:NoExecute maint=kernel:NoSchedule", names},
		{"plan a --taint upgrade=os:NoE", "upgrade=os:NoExecute", names},
		{"plan a --taint rack:", "rack:NoExecute rack:NoSchedule", names},
		// A taint that there is not yet.
		{"plan a --taint new:", "new:NoExecute new:NoSchedule", names},
		{"plan a --taint maint=new:", "maint=new:NoExecute maint=new:NoSchedule", names},

		// What may be removed is on a node: on those that are named.
		{"plan --remove ", "maint node.kubernetes.io/unreachable rack", parts},
		{"plan b --remove ", "rack", parts},
		{"plan b missing --remove ", "rack", parts},
		{"plan -l pool=spot --remove ", "rack", parts},
		{"plan --remove maint=kernel:", "maint=kernel:NoExecute", names},
		{"plan --remove maint:", "maint:NoExecute", names},
		{"plan --remove rack", "rack:NoSchedule", parts},
		{"plan --remove new:", "", names},

		// What a pause may hold, with patterns, and node conditions only if that is said.
		{"pause --taint ", "drain maint rack repair.example.com/* upgrade", parts},
		{"pause --taint repair.example.com/*", "repair.example.com/*:NoExecute repair.example.com/*:NoSchedule", parts},
		{"pause --include-node-conditions --taint node", "node.kubernetes.io/unreachable", parts},
		{"pause --taint upgrade=", "upgrade=os", parts},
		{"pause --for ", "", names},
		{"pause --dry-run ", "none client server", names},
		{"pause --name ", "pause pause-rack-7", names},
		{"resume --name pause-", "pause-rack-7", names},
	} {
		candidates, directive := completed(t, kubeconfig, strings.Split(test.args, " ")...)
		if got := strings.Join(candidates, " "); got != test.want || directive != test.directive {
			t.Errorf("%q: got %q and %s, want %q and %s", test.args, got, directive, test.want, test.directive)
		}
	}
}

// TestCompletionWithoutCluster says that a shell gets no error in place of names.
func TestCompletionWithoutCluster(t *testing.T) {
	for _, args := range []string{"plan ", "plan a --taint x", "plan --remove ", "why ", "resume --name ", "why --context "} {
		candidates, directive := completed(t, "/does/not/exist", strings.Split(args, " ")...)
		if len(candidates) > 0 || directive != ":4" && directive != ":6" {
			t.Errorf("%q: got %q and %s", args, candidates, directive)
		}
	}
}
