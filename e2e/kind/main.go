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

// Command kind runs the end-to-end tests on real kubelets. It builds the image, makes a cluster by kind with
// manifests/kind/cluster.yaml, deploys manifests/crd and manifests/overlays/kind to it, runs the tests of ./suite, and
// deletes the cluster. Then it makes another one with the built-in controller on (walkthrough.yaml) and a registry, and runs the test of
// the walkthrough in manifests/README.md there. It needs Go and a Docker engine; kind and the registry are tools of ./tools. Run it from
// the top of the repository (make e2e).
//
// Variables of the environment:
//
//	KIND_IMAGE     the node image, instead of kind's own
//	IMAGE_ARCHIVE  an archive with the image, instead of building one by make image (the walkthrough builds its own)
//	RUN            a regular expression: only the tests whose names match, and only the clusters that they need
//	KEEP=1         do not delete the clusters, and say how to use them
//	TAKEOVER_DOC   the document whose commands are tested, instead of manifests/README.md
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
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
	root      string // of the repository
	temporary string
	kind      string // kind's binary
	keep      bool   // the clusters
	began     time.Time
	results   results
}

// step is one thing to do.
type step struct {
	what string
	do   func(context.Context) error
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
	r := &run{began: time.Now(), keep: os.Getenv("KEEP") != ""}
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
	stages := r.stages()
	defer func() {
		if r.keep && slices.ContainsFunc(stages, func(s *stage) bool { return s.created }) {
			fmt.Printf("To delete the files of this run, after the clusters:\n    rm -r %s\n", r.temporary)
			return
		}
		err = errors.Join(err, os.RemoveAll(r.temporary))
	}()
	var tests []string
	if err := r.do(ctx,
		step{"build kind (a tool of e2e/kind/tools)", r.buildKind},
		step{"look for a Docker engine", r.checkEngine},
		step{"build the tests", func(ctx context.Context) (err error) {
			tests, err = r.selected(ctx)
			return err
		}},
		step{"build the image of the test pods", r.buildWorkload},
	); err != nil {
		return err
	}
	for _, s := range stages {
		if slices.ContainsFunc(tests, s.has) && ctx.Err() == nil {
			err = errors.Join(err, s.execute(ctx))
		}
	}
	if len(r.results.tests) > 0 {
		r.summary()
	}
	return err
}

// do takes one step after the other, up to one that fails.
func (r *run) do(ctx context.Context, steps ...step) error {
	for _, step := range steps {
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
