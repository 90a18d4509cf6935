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
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

const (
	// raceReport is how the race detector's reports begin.
	raceReport = "WARNING: DATA RACE"
	// logLines is how much of a controller's log a failed test shows.
	logLines = 40
)

// racyLogging is the beginning of the reports that are about client-go's own log of a request's times, at --v=9 and above: where
// the request takes a connection that another one has opened, its own handshake writes the time that is being logged.
var racyLogging = regexp.MustCompile(`^\n.*\n\s*k8s\.io/client-go/transport\.\(\*debuggingRoundTripper\)\.RoundTrip`)

// Options say how to run a controller.
type Options struct {
	// Name tells controllers that run at the same time apart.
	Name string
	// LeaderElect makes it stand for election.
	LeaderElect bool
	// Proxy, if not nil, is what it reaches the API server through.
	Proxy *Proxy
	// Relay, if not nil, is what its connections to the API server go through.
	Relay *Relay
	// BuiltinArgs are for the built-in controller only, and so is BuiltinAlone: it runs without the other controller that
	// indexes pods by node.
	BuiltinArgs  []string
	BuiltinAlone bool

	// What follows is for ours only.

	// Args are added to the arguments, and Env to the environment.
	Args, Env []string
	// Binary is the path of the one to run in place of the suite's.
	Binary string

	// Kubeconfig is the one to use in place of that of an account with a deployment's permissions.
	Kubeconfig string
	// Bare runs it without serving, so nobody can ask whether it is ready.
	Bare bool
	// Unready returns from the start before it is ready.
	Unready bool
}

// Controller is a controller under test, as a process.
type Controller struct {
	*controlplane.Process
}

// Start starts a controller, and ends it with the test. If that fails, it logs the end of the controller's log.
func (s *Scene) Start(o Options) *Controller {
	s.T.Helper()
	c, err := s.suite.run(s.T.Context(), s.cluster, o)
	if err != nil {
		s.T.Fatalf("starting the controller: %v", err)
	}
	s.T.Cleanup(func() {
		if err := c.end(); err != nil {
			s.T.Error(err)
		}
		c.report(s.T, "")
	})
	if s.Controller == nil {
		s.Controller = c
	}
	return c
}

// run starts the controller that the suite is about.
func (s *Suite) run(ctx context.Context, c *cluster, o Options) (*Controller, error) {
	run := c.runOurs
	if s.controller == results.Builtin {
		run = c.runBuiltin
	}
	process, err := run(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Controller{process}, nil
}

func (c *cluster) runBuiltin(ctx context.Context, o Options) (*controlplane.Process, error) {
	args := o.BuiltinArgs
	if o.LeaderElect {
		args = append(args, "--leader-elect=true")
	}
	if o.Proxy != nil {
		args = append(args, "--master="+o.Proxy.URL)
	}
	name := "builtin-" + o.Name
	process, err := c.cp.StartBuiltin(ctx, controlplane.BuiltinOptions{Name: name, ExtraArgs: args})
	if err != nil || !o.BuiltinAlone {
		return process, err
	}
	// The list of controllers only ever grows by further flags, so it is started once more.
	if err := process.Stop(); err != nil {
		return nil, err
	}
	args = slices.DeleteFunc(process.Args(), func(arg string) bool { return strings.HasPrefix(arg, "--controllers=") })
	return c.cp.Run(ctx, controlplane.Spec{
		Name: name + "-alone", Path: c.cp.Binary(controlplane.ControllerManager), URL: process.URL(),
		Args: append(args, "--controllers=taint-eviction-controller"),
	})
}

func (c *cluster) runOurs(ctx context.Context, o Options) (*controlplane.Process, error) {
	kubeconfig, server := o.Kubeconfig, ""
	switch {
	case o.Proxy != nil:
		server = o.Proxy.URL
	case o.Relay != nil:
		server = o.Relay.URL
	}
	if server != "" {
		direct, err := launcher.Account(ctx, c.cp, "taint-manager", launcher.Rules())
		if err != nil {
			return nil, err
		}
		if kubeconfig, err = controlplane.RedirectKubeconfig(direct, server, filepath.Join(c.cp.Dir(), "kubeconfig-of-"+o.Name)); err != nil {
			return nil, err
		}
	}
	return launcher.Start(ctx, c.cp, launcher.Options{
		Name: "taint-manager-" + o.Name, Binary: cmp.Or(o.Binary, c.binary), Kubeconfig: kubeconfig, Bare: o.Bare, Unready: o.Unready,
		Args: append([]string{fmt.Sprintf("--leader-elect=%t", o.LeaderElect), "--v=4"}, o.Args...),
		// By default a binary built with -race waits a second at its end: a second for each restart.
		Env: append([]string{"GORACE=atexit_sleep_ms=50"}, o.Env...),
	})
}

// end stops the process, unless it has ended by itself, and looks for what the race detector had to say.
func (c *Controller) end() error {
	if err := errors.Join(c.Crashed(), c.Stop()); err != nil {
		return err
	}
	log, err := c.Log()
	if err != nil {
		return err
	}
	if report := race(log); report != "" {
		return fmt.Errorf("%s has a data race:%.3000s", c.Name(), report)
	}
	return nil
}

// race returns the first report of the race detector in a log that is about more than client-go's logging, or "".
func race(log string) string {
	reports := strings.Split(log, raceReport)[1:]
	if i := slices.IndexFunc(reports, func(r string) bool { return !racyLogging.MatchString(r) }); i >= 0 {
		return reports[i]
	}
	return ""
}

// Log is everything that the process has written.
func (c *Controller) Log() (string, error) {
	data, err := os.ReadFile(c.LogPath())
	if err != nil {
		return "", fmt.Errorf("log of %s: %w", c.Name(), err)
	}
	return string(data), nil
}

// report shows the end of the log if the test failed, of the lines that are about something if that is given.
func (c *Controller) report(t testing.TB, about string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	log, err := c.Log()
	if err != nil {
		t.Log(err)
		return
	}
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, about) && !strings.Contains(line, "controller is disabled") {
			lines = append(lines, line)
		}
	}
	t.Logf("the end of the log of %s:\n%s", c.Name(), strings.Join(lines[max(0, len(lines)-logLines):], ""))
}
