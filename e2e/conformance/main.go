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

// Command conformance runs Kubernetes' own end-to-end cases of the NoExecute taint manager against taint-manager: the test
// binary k8s.io/kubernetes/test/e2e, unchanged, on a control plane whose built-in controller is off. It takes about 12
// minutes, most of them waiting for tolerations to end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// focus is what the names of the cases have in common.
const focus = "NoExecuteTaintManager"

// nodes is how many the cases need: some taint one and expect pods on another.
const nodes = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	pattern := flag.String("focus", focus, "regular `expression` that names of cases match")
	builtin := flag.Bool("builtin", false, "run them against the built-in controller")
	flag.Parse()
	err := run(ctx, *pattern, *builtin)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "conformance: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pattern string, builtin bool) (err error) {
	programs, err := controlplane.Binaries(ctx, os.Stderr, controlplane.E2ETest)
	if err != nil {
		return err
	}
	options := controlplane.Options{Progress: os.Stderr, LeaveSignals: true}
	if builtin {
		options.Controllers = "*"
	}
	cp, err := controlplane.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	if err := prepare(ctx, cp, !builtin); err != nil {
		return err
	}
	test := exec.CommandContext(ctx, programs[controlplane.E2ETest],
		"--provider=skeleton", "--kubeconfig="+cp.AdminKubeconfig(), "--ginkgo.focus="+pattern, "--ginkgo.no-color", "--ginkgo.v")
	test.Dir = cp.Dir()
	test.Stdout, test.Stderr = os.Stdout, os.Stderr
	test.Cancel = func() error { return test.Process.Signal(os.Interrupt) }
	if err := test.Run(); err != nil {
		return fmt.Errorf("the cases: %w", err)
	}
	return cp.Crashed()
}

// prepare makes the nodes, and starts taint-manager if it is wanted.
func prepare(ctx context.Context, cp *controlplane.ControlPlane, ours bool) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	if err := controlplane.CreateReadyNodes(ctx, client, nodes); err != nil || !ours {
		return err
	}
	fmt.Fprintln(os.Stderr, "building and starting taint-manager")
	binary, err := launcher.Binary(ctx, cp.Dir())
	if err != nil {
		return err
	}
	_, err = launcher.Start(ctx, cp, launcher.Options{Binary: binary})
	return err
}
