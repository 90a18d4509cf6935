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

package runbook

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"
)

// start starts a shell that ends with the test, and returns the lines that it shows, too.
func start(ctx context.Context, t *testing.T) (shell *Shell, shown *[]string) {
	t.Helper()
	shown = &[]string{}
	shell, err := NewShell(ctx, t.TempDir(), t.TempDir(), []string{"PATH=/usr/bin:/bin"}, func(line string) { *shown = append(*shown, line) })
	if err != nil {
		t.Fatal(err)
	}
	return shell, shown
}

func TestShell(t *testing.T) {
	shell, shown := start(t.Context(), t)
	for _, c := range []struct {
		script string
		want   Result
	}{
		{"A=1\nexport B=2\ncd /\n", Result{Output: "\n"}},
		{"echo $A; bash -c 'echo $B' >&2; pwd", Result{Output: "1\n2\n/\n"}},
		{"false # exit code 1\n(exit 3)\necho on", Result{Output: "on\n", Failures: []Failure{{"false", 1}, {"( exit 3 )", 3}}}},
		{"if false; then :; fi; false || true; ! true; grep -q x <<<y", Result{Output: "\n", Failures: []Failure{{"grep -q x <<< y", 1}}}},
		{"false | cat", Result{Output: "\n", Failures: []Failure{{"cat", 1}}}},
		{"cat; printf 'no end'", Result{Output: "no end\n"}},
		{"cat <<EOF\na\n  b\nEOF\n", Result{Output: "a\n  b\n"}},
		{"echo a \\\n  b; no-such-command 2>/dev/null", Result{Output: "a b\n", Failures: []Failure{{"no-such-command 2> /dev/null", 127}}}},
	} {
		if got, err := shell.Run(c.script); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, got %+v, want %+v", c.script, err, got, c.want)
		}
	}
	if err := shell.Close(); err != nil {
		t.Error(err)
	}
	if text := strings.Join(*shown, "\n"); !strings.Contains(text, "1\n2\n/\n") {
		t.Errorf("shown: %q", text)
	}
}

// TestShellEnds has scripts that end the shell, as a typing error in the name of a variable does.
func TestShellEnds(t *testing.T) {
	for _, script := range []string{"echo before; exit 0", "echo before; echo $UNKNOWN; echo after"} {
		shell, _ := start(t.Context(), t)
		result, err := shell.Run(script)
		if err == nil || !strings.HasPrefix(result.Output, "before") || strings.Contains(result.Output, "after") {
			t.Errorf("%s: %v, got %+v", script, err, result)
		}
		_ = shell.Close()
	}
}

// TestShellIsStopped cancels the context while a command runs that does not end by itself.
func TestShellIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	shell, err := NewShell(ctx, t.TempDir(), t.TempDir(), []string{"PATH=/usr/bin:/bin"}, func(string) { close(began) })
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-began
		cancel()
	}()
	at := time.Now()
	if _, err := shell.Run("echo now\nsleep 600\n"); err == nil {
		t.Error("the script ended by itself")
	}
	_ = shell.Close()
	if took := time.Since(at); took > time.Minute {
		t.Errorf("it took %s to end", took)
	}
}
