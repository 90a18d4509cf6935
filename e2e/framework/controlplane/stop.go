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
	"os/signal"
	"syscall"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// Stop ends all processes, those of Run first, and removes all files. It may be called again, and while another call
// is under way: it returns when everything is gone.
func (cp *ControlPlane) Stop() error {
	cp.stopOnce.Do(func() { cp.stopErr = cp.stop() })
	return cp.stopErr
}

func (cp *ControlPlane) stop() error {
	cp.cancel()
	cp.mu.Lock()
	cp.stopped = true
	cp.mu.Unlock()
	// Servers that shut down wait for connections that are open. A client's own method of that name does not reach through
	// the transports that client-go wraps.
	utilnet.CloseIdleConnectionsFor(cp.plain.Transport)
	if cp.secure != nil {
		utilnet.CloseIdleConnectionsFor(cp.secure.Transport)
	}
	var errs []error
	for _, process := range cp.processes() {
		errs = append(errs, process.Stop())
	}
	if cp.options.KeepDir {
		cp.say("logs and data stay in %s", cp.dir)
		return errors.Join(errs...)
	}
	errs = append(errs, os.RemoveAll(cp.dir), cp.sweeper.dismiss())
	return errors.Join(errs...)
}

// handleSignals stops the control plane on SIGINT and SIGTERM, a start that is under way included, and hands the
// signal on. What it returns is closed when nothing of that is left to do.
func (cp *ControlPlane) handleSignals(cancelStart context.CancelFunc) (done <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	cp.cancel = cancel
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer signal.Stop(signals)
		select {
		case <-ctx.Done():
		case sig := <-signals:
			cp.say("%v, stopping", sig)
			cancelStart()
			<-cp.started
			if err := cp.Stop(); err != nil {
				fmt.Fprintf(os.Stderr, "stopping the control plane: %v\n", err)
			}
			passOn(signals, sig)
		}
	}()
	return finished
}

// passOn lets a signal do to this process what it would have done without our handler: end it, or reach the
// handlers of others. It returns when that has had time to happen.
func passOn(signals chan os.Signal, sig os.Signal) {
	signal.Stop(signals)
	number, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if err := syscall.Kill(os.Getpid(), number); err != nil {
		fmt.Fprintf(os.Stderr, "passing on %v: %v\n", sig, err)
		return
	}
	time.Sleep(time.Second)
}
