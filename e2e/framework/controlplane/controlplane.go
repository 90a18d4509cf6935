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
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// DefaultControllers is the list of controllers of a cluster as kubeadm makes it, without the built-in one whose place
// taint-manager takes.
const DefaultControllers = "*,bootstrap-signer-controller,token-cleaner-controller,-taint-eviction-controller"

// KeepVariable names the environment variable that keeps the directory with all logs and data, as Options.KeepDir.
const KeepVariable = "CONTROLPLANE_KEEP"

// Options says what to start. The zero value starts everything.
type Options struct {
	// Parts are the programs to run. Etcd and APIServer always do. Default: all.
	Parts []Program
	// ExtraArgs are added to the arguments of a part; for all of them the later of two equal flags wins.
	ExtraArgs map[Program][]string
	// Controllers is the controller manager's list. Default: DefaultControllers.
	Controllers string
	// NodeLeaseSeconds is how long the lease of a kwok node lasts; kwok renews it after a quarter of that. A kwok that
	// was restarted takes a node up when the lease of its former self has expired. Default: 40, as the kubelet's.
	NodeLeaseSeconds int
	// Dir is where the directory with all files is made. Default: the system's directory for temporary files.
	Dir string
	// KeepDir leaves that directory where it is after Stop.
	KeepDir bool
	// Progress receives a line for each step that takes time. Default: nobody.
	Progress io.Writer
	// LeaveSignals leaves SIGINT and SIGTERM to the caller, who has to call Stop then. Otherwise they stop the control
	// plane, and then do to this process what they would have done.
	LeaveSignals bool
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	options  Options
	dir      string
	binaries map[Program]string
	pki      *pki
	admin    *rest.Config
	plain    *http.Client // for health checks
	secure   *http.Client // for health checks, as the administrator
	sweeper  *sweeper
	cancel   context.CancelFunc // ends the handling of signals

	started chan struct{} // closed when the start is over, well or not

	parts map[Program]*Process // fixed when Start returns

	mu      sync.Mutex
	others  []*Process // in the order of their start
	stopped bool

	stopOnce sync.Once
	stopErr  error
}

// Start builds what is missing, and starts a control plane. ctx bounds the start, not the life of what it starts.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	options = options.withDefaults()
	binaries, err := Binaries(ctx, options.Progress, options.Parts...)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(options.Dir)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{
		options: options, dir: dir, binaries: binaries,
		plain:   &http.Client{Timeout: healthTimeout},
		cancel:  func() {},
		started: make(chan struct{}),
		parts:   make(map[Program]*Process),
	}
	if !options.KeepDir {
		if cp.sweeper, err = newSweeper(dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var handled <-chan struct{}
	if !options.LeaveSignals {
		handled = cp.handleSignals(cancel)
	}
	err = cp.start(ctx)
	close(cp.started)
	if err == nil {
		return cp, nil
	}
	err = errors.Join(err, cp.Stop())
	if handled != nil {
		<-handled // if a signal was why, it ends this process, before anybody can take the error for a failed test
	}
	return nil, err
}

func makeDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "taint-manager-controlplane-")
	if err != nil {
		return "", fmt.Errorf("directory of the control plane: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("directory of the control plane: %w", err)
	}
	return dir, nil
}

func (o Options) withDefaults() Options {
	if len(o.Parts) == 0 {
		o.Parts = AllParts()
	}
	for _, needed := range []Program{APIServer, Etcd} {
		if !slices.Contains(o.Parts, needed) {
			o.Parts = append([]Program{needed}, o.Parts...)
		}
	}
	o.ExtraArgs = maps.Clone(o.ExtraArgs)
	if o.Controllers == "" {
		o.Controllers = DefaultControllers
	}
	if o.NodeLeaseSeconds == 0 {
		o.NodeLeaseSeconds = 40
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if os.Getenv(KeepVariable) != "" {
		o.KeepDir = true
	}
	return o
}

func (cp *ControlPlane) start(ctx context.Context) error {
	began := time.Now()
	var err error
	if cp.pki, err = newPKI(filepath.Join(cp.dir, "pki"), identities()...); err != nil {
		return err
	}
	if cp.secure, err = cp.pki.httpClient(adminID); err != nil {
		return err
	}
	var rest []part
	for _, part := range allParts() {
		switch {
		case !slices.Contains(cp.options.Parts, part.program):
		case part.program == Etcd, part.program == APIServer:
			process, err := cp.startPart(ctx, part)
			if err != nil {
				return err
			}
			cp.parts[part.program] = process
		default:
			rest = append(rest, part)
		}
	}
	if err := cp.writeKubeconfigs(); err != nil {
		return err
	}
	if err := cp.startTogether(ctx, rest); err != nil {
		return err
	}
	if err := cp.awaitBasics(ctx); err != nil {
		return err
	}
	cp.say("ready after %s", time.Since(began).Round(10*time.Millisecond))
	return nil
}

// say reports progress, in one write for each line: parts start at the same time.
func (cp *ControlPlane) say(format string, args ...any) {
	fmt.Fprintf(cp.options.Progress, "control plane: "+format+"\n", args...)
}

// startTogether starts parts that do not need each other at the same time.
func (cp *ControlPlane) startTogether(ctx context.Context, parts []part) error {
	processes := make([]*Process, len(parts))
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { processes[i], errs[i] = cp.startPart(ctx, part) })
	}
	wg.Wait()
	for i, part := range parts {
		if processes[i] != nil {
			cp.parts[part.program] = processes[i]
		}
	}
	return errors.Join(errs...)
}

// Part is the process of a program, or nil if it was not asked for.
func (cp *ControlPlane) Part(program Program) *Process { return cp.parts[program] }

// Dir is the directory of this control plane's files. Whatever is put there is removed with the rest.
func (cp *ControlPlane) Dir() string { return cp.dir }

// Binary is the path of a program that Start has found or built.
func (cp *ControlPlane) Binary(program Program) string { return cp.binaries[program] }

// Run starts a process that Stop ends, before the parts of the control plane. Without a LogPath in the Spec its log
// is NAME.log in Dir.
func (cp *ControlPlane) Run(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Name == "" {
		spec.Name = filepath.Base(spec.Path)
	}
	if spec.LogPath == "" {
		spec.LogPath = filepath.Join(cp.dir, spec.Name+".log")
	}
	process, err := StartProcess(ctx, spec)
	if err != nil {
		return nil, err
	}
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.stopped {
		return nil, errors.Join(errors.New("the control plane has been stopped"), process.Kill())
	}
	cp.others = append(cp.others, process)
	return process, nil
}

// Crashed returns an error for each process that ended without having been told to.
func (cp *ControlPlane) Crashed() error {
	var errs []error
	for _, process := range cp.processes() {
		errs = append(errs, process.Crashed())
	}
	return errors.Join(errs...)
}

// processes are all in the order in which they stop.
func (cp *ControlPlane) processes() []*Process {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	all := slices.Clone(cp.others)
	slices.Reverse(all)
	parts := allParts()
	slices.Reverse(parts)
	for _, part := range parts {
		if process := cp.parts[part.program]; process != nil {
			all = append(all, process)
		}
	}
	return all
}
