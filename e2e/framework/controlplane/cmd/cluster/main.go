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

// Command cluster runs a Kubernetes control plane on the loopback interface until it is interrupted: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler and kwok, which plays the nodes. Nothing remains of it
// afterwards.
//
// It prints how to reach the cluster on standard output, and everything else on standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

type settings struct {
	nodes     int
	buildOnly bool
	e2eTest   bool
	options   controlplane.Options
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for what the first one began
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func parse(arguments []string) (settings, error) {
	s := settings{options: controlplane.Options{Progress: os.Stderr, LeaveSignals: true}}
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.IntVar(&s.nodes, "nodes", 0, "how many `nodes` to create")
	flags.StringVar(&s.options.Controllers, "controllers", controlplane.DefaultControllers,
		"`list` of controllers for kube-controller-manager; '*' alone has the built-in taint-eviction-controller, too")
	flags.IntVar(&s.options.NodeLeaseSeconds, "node-lease-seconds", 40,
		"`seconds` that a node's lease lasts; it is renewed after a quarter of that")
	flags.BoolVar(&s.options.KeepDir, "keep", false, "keep logs and data")
	flags.BoolVar(&s.buildOnly, "build-only", false, "build the programs into the cache and exit")
	flags.BoolVar(&s.e2eTest, "e2e-test", false, "with --build-only: upstream's e2e test binary, too; prints its path")
	if err := flags.Parse(arguments); err != nil {
		return settings{}, err
	}
	if flags.NArg() > 0 {
		return settings{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, nil
}

func run(ctx context.Context, arguments []string) error {
	s, err := parse(arguments)
	if err != nil {
		return err
	}
	if s.buildOnly {
		return build(ctx, s)
	}
	cp, err := controlplane.Start(ctx, s.options)
	if err != nil {
		return err
	}
	err = serve(ctx, cp, s.nodes)
	fmt.Fprintln(os.Stderr, "cluster: stopping")
	return errors.Join(err, cp.Stop())
}

func build(ctx context.Context, s settings) error {
	_, err := controlplane.Binaries(ctx, s.options.Progress, controlplane.AllParts()...)
	if err != nil || !s.e2eTest {
		return err
	}
	paths, err := controlplane.Binaries(ctx, s.options.Progress, controlplane.E2ETest)
	if err != nil {
		return err
	}
	fmt.Println(paths[controlplane.E2ETest])
	return nil
}

// serve creates the nodes, says how to reach the cluster, and waits.
func serve(ctx context.Context, cp *controlplane.ControlPlane, nodes int) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	if err := controlplane.CreateReadyNodes(ctx, client, nodes); err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", cp.AdminKubeconfig())
	fmt.Fprintf(os.Stderr, "cluster: %d nodes are ready, logs are in %s; Ctrl-C stops and removes everything\n",
		nodes, cp.Dir())
	<-ctx.Done()
	return cp.Crashed()
}
