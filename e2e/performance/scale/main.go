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

// Command scale measures how the controller's cost grows: the real controller with its real informers, fed from a watch in the
// same process, because no API server holds so much on one machine. It does so at an eighth, a quarter, a half and the whole of
// the size, each in a new process, and prints a table in Markdown. Progress goes to standard error.
//
// Labels are kept of each pod, because policies may select by them. What they take is measured in two more processes for each size: one with
// policies that select pods, namespaces and nodes by labels, and one whose pods and nodes have no labels.
//
// Decoding is not part of it, and nobody is due, so no pod is evicted. The exit status is 0, 1 on a failure, or 2 for wrong flags.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

// stopGrace is how long a process has to end after an interrupt.
const stopGrace = 10 * time.Second

func main() { figures.Main("scale", run) }

// options are the flags.
type options struct {
	nodes, pods    int
	parts          []int
	json, profiles string
	// child is the part that this process measures; 0 in the one that starts them.
	child int
	// variant is what it measures of that.
	variant variant
}

func parse(args []string, progress io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&o.nodes, "nodes", 65_000, "how many nodes the whole has")
	flags.IntVar(&o.pods, "pods", 1_000_000, "how many pods the whole has")
	parts := flags.String("parts", "8,4,2,1", "which parts of the whole to run, by their `divisors`")
	flags.StringVar(&o.json, "json", filepath.Join("bin", "scale.json"), "write the results to this `file`, too")
	flags.StringVar(&o.profiles, "profiles", "", "write CPU and heap profiles into this `directory`, of each part's steps")
	flags.IntVar(&o.child, "part", 0, "measure this part in this process, and print JSON: how the command calls itself")
	what := flags.String("variant", "", "measure this of the part: how the command calls itself")
	if err := figures.Parse(flags, args); err != nil {
		return o, err
	}
	if o.variant = variant(*what); o.variant != complete && o.variant != selecting && o.variant != unlabelled {
		return o, fmt.Errorf("%w: --variant=%s: give %s, %s or nothing", figures.ErrUsage, o.variant, selecting, unlabelled)
	}
	for text := range strings.SplitSeq(*parts, ",") {
		part, err := strconv.Atoi(text)
		if err != nil || part < 1 {
			return o, fmt.Errorf("%w: --parts=%s: give divisors of 1 or more, as 8,4,2,1", figures.ErrUsage, *parts)
		}
		o.parts = append(o.parts, part)
	}
	for _, part := range append(slices.Clone(o.parts), max(1, o.child)) {
		if nodes := o.nodes / part; nodes < taintedOf || o.pods/part < nodes {
			return o, fmt.Errorf("%w: each part needs %d nodes and as many pods, or more", figures.ErrUsage, taintedOf)
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	if o.child > 0 {
		return child(ctx, o, out, progress)
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o777); err != nil {
			return fmt.Errorf("directory of profiles: %w", err)
		}
	}
	var results []result
	for _, part := range o.parts {
		r, err := measureAll(ctx, append(slices.Clone(args), "--part="+strconv.Itoa(part)), progress)
		if err != nil {
			return fmt.Errorf("%s: %w", fraction(part), err)
		}
		results = append(results, r)
	}
	if err := writeJSON(o.json, machineText(), results); err != nil {
		return err
	}
	_, err = io.WriteString(out, markdown(machineText(), results))
	return err
}

// measureAll measures all of one part.
func measureAll(ctx context.Context, args []string, progress io.Writer) (result, error) {
	r, err := inNewProcess(ctx, args, progress)
	if err != nil {
		return r, err
	}
	for _, other := range []struct {
		what variant
		to   **memory
	}{{selecting, &r.Selecting}, {unlabelled, &r.Unlabelled}} {
		measured, err := inNewProcess(ctx, append(slices.Clone(args), "--variant="+string(other.what)), progress)
		if err != nil {
			return r, fmt.Errorf("%s: %w", other.what, err)
		}
		*other.to = &memory{measured.HeapPerNode, measured.HeapPerPod}
	}
	return r, nil
}

// child measures one part in this process.
func child(ctx context.Context, o options, out, progress io.Writer) error {
	klog.LogToStderr(false) // but for errors
	klog.SetOutput(io.Discard)
	cluster := load.Cluster{Nodes: o.nodes / o.child, Pods: o.pods / o.child, Began: time.Now().Add(-age).Truncate(time.Second)}
	where := profiles{}
	if o.profiles != "" {
		where.prefix = filepath.Join(o.profiles, fmt.Sprintf("%d-%s", o.child, o.variant))
	}
	r, err := measurePart(ctx, cluster, o.variant, where, progress)
	if err != nil {
		return err
	}
	r.Part = o.child
	return json.NewEncoder(out).Encode(r)
}

// inNewProcess measures one part in a process of its own, so that memory is that part's.
func inNewProcess(ctx context.Context, args []string, progress io.Writer) (r result, err error) {
	path, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("starting a process for it: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopGrace
	cmd.Stderr = progress
	output, err := cmd.Output()
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if err != nil {
		return r, fmt.Errorf("its process failed, see above: %w", err)
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return r, fmt.Errorf("its process printed no result: %w", err)
	}
	return r, nil
}

func writeJSON(path, machine string, results []result) error {
	return figures.WriteJSON(path, struct {
		Machine string   `json:"machine"`
		Results []result `json:"results"`
	}{machine, results})
}
