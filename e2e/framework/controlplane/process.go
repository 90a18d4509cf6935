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
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	defaultStopGrace    = 10 * time.Second
	defaultReadyTimeout = 90 * time.Second
	readyPollInterval   = 25 * time.Millisecond
)

// Spec says what a Process runs. Only Path and LogPath are required.
type Spec struct {
	// Name appears in errors. Default: the base name of Path.
	Name string
	// Path is the program, Args what follows its name.
	Path string
	Args []string
	// Env is added to the environment of this process, and wins over it.
	Env []string
	// Stdin is what the process reads; nothing without it. It is read once, so there is nothing after a restart.
	Stdin io.Reader
	// LogPath is the file that standard output and standard error are appended to.
	LogPath string
	// URL is where the process serves, for those who want to ask it. It is only reported, never called.
	URL string
	// Ready, if set, is polled after each start until it returns nil.
	Ready func(context.Context) error
	// ReadyTimeout bounds that. Default: 90 s.
	ReadyTimeout time.Duration
	// StopGrace is how long Stop waits after SIGTERM before it sends SIGKILL. Default: 10 s.
	StopGrace time.Duration
}

// Process is a child process that can be stopped, killed, paused and started again with the same arguments.
//
// It dies with the process that started it, whatever that one dies of (on Linux), and is in a process group of its
// own: a Ctrl-C in the terminal reaches only the parent, which then stops its children in its own order.
//
// All methods may be called from several goroutines at once.
type Process struct {
	spec Spec

	mu  sync.Mutex
	run *run // the latest; replaced by each start
}

// run is one life of the process, from its start to its end.
type run struct {
	cmd      *exec.Cmd
	pid      int
	began    time.Time
	logStart int64 // size of the log when it began

	done chan struct{}
	err  error // how it ended; to be read after done is closed

	wanted bool // Stop or Kill was called; guarded by Process.mu
}

// StartProcess starts what spec describes and waits until it is ready. ctx bounds the start, not the life of the
// process. After an error nothing is left running.
func StartProcess(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Path == "" || spec.LogPath == "" {
		return nil, errors.New("a process needs a path and a log path")
	}
	if spec.Name == "" {
		spec.Name = filepath.Base(spec.Path)
	}
	if spec.ReadyTimeout == 0 {
		spec.ReadyTimeout = defaultReadyTimeout
	}
	if spec.StopGrace == 0 {
		spec.StopGrace = defaultStopGrace
	}
	spec.Args = slices.Clone(spec.Args)
	p := &Process{spec: spec}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Start starts the process again after it has ended, and waits until it is ready. The extra arguments follow those
// of the Spec, for this run only; for most programs the later of two equal flags wins.
func (p *Process) Start(ctx context.Context, extra ...string) error {
	r, err := p.launch(extra)
	if err != nil {
		return err
	}
	if err := p.awaitReady(ctx, r); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

// Restart is Stop, where the process still runs, and Start.
func (p *Process) Restart(ctx context.Context, extra ...string) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx, extra...)
}

func (p *Process) launch(extra []string) (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil && !p.run.ended() {
		return nil, fmt.Errorf("%s runs already, as process %d", p.spec.Name, p.run.pid)
	}
	log, err := os.OpenFile(p.spec.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", p.spec.Name, err)
	}
	defer log.Close() // the child has its own descriptor
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", p.spec.Name, err)
	}

	cmd := exec.Command(p.spec.Path, slices.Concat(p.spec.Args, extra)...)
	cmd.Env = append(os.Environ(), p.spec.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.spec.Stdin, log, log
	cmd.SysProcAttr = childAttributes()
	r := &run{cmd: cmd, began: time.Now(), logStart: info.Size(), done: make(chan struct{})}

	started := make(chan error)
	go r.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.spec.Name, err)
	}
	r.pid = cmd.Process.Pid
	p.run = r
	return r, nil
}

// live starts the process and waits for its end on one operating system thread that does nothing else. The kernel's
// signal on the death of the parent is really one on the death of the thread that forked, so that thread has to live
// as long as the child. Go ends threads when it likes, but never one that a goroutine is locked to.
func (r *run) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := r.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	r.err = r.cmd.Wait()
	close(r.done)
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (p *Process) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// end marks the current run as one that is meant to end, and returns it.
func (p *Process) end() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.run.ended() {
		p.run.wanted = true
	}
	return p.run
}

// Stop asks the process to end with SIGTERM, and kills it if it has not within the grace period. A paused process is
// resumed, so that it can. Stopping one that has ended does nothing.
func (p *Process) Stop() error {
	r := p.end()
	// The order matters: a stopped process handles the signal that is pending when it continues.
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := p.signal(r, sig); err != nil {
			return err
		}
	}
	grace := time.NewTimer(p.spec.StopGrace)
	defer grace.Stop()
	select {
	case <-r.done:
		return nil
	case <-grace.C:
		return p.Kill()
	}
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() error {
	r := p.end()
	if err := p.signal(r, syscall.SIGKILL); err != nil {
		return err
	}
	<-r.done
	return nil
}

// Pause freezes the process with SIGSTOP: its sockets stay open and nobody answers on them.
func (p *Process) Pause() error { return p.signal(p.current(), syscall.SIGSTOP) }

// Resume lets a paused process continue.
func (p *Process) Resume() error { return p.signal(p.current(), syscall.SIGCONT) }

// Signal sends any signal. To a process that has ended it does nothing, as all the others.
func (p *Process) Signal(sig syscall.Signal) error { return p.signal(p.current(), sig) }

func (p *Process) signal(r *run, sig syscall.Signal) error {
	if err := r.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", sig, p.spec.Name, err)
	}
	return nil
}
