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

package controlplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// playRole runs this test binary in a role, and returns it and the process IDs that it prints when it is set up.
func playRole(t *testing.T, role, dir string) (*exec.Cmd, []int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, word := range strings.Fields(line) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("the role %s printed %q", role, line)
		}
		pids = append(pids, pid)
	}
	return cmd, pids
}

// awaitNothing waits until the processes and the directory are gone.
func awaitNothing(t *testing.T, dir string, pids []int) {
	t.Helper()
	eventually(t, "nothing to be left", func(context.Context) error {
		for _, pid := range pids {
			if exists(pid) && hasState(pid, "Z") != nil { // whether a dead orphan is waited for is up to the system
				return fmt.Errorf("process %d is left", pid)
			}
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is left (%w)", dir, err)
		}
		return nil
	})
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	parent, pids := playRole(t, "parent", dir)
	for _, pid := range pids {
		if !exists(pid) {
			t.Fatalf("process %d is gone too early", pid)
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitNothing(t, dir, pids)
}

func TestSignalsStopTheControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if _, err := Binaries(t.Context(), testWriter{t}, Etcd, APIServer); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		role string
		sig  syscall.Signal
	}{
		"interrupt": {"owner", syscall.SIGINT}, "terminate": {"owner", syscall.SIGTERM},
		"interrupt a start": {"starter", syscall.SIGINT},
	} {
		t.Run(name, func(t *testing.T) { testSignal(t, test.role, test.sig) })
	}
}

func testSignal(t *testing.T, role string, sig syscall.Signal) {
	parent := t.TempDir()
	owner, pids := playRole(t, role, parent)
	eventually(t, "etcd to be started", func(context.Context) error {
		logs, err := filepath.Glob(filepath.Join(parent, "*", "etcd.log"))
		if err == nil && len(logs) == 0 {
			err = errors.New("it has no log")
		}
		return err
	})
	if err := owner.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := owner.Wait(); !errors.As(err, &exit) {
		t.Fatalf("it ended with %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != sig {
		t.Errorf("it ended with %v, want %v", exit, sig)
	}
	for _, pid := range pids {
		if exists(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
}
