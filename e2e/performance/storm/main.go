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

// Command storm measures evictions of taint-manager side by side with the built-in controller, and with a client that makes
// the same calls, watches nothing and decides nothing. It prints tables in Markdown, and writes all figures as JSON. Progress goes to
// standard error.
//
// The control plane is etcd and kube-apiserver of e2e/framework/controlplane, filled with nodes and pods. There are no kubelets: a pod
// that is evicted stays, terminating. The contenders run in turn, each with the permissions that it needs, as a service
// account of kube-system, and each on pods of its own.
//
//   - A storm taints all nodes at the same moment. Times count from the answer to the first of these writes, and a pod counts
//     as evicted when a watch of this command's shows that it has a deletion timestamp.
//   - While a storm goes on, other nodes with one pod each are tainted, one after another, to see whether these pods wait for those of
//     the storm. They count for nothing else.
//   - Rates are compared with the mean of the bare client's before and after: machines and API servers change with time.
//   - Calls are counted in the API server's audit log.
//   - Start to working is from the start of a process until it has evicted a pod that was due before.
//   - A mechanism is compared with plain ones by a binary that is built without it: see package variants. They take turns, because machines
//     and API servers change with time, and means are printed.
//   - In mode Evict the pods are covered by disruption budgets, whose status the disruption controller of kube-controller-manager keeps, in a
//     process of its own. In one part the budgets allow everything, and the bare client makes the same calls: GET of the pod and POST of its
//     eviction. In another each budget allows one pod to go at a time; this command replaces pods that go, and counts by a watch of all
//     pods how many of each budget are ready.
//   - What the eviction brake costs, which counts all nodes and holds none, is compared with storms without it, in turns.
//   - Live heap is what the process says on /metrics (go_gc_heap_live_bytes) after a garbage collection in rest.
//
// The exit status is 0 if all was measured, whatever came of it, 1 if not, and 2 after wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

func main() { figures.Main("storm", run) }

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 2 && args[0] == bareCommand {
		return runBare(ctx, args[1], os.Stdin)
	}
	switch o, err := parse(args, progress); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", figures.ErrUsage, err)
	default:
		return tell(ctx, o, out, progress)
	}
}

// tell measures, and tells what was measured also where the rest failed: it took long.
func tell(ctx context.Context, o *options, out, progress io.Writer) error {
	r := &report{}
	err := measure(ctx, o, r, progress)
	if len(r.Storms)+len(r.Sizes)+len(r.Mechanisms)+len(r.EvictStorms)+len(r.BrakeStorms) == 0 && r.Budgets == nil {
		return err
	}
	r.Goals = goals(r)
	_, failure := io.WriteString(out, r.markdown())
	return errors.Join(err, failure, figures.WriteJSON(o.jsonFile, r), writeSVG(o.svgFile, r))
}

// measure fills the report, on a control plane that is there for as long as this takes.
func measure(ctx context.Context, o *options, r *report, progress io.Writer) (err error) {
	b, err := start(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if r.Machine, err = b.machine(ctx); err != nil {
		return err
	}
	err = b.measure(ctx, r)
	r.Machine.PodBytes = b.podBytes
	return err
}
