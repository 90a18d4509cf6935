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

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	utilversion "k8s.io/apimachinery/pkg/util/version"

	"github.com/taint-manager/taint-manager/e2e/conformance/gotest"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

// versionRun is the run of the tests against one version.
type versionRun struct {
	version *utilversion.Version
	assets  string   // its programs
	names   []string // of the tests

	server results.Server
	tests  []gotest.Test // without subtests
	took   time.Duration
	err    error // why it could not be tested, or not to the end
}

func newRuns(o options) []*versionRun {
	runs := make([]*versionRun, len(o.versions))
	for i, version := range o.versions {
		runs[i] = &versionRun{version: version}
	}
	return runs
}

func (r *versionRun) build(ctx context.Context, progress io.Writer) {
	if r.assets, r.err = controlplane.VersionAssets(ctx, progress, r.version); r.err != nil {
		fmt.Fprintf(progress, "%s: cannot be built\n", r.version)
	}
}

// runAll runs the tests against all versions that could be built, some at the same time. An error is one of all runs.
func runAll(ctx context.Context, o options, runs []*versionRun, progress io.Writer) error {
	names, err := gotest.List(ctx, o.tests)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	dir, err := os.MkdirTemp("", "taint-manager-versions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var wg sync.WaitGroup
	free := make(chan struct{}, o.atOnce)
	for _, r := range runs {
		if r.err != nil {
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			r.names = names
			r.err = r.run(ctx, o.tests, filepath.Join(dir, r.version.String()), progress)
			fmt.Fprintf(progress, "%s: %s\n", r.version, r.summary())
		})
	}
	wg.Wait()
	return ctx.Err()
}

// run runs the tests against one version, and tells each that has ended, with what it had to say if it failed.
func (r *versionRun) run(ctx context.Context, tests, serverFile string, progress io.Writer) error {
	fmt.Fprintf(progress, "%s: running %d tests\n", r.version, len(r.names))
	began := time.Now()
	result, err := gotest.Run(ctx, gotest.Options{
		Tests: tests, Progress: progress,
		Env: []string{controlplane.AssetsVariable + "=" + r.assets, results.ServerVariable + "=" + serverFile},
		Ended: func(test gotest.Test) {
			if test.Outcome == gotest.Fail {
				fmt.Fprint(progress, test.Output)
			}
			if !test.Subtest() {
				r.tests = append(r.tests, test)
				fmt.Fprintf(progress, "%s: %d of %d: %s: %s after %.1f s\n",
					r.version, len(r.tests), len(r.names), test.Name, test.Outcome, test.Elapsed.Seconds())
			}
		},
	})
	r.took = time.Since(began)
	if err != nil {
		return err
	}
	if result.Failed && len(r.names) == r.count(gotest.Pass)+r.count(gotest.Skip) {
		return fmt.Errorf("all tests passed, and the run failed:\n%s", result.Output)
	}
	servers, err := results.ReadServers(serverFile)
	if err != nil {
		return err
	}
	r.server = servers[0]
	if want := "v" + r.version.String(); r.server.Kubernetes != want {
		return fmt.Errorf("the API server is %s", r.server.Kubernetes)
	}
	return nil
}

func (r *versionRun) count(outcome gotest.Outcome) (n int) {
	for _, test := range r.tests {
		if test.Outcome == outcome {
			n++
		}
	}
	return n
}

// failed are the names of the tests that failed, or have not ended.
func (r *versionRun) failed() []string {
	return slices.DeleteFunc(slices.Clone(r.names), func(name string) bool {
		return slices.ContainsFunc(r.tests, func(test gotest.Test) bool { return test.Name == name && test.Outcome != gotest.Fail })
	})
}

func (r *versionRun) summary() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d passed, %d failed, %d not possible, in %s",
		r.count(gotest.Pass), len(r.failed()), r.count(gotest.Skip), r.took.Round(time.Second))
}

// problems returns an error for each version that failed or could not be tested.
func problems(runs []*versionRun) error {
	var errs []error
	for _, r := range runs {
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.version, r.err))
		}
		for _, name := range r.failed() {
			errs = append(errs, fmt.Errorf("%s: %s failed", r.version, name))
		}
	}
	return errors.Join(errs...)
}

// lineWriter keeps the lines apart that several runs write at the same time.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

// Write writes all of the data before anybody else's, and ends its last line.
func (w *lineWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := data
	if !bytes.HasSuffix(data, []byte("\n")) {
		lines = append(slices.Clone(data), '\n')
	}
	if _, err := w.out.Write(lines); err != nil {
		return 0, err
	}
	return len(data), nil
}
