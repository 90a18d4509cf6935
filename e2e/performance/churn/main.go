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

// Command churn measures what updates cost that change nothing that the rules read: 1,000 status updates of nodes and 5,000 of
// pods in a second, which is what a large cluster makes, for our binary and for kube-controller-manager's taint-eviction-controller;
// and beside them for one of ours that decodes whole objects, as client-go's informers do, before a transform distils them.
//
// An API server on a machine like this cannot make so many. So a proxy stands between a real one and the controllers. It passes
// on everything, and puts the updates into the watches of nodes and pods, one event in each write, as an API server does.
//
// It prints a table in Markdown; progress goes to standard error. The exit status is 0, 1 on a failure, or 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

func main() { figures.Main("churn", run) }

// options are the flags.
type options struct {
	nodes, pods             int
	nodeUpdates, podUpdates int
	duration                time.Duration
	json                    string
}

func parse(args []string, progress io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("churn", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&o.nodes, "nodes", 200, "how many nodes there are")
	flags.IntVar(&o.pods, "pods", 5000, "how many pods there are")
	flags.IntVar(&o.nodeUpdates, "node-updates", 1000, "updates of nodes per second")
	flags.IntVar(&o.podUpdates, "pod-updates", 5000, "updates of pods per second")
	flags.DurationVar(&o.duration, "duration", 20*time.Second, "how long to measure without updates, and then with them")
	flags.StringVar(&o.json, "json", filepath.Join("bin", "churn.json"), "write the results to this `file`, too")
	if err := figures.Parse(flags, args); err != nil {
		return o, err
	}
	if o.nodes < 1 || o.pods < 1 || o.nodeUpdates < 1 || o.podUpdates < 1 || o.duration < time.Second {
		return o, fmt.Errorf("%w: numbers must be 1 or more, and --duration 1s or more", figures.ErrUsage)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	cp, err := controlplane.Start(ctx, controlplane.Options{
		Parts: []controlplane.Program{controlplane.Etcd, controlplane.APIServer}, Progress: progress, LeaveSignals: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	r, err := measureAll(ctx, cp, o, progress)
	if err != nil {
		return err
	}
	if err := errors.Join(cp.Crashed(), figures.WriteJSON(o.json, r)); err != nil {
		return err
	}
	_, err = io.WriteString(out, r.markdown())
	return err
}

// measureAll fills the control plane, and measures the contenders one after the other.
func measureAll(ctx context.Context, cp *controlplane.ControlPlane, o options, progress io.Writer) (r results, err error) {
	client, err := cp.Client()
	if err != nil {
		return r, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return r, fmt.Errorf("version of the API server: %w", err)
	}
	r = results{Machine: figures.Machine(), Kubernetes: version.GitVersion, Nodes: o.nodes, Pods: o.pods}
	fmt.Fprintf(progress, "churn: making %d nodes and %d pods\n", o.nodes, o.pods)
	if err := fill(ctx, cp, client, o); err != nil {
		return r, err
	}
	proxy, err := startProxy(ctx, cp)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, proxy.server.Stop()) }()
	u, err := newUpdates(ctx, client, proxy, o)
	if err != nil {
		return r, err
	}
	all, err := contenders(ctx, cp, proxy)
	if err != nil {
		return r, err
	}
	for _, c := range all {
		fmt.Fprintf(progress, "churn: measuring %s\n", c.name)
		result, err := measure(ctx, cp, c, u, o)
		if err != nil {
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
		r.add(result)
	}
	return r, nil
}
