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

// Command kind runs the end-to-end tests on real kubelets: it builds the image, makes a cluster by kind with
// manifests/kind/cluster.yaml, deploys manifests/crd and manifests/overlays/kind to it, runs the tests of ./suite, and
// deletes the cluster. It needs Go and a Docker engine; kind itself is a tool of ./tools. Run it from the top of the repository
// (make e2e).
//
// Variables of the environment:
//
//	KIND_IMAGE     the node image, instead of kind's own
//	IMAGE_ARCHIVE  an archive with the image, instead of building one by make image
//	RUN            a regular expression: only the tests whose names match
//	KEEP=1         do not delete the cluster, and say how to use it
//	TAKEOVER_DOC   the document whose commands for switching over are tested, instead of manifests/README.md
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const (
	clusterName   = "taint-manager-e2e"
	image         = "ghcr.io/taint-manager/taint-manager"
	tag           = "dev"
	workloadImage = "taint-manager-e2e/workload:dev"
	// logsDirectory gets everything that may explain a failure.
	logsDirectory = "bin/e2e-logs"
	// selector chooses our pods.
	selector = "app.kubernetes.io/name=taint-manager"
	// cleanupTimeout bounds what is done at the end, which a Ctrl-C does not stop.
	cleanupTimeout = 3 * time.Minute
)

// run is one run of this command.
type run struct {
	root       string // of the repository
	temporary  string
	kind       string // kind's binary
	kubeconfig string
	cluster    nodes.Cluster
	began      time.Time
	results    results
	created    bool // there may be a cluster
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ne2e: %v\n", err)
		os.Exit(1)
	}
}

func start(ctx context.Context) (err error) {
	r := &run{cluster: nodes.Cluster{Name: clusterName}, began: time.Now()}
	if r.root, err = os.Getwd(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.root, "manifests/kind/cluster.yaml")); err != nil {
		return fmt.Errorf("run this from the top of the repository: %w", err)
	}
	if err := os.RemoveAll(logsDirectory); err != nil {
		return err
	}
	if r.temporary, err = os.MkdirTemp("", "taint-manager-e2e-"); err != nil {
		return err
	}
	r.kind = filepath.Join(r.root, "bin/kind")
	r.kubeconfig = filepath.Join(r.temporary, "kubeconfig")
	keep := os.Getenv("KEEP") != ""
	defer func() {
		if keep && r.created {
			r.sayHowToUse()
			return
		}
		err = errors.Join(err, os.RemoveAll(r.temporary))
	}()
	err = r.prepare(ctx)
	if err == nil {
		err = r.test(ctx)
	}
	interrupted := ctx.Err() != nil
	// From here on a Ctrl-C changes nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err == nil || len(r.results.tests) > 0 {
		r.summary(ctx)
	}
	if !r.created {
		return err
	}
	if err != nil && !interrupted {
		r.exportLogs(ctx)
	}
	if !keep {
		err = errors.Join(err, r.step("delete the cluster", func() error { return r.deleteCluster(ctx) }))
	}
	return err
}

// prepare makes everything that the tests need.
func (r *run) prepare(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"build kind (a tool of e2e/kind/tools)", r.buildKind},
		{"look for a Docker engine and a stale cluster", r.checkEngine},
		{"build the image", r.buildImage},
		{"build the image of the test pods", r.buildWorkload},
		{"create the cluster " + clusterName, r.createCluster},
		{"load the images", r.loadImages},
		{"connect the pods of all nodes", r.connectPods},
		{"deploy manifests/crd and manifests/overlays/kind", r.deploy},
	} {
		if err := r.step(step.what, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// step does something and says how long it took.
func (r *run) step(what string, do func() error) error {
	fmt.Printf("%s  %s ...\n", clock(time.Since(r.began)), what)
	began := time.Now()
	err := do()
	outcome := "done"
	if err != nil {
		outcome = "FAILED"
		err = fmt.Errorf("%s: %w", what, err)
	}
	fmt.Printf("%s  ... %s, %.1f s\n", clock(time.Since(r.began)), outcome, time.Since(began).Seconds())
	return err
}

// clock writes the time of this run as minutes and seconds.
func clock(d time.Duration) string {
	seconds := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%2d:%02d", seconds/60, seconds%60)
}

func (r *run) sayHowToUse() {
	fmt.Printf("\nThe cluster %s is kept. To use it:\n", clusterName)
	fmt.Printf("    export KUBECONFIG=%s\n", r.kubeconfig)
	fmt.Printf("To run a test on it:\n")
	fmt.Printf("    %s=%s %s=%s go test -race -count=1 -tags kind -v ./e2e/kind/suite -run NAME\n",
		clusterVariable, clusterName, kubeconfigVariable, r.kubeconfig)
	fmt.Printf("To delete it:\n    bin/kind delete cluster --name %s && rm -r %s\n", clusterName, r.temporary)
}
