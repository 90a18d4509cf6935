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
