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

// Package gotest runs the black-box tests with the go command, for programs that make a table of what they saw.
package gotest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	testPackage = "github.com/taint-manager/taint-manager/e2e"
	// testTimeout is for the tests of one run, and for building the control plane where that has not been done.
	testTimeout = "40m"
	// stopGrace is how long a test binary has to end its control plane after an interrupt.
	stopGrace = 30 * time.Second
)

// Outcome is how a test ended, in the words of the go command.
type Outcome string

// The outcomes of a test.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Test is a test that has ended, or a subtest.
type Test struct {
	Name    string
	Outcome Outcome
	Elapsed time.Duration
	// Output is what it wrote, without what its subtests wrote.
	Output string
}

// Subtest reports whether the test is part of another one.
func (t Test) Subtest() bool { return strings.Contains(t.Name, "/") }

// Options say what to run.
type Options struct {
	// Tests is the regular expression that chooses the tests.
	Tests string
	// Env is added to the environment.
	Env []string
	// Progress receives what the compiler complains about, and that the control plane is being built.
	Progress io.Writer
	// Ended, if not nil, is called as each test ends.
	Ended func(Test)
}

// Result is what a run gave.
type Result struct {
	Tests []Test
	// Failed says that the run as a whole has failed: a test has, or what comes after the tests.
	Failed bool
	// Output is what was written outside of all tests.
	Output string
}

// List returns the names of the tests that the expression chooses.
func List(ctx context.Context, tests string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-list="+tests, testPackage).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("listing the tests: %w\n%s", err, out)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Test") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no test matches %q", tests)
	}
	return names, nil
}

// Run runs the tests. That some of them fail is no error: it is in the result.
func Run(ctx context.Context, o Options) (*Result, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-json", "-timeout="+testTimeout, "-run="+o.Tests, testPackage)
	cmd.Env = append(os.Environ(), o.Env...)
	// The go command does not hand on signals to the test binary, which has a control plane to end: both get them from us,
	// and none from the terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopGrace
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting go test: %w", err)
	}
	result := follow(output, o)
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.As(err, &exit):
		return nil, fmt.Errorf("go test: %w\n%s", err, complaints.String())
	case len(result.Tests) == 0:
		return nil, errors.Join(fmt.Errorf("go test: no test ran\n%s%s", complaints.String(), result.Output), err)
	}
	result.Failed = err != nil
	return result, nil
}

// event is a line of go test -json.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// follow reads what go test -json writes.
func follow(output io.Reader, o Options) *Result {
	result := &Result{}
	said := map[string]*strings.Builder{}
	for lines := json.NewDecoder(output); ; {
		var e event
		if err := lines.Decode(&e); err != nil {
			_, _ = io.Copy(io.Discard, output) // or go would wait for us
			if whole := said[""]; whole != nil {
				result.Output = whole.String()
			}
			return result
		}
		if said[e.Test] == nil {
			said[e.Test] = &strings.Builder{}
		}
		said[e.Test].WriteString(e.Output)
		switch outcome := Outcome(e.Action); {
		case e.Test == "" && e.Action == "output" && strings.HasPrefix(e.Output, "control plane: building"),
			e.Action == "build-output":
			fmt.Fprint(o.Progress, e.Output)
		case e.Test == "" || outcome != Pass && outcome != Fail && outcome != Skip:
		default:
			test := Test{
				Name: e.Test, Outcome: outcome, Output: said[e.Test].String(),
				Elapsed: time.Duration(e.Elapsed * float64(time.Second)),
			}
			result.Tests = append(result.Tests, test)
			if o.Ended != nil {
				o.Ended(test)
			}
		}
	}
}
