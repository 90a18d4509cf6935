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
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/taint-manager/taint-manager/pkg/doctor"
)

// asPlugin has the test binary be the plugin: an exit code and a signal need a process.
const asPlugin = "KUBECTL_TAINT_MANAGER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// plugin returns a process of the plugin that asks a server.
func plugin(t *testing.T, server string, args ...string) (process *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\n"+
		"contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", server)
	if err := os.WriteFile(kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	process, stderr = exec.CommandContext(t.Context(), os.Args[0], append(args, "--kubeconfig", kubeconfig)...), &bytes.Buffer{}
	process.Env, process.Stderr = append(os.Environ(), asPlugin+"=1"), stderr
	return process, stderr
}

// verbs are all verbs, with arguments that are right.
func verbs() [][]string {
	return [][]string{
		{"plan", "a", "--taint", "k:NoExecute"}, {"why", "a"}, {"status"}, {"status", "--watch"}, {"watch", "a"}, {"watch", "a", "--timeout", "1h"},
		{"pause", "--taint", "k"}, {"resume"}, {"doctor"},
	}
}

// TestExitCodeOfFailure has nobody listen at the address of the API server.
func TestExitCodeOfFailure(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	for _, args := range verbs() {
		process, stderr := plugin(t, server.URL, args...)
		if err := process.Run(); process.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "connection refused") {
			t.Errorf("%v: %v, %s; want exit code 1", args, err, stderr)
		}
	}
}

func TestExitCodeOfWrongUsage(t *testing.T) {
	for _, args := range verbs() {
		process, stderr := plugin(t, "http://127.0.0.1:1", append(args, "--frob")...)
		if err := process.Run(); process.ProcessState.ExitCode() != 64 || !strings.Contains(stderr.String(), "unknown flag: --frob") {
			t.Errorf("%v: %v, %s; want exit code 64", args, err, stderr)
		}
	}
}

// TestExitCodeOfSignal has a server that does not answer, and ends what waits for it.
func TestExitCodeOfSignal(t *testing.T) {
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	for signal, want := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		for _, args := range verbs() {
			process, stderr := plugin(t, server.URL, args...)
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-asked:
			case <-t.Context().Done():
				t.Fatalf("%v asks nothing", args)
			}
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait() // it is the exit code that counts
			if got := process.ProcessState.ExitCode(); got != want || stderr.Len() > 0 {
				t.Errorf("%v: exit code %d, %s; want %d", args, got, stderr, want)
			}
			for len(asked) > 0 {
				<-asked
			}
		}
	}
}

func TestExitCodeOfError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{{nil, 0}, {errors.New("x"), 1}, {usagef("x"), 64}, {fmt.Errorf("x: %w", usagef("y")), 64}, {exitError(4), 4}} {
		if got := exitCode(t.Context(), test.err, &bytes.Buffer{}); got != test.want {
			t.Errorf("%v: got %d, want %d", test.err, got, test.want)
		}
	}
}

func TestExitCodeOfDoctor(t *testing.T) {
	for worst, want := range map[doctor.Severity]int{doctor.Error: 4, doctor.Warning: 3, doctor.Unknown: 0, doctor.Info: 0, doctor.OK: 0} {
		report := &doctor.Report{Findings: []doctor.Finding{{Severity: doctor.OK}, {Severity: worst}}}
		if got := exitCode(t.Context(), exitFor(report.Worst(), doctor.Warning), &bytes.Buffer{}); got != want {
			t.Errorf("%s: got %d, want %d", worst, got, want)
		}
	}
}

// TestHelpNamesExitCodes says that the help of each verb names its exit codes, and no others.
func TestHelpNamesExitCodes(t *testing.T) {
	own := map[string][]string{"plan": {"3", "4"}, "watch": {"2"}, "doctor": {"3", "4"}}
	for _, cmd := range NewCommand(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		_, codes, found := strings.Cut(cmd.Long, "\n\nExit codes: ")
		if !found {
			t.Errorf("the help of %s says nothing of exit codes", cmd.Name())
		}
		var named []string
		for word := range strings.FieldsSeq(codes) {
			if strings.Trim(word, "0123456789") == "" {
				named = append(named, word)
			}
		}
		if want := slices.Concat([]string{"0"}, own[cmd.Name()], []string{"1", "64", "130", "143"}); !slices.Equal(named, want) {
			t.Errorf("the help of %s names %v, want %v:\n%s", cmd.Name(), named, want, codes)
		}
	}
}
