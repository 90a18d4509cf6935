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

package monitoring

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
)

// The programs of the module tools.
const (
	prometheusProgram     = "github.com/prometheus/prometheus/cmd/prometheus"
	promtoolProgram       = "github.com/prometheus/prometheus/cmd/promtool"
	checkDashboardProgram = "github.com/taint-manager/taint-manager/e2e/monitoring/tools/checkdashboard"
)

// buildFlags leave out all that Prometheus discovers targets by, but for files, and its user interface, which the module does not have.
func buildFlags() []string {
	return []string{"-buildvcs=false", "-tags=remove_all_sd", "-ldflags=-s -w"}
}

// tool returns the path of a program of the module tools. It is built if it has not been for these versions of the module and of Go, and kept in
// the user's cache directory.
func tool(t *testing.T, program string) string {
	t.Helper()
	caches, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(caches, "taint-manager", "monitoring", toolsKey(t))
	file := filepath.Join(directory, path.Base(program))
	if _, err := os.Stat(file); err == nil && program != checkDashboardProgram { // which is quick, and our own
		return file
	}
	if err := os.MkdirAll(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "building %s (the first time takes minutes)\n", path.Base(program))
	unfinished := fmt.Sprintf("%s.%d", file, os.Getpid())
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-C", "tools", "-o", unfinished}, buildFlags()...), program)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", program, err, output)
	}
	if err := os.Rename(unfinished, file); err != nil { // complete, whoever else has built it at the same time
		t.Fatal(err)
	}
	return file
}

// TestPrograms builds the programs. make test-e2e runs it before all others, which may be about times.
func TestPrograms(t *testing.T) {
	for _, program := range []string{prometheusProgram, promtoolProgram} {
		tool(t, program)
	}
}

// toolsKey is the same as long as a build would give the same programs.
func toolsKey(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	for _, name := range []string{"tools/go.mod", "tools/go.sum"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(data)
	}
	version, err := exec.CommandContext(t.Context(), "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(sum, string(version), buildFlags())
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// run runs a program of the module tools, and fails the test with what it says if it fails.
func run(t *testing.T, program string, arguments ...string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), tool(t, program), arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", path.Base(program), arguments, err, output)
	}
}
