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

// Command compare runs the tests of the comparison table against the built-in controller and against ours, and prints the
// table of e2e/README.md in Markdown. Progress goes to standard error.
//
// The tests of the built-in controller are expected to fail where it does not do what the rules ask for; what counts there
// is what they saw. The exit status is 1 if ours failed one, or if nothing was seen of a row.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/taint-manager/taint-manager/e2e/conformance/gotest"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for what the first one began
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	jsonFile := flags.String("json", "", "write the results to this `file`, too")
	tests := flags.String("run", "^TestRow", "which tests, as a regular `expression`; rows of others are left out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "taint-manager-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "results.jsonl")
	for _, controller := range []results.Controller{results.Builtin, results.Ours} {
		if err := runTests(ctx, controller, *tests, path, progress); err != nil {
			return err
		}
	}
	all, err := results.Read(path)
	if err != nil {
		return fmt.Errorf("no test has recorded anything: %w", err)
	}
	if *jsonFile != "" {
		if err := writeJSON(*jsonFile, all); err != nil {
			return err
		}
	}
	table := newTable(all)
	if _, err := io.WriteString(out, table.markdown()); err != nil {
		return err
	}
	return table.problems(*tests == flags.Lookup("run").DefValue)
}

// runTests runs the tests against a controller, and tells which have ended, with what those that failed on our side had to say.
func runTests(ctx context.Context, controller results.Controller, tests, file string, progress io.Writer) error {
	fmt.Fprintf(progress, "%s: running the tests\n", controller)
	_, err := gotest.Run(ctx, gotest.Options{
		Tests: tests, Progress: progress,
		Env: []string{results.Variable + "=" + file, "E2E_CONTROLLER=" + map[results.Controller]string{
			results.Builtin: "builtin",
		}[controller]},
		Ended: func(test gotest.Test) {
			if test.Outcome == gotest.Skip {
				return
			}
			fmt.Fprintf(progress, "%s: %s: %s after %.1f s\n", controller, test.Name, test.Outcome, test.Elapsed.Seconds())
			if test.Outcome == gotest.Fail && controller == results.Ours {
				fmt.Fprint(progress, test.Output)
			}
		},
	})
	return err
}

func writeJSON(path string, all []results.Result) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o666); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
