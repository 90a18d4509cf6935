package main

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

	"github.com/taint-manager/taint-manager/e2e/record"
)

const (
	testPackage = "github.com/taint-manager/taint-manager/e2e"
	// testTimeout is for the rows against one controller, and for building the control plane where that has not been done.
	testTimeout = "40m"
	// stopGrace is how long a test binary has to end its control plane after an interrupt.
	stopGrace = 30 * time.Second
)

// event is a line of go test -json.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// runTests runs the tests against a controller. That some of them fail is no error: it is in the results.
func runTests(ctx context.Context, controller record.Controller, tests, results string, progress io.Writer) error {
	fmt.Fprintf(progress, "%s: running the tests\n", controller)
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-json", "-timeout="+testTimeout, "-run="+tests, testPackage)
	cmd.Env = append(os.Environ(), record.Variable+"="+results, "E2E_CONTROLLER="+map[record.Controller]string{
		record.Builtin: "builtin",
	}[controller])
	// The go command does not hand on signals to the test binary, which has a control plane to end: both get them from us,
	// and none from the terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopGrace
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go test: %w", err)
	}
	ran := follow(output, controller, progress)
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.As(err, &exit), ran == 0:
		return fmt.Errorf("go test: no test ran: %w\n%s", err, complaints.String())
	}
	return nil
}

// follow tells which tests have ended, with what those that failed on our side had to say, and returns how many there were.
func follow(output io.Reader, controller record.Controller, progress io.Writer) (ran int) {
	said := map[string]*strings.Builder{}
	for lines := json.NewDecoder(output); ; {
		var e event
		if err := lines.Decode(&e); err != nil {
			_, _ = io.Copy(io.Discard, output) // or go would wait for us
			return ran
		}
		if said[e.Test] == nil {
			said[e.Test] = &strings.Builder{}
		}
		said[e.Test].WriteString(e.Output)
		switch {
		case e.Test == "" && e.Action == "output" && strings.HasPrefix(e.Output, "control plane: building"),
			e.Action == "build-output":
			fmt.Fprint(progress, e.Output)
		case e.Test == "" || e.Action != "pass" && e.Action != "fail":
		default:
			ran++
			fmt.Fprintf(progress, "%s: %s: %s after %.1f s\n", controller, e.Test, e.Action, e.Elapsed)
			if e.Action == "fail" && controller == record.Ours {
				fmt.Fprint(progress, said[e.Test].String())
			}
		}
	}
}
