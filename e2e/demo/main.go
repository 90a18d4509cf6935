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

// Command demo shows taint-manager at work: it brings up a real control plane on the loopback interface, asks the kubectl
// plugin for a plan, taints nodes, shows which pods leave, when, and which stay after all, and asks the plugin why. Nothing
// remains of it afterwards.
//
// What ought to happen is worked out from what the demo itself did and when, never from what taint-manager says. The last
// line says whether every pod did it, and whether the plugin had said so. The exit status is 0 if so, 1 if not, and 130 after an interruption.
//
// On a terminal there is a table that is redrawn in place, otherwise a line for each change. $TAINT_MANAGER_BINARY names a
// taint-manager to run in place of one that is built here. $NO_COLOR turns colours off.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

const (
	exitFailed      = 1
	exitInterrupted = 130 // what a shell reports of a program that Ctrl-C ended
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for what the first one began
	os.Exit(run(ctx, newScreen(os.Stdout, os.Getenv)))
}

// run plays the demo and returns the exit status.
func run(ctx context.Context, s *screen) int {
	began := time.Now()
	result, err := stage(ctx, s)
	if ctx.Err() != nil {
		s.say(line{{"Interrupted.", bold}})
		return exitInterrupted
	}
	if err != nil {
		s.say(plain("demo: %v", err))
	}
	if result == nil {
		s.say(line{{"FAIL: ", bad}, {"the demo could not be played to its end", normal}})
		return exitFailed
	}
	if err != nil {
		result.add("something else went wrong, see above")
	}
	s.say(plain("That took %.0f s.", time.Since(began).Seconds()))
	s.say(result.line())
	if !result.ok() {
		return exitFailed
	}
	return 0
}

// stage plays the acts on a control plane that is there for as long as they last. The verdict is nil if they did not
// come to their end.
func stage(ctx context.Context, s *screen) (result *verdict, err error) {
	title(s, "Act 1: A cluster, and taint-manager in it", `etcd, kube-apiserver, kube-controller-manager (its own
		taint-eviction-controller is off), kube-scheduler, and kwok for the kubelets: all real but the containers.`)
	cp, err := controlplane.Start(ctx, controlplane.Options{Progress: progress{s}, LeaveSignals: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, cp.Crashed())
		s.leave()
		s.say(line{{"Stopping everything.", dim}})
		if failure := cp.Stop(); failure != nil {
			s.say(line{{"Not everything could be stopped: " + failure.Error(), bad}})
			err = errors.Join(err, failure)
		}
	}()
	controller, err := startController(ctx, s, cp)
	if err != nil {
		return nil, err
	}
	plugin, err := buildPlugin(ctx, s, cp)
	if err != nil {
		return nil, err
	}
	d, err := newDemo(ctx, s, cp, controller, plugin)
	if err != nil {
		return nil, err
	}
	return d.play(ctx)
}

// title begins an act and says what it is about.
func title(s *screen, name string, sentences ...string) {
	s.say(nil)
	s.say(line{{name, bold}})
	for _, sentence := range sentences {
		s.paragraph(0, sentence, normal)
	}
}

// progress passes on what the control plane says of itself, a line for each write.
type progress struct{ screen *screen }

func (p progress) Write(text []byte) (int, error) {
	for each := range strings.Lines(string(text)) {
		each = strings.TrimPrefix(strings.TrimRight(each, "\n"), "control plane: ")
		p.screen.say(line{{"  " + each, dim}})
	}
	return len(text), nil
}
