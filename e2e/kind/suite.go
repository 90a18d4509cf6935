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
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const (
	// clusterVariable and kubeconfigVariable tell the tests where their cluster is.
	clusterVariable    = "E2E_KIND_CLUSTER"
	kubeconfigVariable = "E2E_KIND_KUBECONFIG"
	// logsVariable tells them where to keep what explains a failure.
	logsVariable = "E2E_KIND_LOGS"

	suitePackage = "./e2e/kind/suite"
	suiteTimeout = "20m"
)

// event is a line of go test -json.
type event struct {
	Action, Test, Output, Key, Value string
	Elapsed                          float64
}

// outcome is what became of one test.
type outcome struct {
	name, result string
	elapsed      time.Duration
	figures      []string // what it measured
	output       strings.Builder
}

// results are those of all tests in the order in which they ended.
type results struct {
	tests   []*outcome
	running map[string]*outcome
	usages  []string // of our pods when the tests had ended
}

// selected returns the names of the tests that RUN chooses.
func (r *run) selected(ctx context.Context) ([]string, error) {
	pattern := os.Getenv("RUN")
	top, _, _ := strings.Cut(pattern, "/") // tests are listed, and not parts of them
	out, err := nodes.Run(ctx, nil, "go", "test", "-race", "-tags", "kind", "-list", cmp.Or(top, "."), suitePackage)
	if err != nil {
		return nil, err
	}
	var tests []string
	for name := range strings.FieldsSeq(out) {
		if strings.HasPrefix(name, "Test") {
			tests = append(tests, name)
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("RUN=%s matches the name of no test", pattern)
	}
	return tests, nil
}

// test runs the stage's tests and shows their progress.
func (s *stage) test(ctx context.Context) error {
	arguments := []string{"test", "-json", "-race", "-count=1", "-tags", "kind", "-timeout", suiteTimeout, suitePackage}
	document, err := filepath.Abs(takeoverDocument())
	if err != nil {
		return err
	}
	command := nodes.Command(ctx, "go", append(arguments, s.choice...)...)
	command.Env = append(os.Environ(), clusterVariable+"="+s.cluster.Name, kubeconfigVariable+"="+s.kubeconfig, "TAKEOVER_DOC="+document,
		logsVariable+"="+filepath.Join(s.root, s.logs()))
	command.Env = append(command.Env, s.environment...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.follow(out)
	if err := command.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

func takeoverDocument() string {
	if document := os.Getenv("TAKEOVER_DOC"); document != "" {
		return document
	}
	return "manifests/README.md"
}

// follow notes and shows what go test says.
func (r *run) follow(out io.Reader) {
	if r.results.running == nil {
		r.results.running = map[string]*outcome{}
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text())
			continue
		}
		if e.Test == "" {
			r.showPackage(e)
			continue
		}
		r.note(e)
	}
}

// showPackage shows what belongs to no test, such as a build that fails, or a data race.
func (r *run) showPackage(e event) {
	text := strings.TrimSpace(e.Output)
	if (e.Action == "output" || e.Action == "build-output") && text != "" && text != "PASS" && text != "FAIL" {
		fmt.Printf("       %s\n", text)
	}
}

func (r *run) note(e event) {
	test := r.results.running[e.Test]
	if test == nil {
		test = &outcome{name: e.Test}
		r.results.running[e.Test] = test
	}
	now := clock(time.Since(r.began))
	switch e.Action {
	case "run":
		fmt.Printf("%s    %s\n", now, e.Test)
	case "attr":
		test.figures = append(test.figures, strings.ReplaceAll(e.Key, "_", " ")+": "+e.Value)
	case "output":
		test.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		test.result, test.elapsed = e.Action, time.Duration(e.Elapsed*float64(time.Second))
		r.results.tests = append(r.results.tests, test)
		delete(r.results.running, e.Test)
		fmt.Printf("%s    %s: %s, %.1f s\n", now, e.Test, strings.ToUpper(e.Action), e.Elapsed)
		if e.Action == "fail" {
			fmt.Print(test.output.String())
		}
	}
}

// summary is the last thing that is shown of the tests.
func (r *run) summary() {
	fmt.Println("\nSummary")
	for _, test := range r.results.tests {
		fmt.Printf("  %-4s  %-36s %6.1f s\n", strings.ToUpper(test.result), strings.TrimPrefix(test.name, "Test"), test.elapsed.Seconds())
		for _, figure := range test.figures {
			fmt.Printf("          %s\n", figure)
		}
	}
	for name := range r.results.running {
		fmt.Printf("  ----  %-36s did not end\n", strings.TrimPrefix(name, "Test"))
	}
	for _, usage := range r.results.usages {
		fmt.Printf("  usage of %s\n", usage)
	}
	fmt.Printf("  %d tests, %s in all (minutes:seconds)\n\n", len(r.results.tests), strings.TrimSpace(clock(time.Since(r.began))))
}
