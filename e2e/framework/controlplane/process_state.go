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
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc. The kernel reports them in hundredths of a second on every platform.
const clockTick = 10 * time.Millisecond

// Name is the name that errors about the process carry.
func (p *Process) Name() string { return p.spec.Name }

// LogPath is the file with everything the process wrote, in all its runs.
func (p *Process) LogPath() string { return p.spec.LogPath }

// URL is where the process serves, if its Spec said so.
func (p *Process) URL() string { return p.spec.URL }

// Args are the arguments of the Spec.
func (p *Process) Args() []string { return slices.Clone(p.spec.Args) }

// PID is the process ID of the current or latest run.
func (p *Process) PID() int { return p.current().pid }

// Began is when the current or latest run was started.
func (p *Process) Began() time.Time { return p.current().began }

// Running says whether the process has been started and has not ended; a paused one runs.
func (p *Process) Running() bool { return !p.current().ended() }

// Exited returns a channel that is closed when the current run has ended.
func (p *Process) Exited() <-chan struct{} { return p.current().done }

// Wait waits until the current run ends, and returns how: nil for exit status 0, an *exec.ExitError otherwise.
func (p *Process) Wait(ctx context.Context) error {
	r := p.current()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", p.spec.Name, ctx.Err())
	}
}

// ExitCode is the exit status of the latest run; -1 while it runs or if a signal ended it.
func (p *Process) ExitCode() int {
	r := p.current()
	if !r.ended() {
		return -1
	}
	return r.cmd.ProcessState.ExitCode()
}

// Crashed returns an error, with the end of the log, if the latest run ended without Stop or Kill having been called.
func (p *Process) Crashed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.run.ended() || p.run.wanted {
		return nil
	}
	return p.failure(p.run, endOf(p.run))
}

// RSS is the resident memory of the process in bytes.
func (p *Process) RSS() (uint64, error) { return p.memory("VmRSS:") }

// PeakRSS is the most resident memory that the current run has had, in bytes, since it began or since ResetPeakRSS.
func (p *Process) PeakRSS() (uint64, error) { return p.memory("VmHWM:") }

// ResetPeakRSS makes PeakRSS count from now.
func (p *Process) ResetPeakRSS() error {
	const peak = "5" // see proc_pid_clear_refs(5)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte(peak), 0); err != nil {
		return fmt.Errorf("peak memory of %s: %w", p.spec.Name, err)
	}
	return nil
}

func (p *Process) memory(field string) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.spec.Name, err)
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == field {
			kib, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of %s: %w", p.spec.Name, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of %s: the kernel reports no %s", p.spec.Name, field)
}

// CPUTime is the processor time, user and system, that the current run has used; of a run that has ended, the total.
func (p *Process) CPUTime() (time.Duration, error) {
	r := p.current()
	if r.ended() {
		return r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime(), nil
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.pid))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.spec.Name, err)
	}
	// The second field is the program's name in parentheses, and may hold anything; the state comes right after it.
	rest, found := afterLast(string(data), ")")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("processor time of %s: cannot read %q", p.spec.Name, data)
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(errUser, errSystem); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.spec.Name, err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// afterLast is what follows the last sep in s.
func afterLast(s, sep string) (after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", false
	}
	return s[i+len(sep):], true
}

// endOf describes how a run ended that has.
func endOf(r *run) error {
	if r.err == nil {
		return errors.New("it exited with status 0")
	}
	var exit *exec.ExitError
	if errors.As(r.err, &exit) {
		return fmt.Errorf("it ended: %w", exit)
	}
	return fmt.Errorf("it ended: %w", r.err)
}
