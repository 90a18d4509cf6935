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

package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// session is what e2e/terminal says of a program on a terminal.
type session struct {
	ExitCode int
	Raw      bool
	Frames   []frame
}

// frame is a picture on a terminal.
type frame struct {
	Seconds       float64
	Columns, Rows int
	Lines         []string
	Wrapped       []string
	Scrolled      int
	Cursor        struct {
		Column, Row int
		Hidden      bool
	}
}

func (f *frame) String() string {
	return fmt.Sprintf("%.1f s, %dx%d, cursor %+v\n%s", f.Seconds, f.Columns, f.Rows, f.Cursor, strings.Join(f.Lines, "\n"))
}

// count returns how many lines have a text.
func (f *frame) count(text string) (n int) {
	for _, line := range f.Lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// terminal builds the program that runs others on a terminal.
func terminal(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "terminal")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = "../terminal"
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building e2e/terminal: %v\n%s", err, output)
	}
	return binary
}

// sits has the plugin run on a terminal, and checks what holds for each picture: nothing is wider than the terminal, and a text that is there
// once is not left over from before.
func (w *world) sits(t *testing.T, terminal, once string, flags, args []string) *session {
	t.Helper()
	args = append(args, "--kubeconfig", w.kubeconfig)
	cmd := exec.CommandContext(t.Context(), terminal, append(append(append([]string{"--timeout=2m"}, flags...), "--", w.plugin), args...)...)
	output, err := cmd.Output()
	must(t, err)
	s := &session{}
	must(t, json.Unmarshal(output, s))
	if len(s.Frames) < 3 {
		t.Fatalf("%d pictures: %+v", len(s.Frames), s)
	}
	before := ""
	for i := range s.Frames {
		f := &s.Frames[i]
		if text := f.String(); text != before {
			t.Log(text)
			before = text
		}
		if len(f.Wrapped) > 0 {
			t.Errorf("wraps %q in\n%s", f.Wrapped, f)
		}
		if n := f.count(once); n > 1 {
			t.Errorf("%q is there %d times in\n%s", once, n, f)
		}
	}
	last := &s.Frames[len(s.Frames)-1]
	if last.Cursor.Hidden || last.Cursor.Column != 0 || last.Cursor.Row < len(last.Lines) || s.Raw {
		t.Errorf("it leaves the terminal with modes changed: %t, and\n%s", s.Raw, last)
	}
	if n := last.count("^C"); n > 0 {
		t.Errorf("what was typed is left in\n%s", last)
	}
	return s
}

// TestOnATerminal looks at each picture of watch and of status --watch, on terminals of different sizes, and one that gets other sizes.
func TestOnATerminal(t *testing.T) {
	const node = "worker-0.pool-a.example.internal"
	w, ctx := shared, t.Context()
	terminal := terminal(t)
	w.node(t, node)
	must(t, w.cp.Namespace(ctx, "terminal"))
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	for name, seconds := range map[string]int64{"web-57976b65ff-6qlb9": 0, "web-57976b65ff-glw69": 6, "batch-28391040-wgvjd": 12, "report-0": 300} {
		w.podIn(t, "terminal", node, name, builders.Tolerates(keyA, seconds))
	}
	w.podIn(t, "terminal", node, "agent-x2x7k", builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	w.podIn(t, "terminal", node, "ledger-0", func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/written-to-disk"} })
	release := func() {
		_, err := w.client.CoreV1().Pods("terminal").Patch(context.Background(), "ledger-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		must(t, err)
	}
	must(t, builders.SetTaints(ctx, w.client, node, builders.NoExecute(keyA)))

	s := w.sits(t, terminal, node+": ", []string{"--columns=80", "--rows=24", "--at=3s=140x30", "--at=6s=50x20", "--at=9s=80x5", "--at=12s=^C"}, []string{"watch", node})
	if last := &s.Frames[len(s.Frames)-1]; s.ExitCode != 130 || last.count("interrupted, with ") != 1 {
		t.Errorf("exit code %d, want 130, and\n%s", s.ExitCode, last)
	}
	for _, size := range []string{"80x24", "140x24"} {
		columns, rows, _ := strings.Cut(size, "x")
		s = w.sits(t, terminal, "TAINT  ", []string{"--columns=" + columns, "--rows=" + rows, "--at=7s=50x24", "--at=9s=80x10", "--at=12s=^C"}, []string{"status", "--watch", node})
		if s.ExitCode != 130 {
			t.Errorf("exit code %d, want 130", s.ExitCode)
		}
	}
	must(t, w.client.CoreV1().Pods("terminal").Delete(ctx, "report-0", metav1.DeleteOptions{}))
	time.AfterFunc(4*time.Second, release)
	s = w.sits(t, terminal, node+": example.com", []string{"--columns=80", "--rows=24"}, []string{"watch", node})
	if last := &s.Frames[len(s.Frames)-1]; s.ExitCode != 0 || last.count("done, all pods that go are gone") != 1 {
		t.Errorf("exit code %d, want 0, and\n%s", s.ExitCode, last)
	}
}
