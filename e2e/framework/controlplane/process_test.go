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
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a shell with a script; the process is killed when the test ends.
func shell(t *testing.T, script string, change ...func(*Spec)) (*Process, error) {
	t.Helper()
	spec := Spec{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", script, "sh"},
		LogPath: filepath.Join(t.TempDir(), "log"),
	}
	for _, f := range change {
		f(&spec)
	}
	p, err := StartProcess(t.Context(), spec)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

func mustShell(t *testing.T, script string, change ...func(*Spec)) *Process {
	t.Helper()
	p, err := shell(t, script, change...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// logHas is a ready check: the log contains the text.
func logHas(text string) func(*Spec) {
	return func(s *Spec) {
		s.Ready = func(context.Context) error {
			data, err := os.ReadFile(s.LogPath)
			if err == nil && !strings.Contains(string(data), text) {
				err = fmt.Errorf("the log says %q", data)
			}
			return err
		}
	}
}

func TestStopAsksFirst(t *testing.T) {
	p := mustShell(t, `trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done`, logHas("up"))
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if p.Running() || exists(p.PID()) {
		t.Error("the process runs after Stop")
	}
	if code := p.ExitCode(); code != 7 {
		t.Errorf("exit status %d, want 7", code)
	}
	if log := p.Tail(1); log != "bye" {
		t.Errorf("the log ends in %q", log)
	}
	if err := p.Crashed(); err != nil {
		t.Errorf("a process that was stopped counts as crashed: %v", err)
	}
	if err := errors.Join(p.Stop(), p.Kill(), p.Pause(), p.Resume()); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	p := mustShell(t, `trap '' TERM; echo up; while :; do sleep 0.01; done`, logHas("up"),
		func(s *Spec) { s.StopGrace = 50 * time.Millisecond })
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.Wait(t.Context()); !errors.As(err, &exit) {
		t.Fatalf("Wait gave %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v, want SIGKILL", exit)
	}
}

func TestPauseAndResume(t *testing.T) {
	p := mustShell(t, `while :; do sleep 0.01; done`)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process to be stopped", func(context.Context) error { return hasState(p.PID(), "T") })
	if !p.Running() {
		t.Error("a paused process does not count as running")
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process to continue", func(context.Context) error { return hasState(p.PID(), "RS") })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > defaultStopGrace/2 {
		t.Errorf("stopping a paused process took %s", took)
	}
}

// hasState says whether the process is in one of the states, by their letters in /proc.
func hasState(pid int, states string) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err
	}
	rest, _ := afterLast(string(data), ")")
	if state := strings.TrimSpace(rest)[:1]; !strings.Contains(states, state) {
		return fmt.Errorf("the process is in state %s", state)
	}
	return nil
}

func TestRestartKeepsArguments(t *testing.T) {
	p := mustShell(t, `echo "run $* $EXTRA"; exec sleep 600`,
		func(s *Spec) { s.Args = append(s.Args, "one"); s.Env = []string{"EXTRA=env"} }, logHas("run"))
	first := p.PID()
	if err := p.Start(t.Context()); err == nil {
		t.Error("a process that runs could be started")
	}
	for _, step := range []struct {
		extra []string
		want  string
	}{{nil, "run one env"}, {[]string{"two"}, "run one two env"}, {nil, "run one env"}} {
		if err := p.Restart(t.Context(), step.extra...); err != nil {
			t.Fatal(err)
		}
		eventually(t, step.want, func(context.Context) error {
			if got := p.Tail(5); got != step.want {
				return fmt.Errorf("the log of the run is %q", got)
			}
			return nil
		})
	}
	if p.PID() == first {
		t.Error("it is still the first process")
	}
}

func TestCrashIsNoticed(t *testing.T) {
	p := mustShell(t, `echo first; echo "the reason"; exit 3`)
	<-p.Exited()
	err := p.Crashed()
	var failure *ProcessError
	if !errors.As(err, &failure) || failure.Log != "first\nthe reason" {
		t.Fatalf("Crashed gave %v", err)
	}
	for _, want := range []string{"child", "exit status 3", "the reason", p.LogPath()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestStartFails(t *testing.T) {
	never := func(context.Context) error { return errors.New("no answer") }
	for name, test := range map[string]struct {
		script string
		change func(*Spec)
		want   []string
	}{
		"when the process ends": {
			"echo why; exit 4", func(s *Spec) { s.Ready = never }, []string{"exit status 4", "why"},
		},
		"when it is not ready in time": {
			"echo busy; exec sleep 600",
			func(s *Spec) { s.Ready = never; s.ReadyTimeout = 200 * time.Millisecond },
			[]string{"not ready", "no answer", "busy"},
		},
		"when somebody else answers": {
			"exit 0",
			func(s *Spec) {
				s.Ready = func(ctx context.Context) error {
					<-ctx.Done()
					return nil
				}
				s.ReadyTimeout = 200 * time.Millisecond
			},
			[]string{"status 0"},
		},
		"without a program": {
			"", func(s *Spec) { s.Path = filepath.Join(t.TempDir(), "nothing") }, []string{"no such file"},
		},
		"without a log": {"", func(s *Spec) { s.LogPath = "" }, []string{"log path"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := shell(t, test.script, test.change)
			if err == nil || p != nil {
				t.Fatalf("it started: %v, %v", p, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestUsage(t *testing.T) {
	p := mustShell(t, `while :; do :; done`)
	for name, memory := range map[string]func() (uint64, error){"RSS": p.RSS, "PeakRSS": p.PeakRSS} {
		eventually(t, "memory", func(context.Context) error { // a process that has just begun has little
			bytes, err := memory()
			if err == nil && (bytes < 100<<10 || bytes > 1<<30) {
				err = fmt.Errorf("%s is %d bytes", name, bytes)
			}
			return err
		})
	}
	eventually(t, "processor time", func(context.Context) error {
		used, err := p.CPUTime()
		if err == nil && used < 30*time.Millisecond {
			err = fmt.Errorf("%s used", used)
		}
		return err
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if used, err := p.CPUTime(); err != nil || used < 30*time.Millisecond {
		t.Errorf("after the end: %s used, %v", used, err)
	}
	if _, err := p.RSS(); err == nil {
		t.Error("a process that has ended uses memory")
	}
}
