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

package harness

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Binary is the path of our binary.
func (s *Suite) Binary(t testing.TB) string {
	t.Helper()
	return s.get(t).binary
}

// Command runs our binary with these arguments until it ends by itself, and returns what it wrote and its exit code.
func (s *Suite) Command(t testing.TB, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.get(t).binary, args...)
	cmd.WaitDelay = time.Second
	data, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, "Data race detection enabled") { // of a binary built with -race
			lines.WriteString(line)
		}
	}
	return lines.String(), cmd.ProcessState.ExitCode()
}
