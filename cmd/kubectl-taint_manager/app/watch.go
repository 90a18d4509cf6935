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

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// exitTimeout is the exit code of watch when --timeout is over.
const exitTimeout = 2

const watchLong = `Watch nodes until they are empty: until the pods that their taints evict no longer exist in the API.

A pod counts as gone when its object is: not when a deletion has been accepted. Pods that do not go are counted, and not waited for: those that
tolerate the taints for ever, such as most of DaemonSets, mirror pods, finished pods, and those that a policy of mode Keep or Preview keeps
without end. What a pause holds, or a policy with expireTime, is waited for. So is a pod that is being deleted, whoever does that.

Shown are how many pods have to go, are terminating and are gone, how fast that is, when all are gone at the latest if that can be known,
and what pods wait for: which disruption budget, policy, finalizer or kubelet. On a terminal that is one picture; elsewhere, and with -o json or
yaml, each change is appended, at most once a second. It works by watches of the pods of these nodes, which begin again when they break.

A node that has pods and no taint that evicts is a failure when no pod that goes is left: nothing makes it empty.

Exit codes: 0 when all pods that go are gone, 2 when the time of --timeout is over, ` + otherExitCodes

const watchExample = `  # Taint a node, and wait until it is empty
  kubectl taint node node-1 example.com/maintenance:NoExecute
  kubectl taint-manager watch node-1

  # In a script: at most ten minutes
  kubectl taint-manager watch node-1 node-2 --timeout 10m`

type watchVerb struct {
	*Common
	nodes         []string
	allNamespaces bool
	timeout       time.Duration
}

func newWatchCommand(common *Common) *cobra.Command {
	o := &watchVerb{Common: common}
	cmd := &cobra.Command{
		Use:               "watch NODE... [--timeout DURATION]",
		Short:             "Watch nodes until they are empty",
		Long:              watchLong,
		Example:           watchExample,
		ValidArgsFunction: common.completeNodes(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Watch pods of all namespaces. It is the default, and comes before -n.")
	flags.DurationVar(&o.timeout, "timeout", 0, "How long to wait, such as 10m. 0 is without end.")
	completeFlags(cmd, map[string]completer{"timeout": cobra.NoFileCompletions})
	return cmd
}

func (o *watchVerb) complete(args []string) (err error) {
	if len(args) == 0 {
		return usagef("name one node or more: kubectl taint-manager watch NODE...")
	}
	if o.timeout < 0 {
		return usagef("--timeout %s: must not be negative", o.timeout)
	}
	if _, err := o.Output.structured(); err != nil {
		return err
	}
	o.nodes, err = nodeNames(args)
	return err
}

func (o *watchVerb) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	reader.Progress = nil // the display is of the nodes
	return o.follow(ctx, reader, o.progressDisplay())
}

// errTimeout is the cause of the end of a watch that took too long.
var errTimeout = errors.New("timeout")

// follow shows progress until all pods that go are gone.
func (o *watchVerb) follow(ctx context.Context, reader *snapshot.Reader, display display) error {
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimeout)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	follower, err := reader.Follow(ctx, o.nodes, o.podNamespace(o.allNamespaces))
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err != nil {
		return o.ended(ctx, nil, display)
	}
	departures := explain.NewDepartures(o.nodes)
	for {
		s, whole := follower.Snapshot(ctx)
		progress := departures.Update(s, whole)
		if err := display.show(progress, follower.Err()); err != nil {
			return err
		}
		if progress.Done {
			return o.finish(progress, display)
		}
		if !next(ctx, follower) {
			return o.ended(ctx, progress, display)
		}
	}
}

const (
	// tick is how often progress is shown if nothing changes: times go on. gather is how long changes are gathered before they are shown.
	tick, gather = time.Second, 200 * time.Millisecond
)

// next waits until there may be something to show. It returns false if the context is done.
func next(ctx context.Context, follower *snapshot.Follower) bool {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-follower.Changed():
	}
	timer.Reset(gather)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// finish ends a watch of nodes that no pod that goes is left on.
func (o *watchVerb) finish(p *explain.Progress, display display) error {
	if err := display.end(p, "done"); err != nil {
		return err
	}
	var errs []error
	for i := range p.Nodes {
		if node := &p.Nodes[i]; node.Exists && len(node.Taints) == 0 && node.Stay.Sum() > 0 {
			errs = append(errs, fmt.Errorf("node %s has no taint that evicts pods, and %d pods that stay", node.Node, node.Stay.Sum()))
		}
	}
	return errors.Join(errs...)
}

// ended ends a watch whose context is done.
func (o *watchVerb) ended(ctx context.Context, p *explain.Progress, display display) error {
	code, why := exitFailure, "interrupted"
	if errors.Is(context.Cause(ctx), errTimeout) {
		code, why = exitTimeout, "timed out after "+o.timeout.String()
	}
	if err := display.end(p, why); err != nil {
		return err
	}
	return exitError(code)
}
