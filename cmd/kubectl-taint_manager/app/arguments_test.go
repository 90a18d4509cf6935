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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// runs runs the plugin with arguments, and returns its exit code and what it wrote to standard error.
func runs(t *testing.T, arguments ...string) (code int, errors string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &bytes.Buffer{}, ErrOut: &stderr})
	cmd.SetArgs(arguments)
	code = report(cmd.ExecuteContext(t.Context()), &stderr)
	return code, stderr.String()
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "policies.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "apiVersion: policy.taint-manager.io/v1alpha1\nkind: TaintEvictionPolicy\n"
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"frob"}, `there is no verb "frob"`},
		{[]string{"why"}, "name one pod"},
		{[]string{"why", "a", "b"}, "name one pod"},
		{[]string{"why", "deployment/a"}, `"deployment/a" is not the name of a pod`},
		{[]string{"why", "a", "--frob"}, "unknown flag: --frob"},
		{[]string{"plan", "--taint", "k:NoExecute"}, "name nodes, or select them with -l"},
		{[]string{"plan", "a", "-l", "x=y", "--taint", "k:NoExecute"}, "not both"},
		{[]string{"plan", "a"}, "say what to try: --taint, --remove or --policies"},
		{[]string{"plan", "a", "--taint", "k"}, "has no effect: write k:NoExecute"},
		{[]string{"plan", "a", "--taint", "k:Never"}, `"Never" is no effect`},
		{[]string{"plan", "a", "--taint", "k:PreferNoSchedule"}, "this effect evicts no pod"},
		{[]string{"plan", "a", "--taint", "-k:NoExecute"}, `"-k" is not the key of a taint`},
		{[]string{"plan", "a", "--taint", "k=a b:NoExecute"}, `"a b" is not the value of a taint`},
		{[]string{"plan", "a", "--remove", "k:"}, `"" is no effect`},
		{[]string{"plan", "a", "--policies", "/does/not/exist"}, "no such file"},
		{[]string{"plan", "a", "--policies", file("")}, "there is no TaintEvictionPolicy in it"},
		{[]string{"plan", "a", "--policies", file("kind: Pod\napiVersion: v1\n")}, `is not a TaintEvictionPolicy of policy.taint-manager.io/v1alpha1, but a "Pod" of "v1"`},
		{[]string{"plan", "a", "--policies", file(head + "spec: {mode: Keep}\n")}, "metadata.name is missing"},
		{[]string{"plan", "a", "--policies", file(head + "metadata: {name: a}\nspec: {mode: Keep, mod: x}\n")}, "line 4: spec.mod"},
		{[]string{"plan", "a", "--policies", file(head + "metadata: {name: a}\nspec: {mode: Keep}\n---\n" + head + "metadata: {name: a}\nspec: {mode: Keep}\n")},
			"there are two policies named a"},
		{[]string{"status", "a", "-l", "x=y"}, "name nodes or select them with -l, not both"},
		{[]string{"status", "pod/a"}, `"pod/a" is not the name of a node`},
		{[]string{"plan", "pod/a", "--taint", "k:NoExecute"}, `"pod/a" is not the name of a node`},
		{[]string{"watch"}, "name one node or more"},
		{[]string{"watch", "a", "--timeout", "-1s"}, "--timeout -1s: must not be negative"},
		{[]string{"watch", "a", "--timeout", "soon"}, `invalid argument "soon" for "--timeout"`},
		{[]string{"pause", "--for", "1ms"}, "--for 1ms: must be a second or more"},
		{[]string{"resume", "a"}, "resume takes no arguments"},
		{[]string{"doctor", "a"}, "doctor takes no arguments"},
		{[]string{"why", "a", "-o", "frob"}, "-o frob: must be one of wide, name, json, yaml"},
	} {
		code, stderr := runs(t, test.arguments...)
		if code != exitUsage || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", test.arguments, code, stderr, exitUsage, test.want)
		}
	}
}
