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
	"fmt"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/e2e/conformance/gotest"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// markdown is the table of the versions that were tested, with what each of them lacks and which tests failed below it.
func markdown(runs []*versionRun) string {
	var table, below strings.Builder
	fmt.Fprint(&table, "| Kubernetes | streaming lists by default | passed | failed | not possible | time |\n|---|---|---|---|---|---|\n")
	note := func(r *versionRun, format string, args ...any) {
		fmt.Fprintf(&below, "- %s: %s\n", r.version, fmt.Sprintf(format, args...))
	}
	for _, r := range runs {
		if r.err != nil {
			problem, _, _ := strings.Cut(r.err.Error(), "\n")
			note(r, "not tested: %s", problem)
			continue
		}
		fmt.Fprintf(&table, "| %s | %s | %d | %d | %d | %s |\n", r.version, map[bool]string{true: "yes", false: "no"}[r.server.StreamingLists],
			r.count(gotest.Pass), len(r.failed()), r.count(gotest.Skip), r.took.Round(time.Second))
		for _, lack := range controlplane.Lacks(r.version) {
			note(r, "%s", lack.What)
		}
		for _, test := range r.tests {
			if test.Outcome == gotest.Skip {
				note(r, "%s is not possible: %s", test.Name, reason(test.Output))
			}
		}
		for _, name := range r.failed() {
			note(r, "%s failed", name)
		}
	}
	if below.Len() > 0 {
		return table.String() + "\n" + below.String()
	}
	return table.String()
}

// reason is what a test said when it was skipped: its last line that go test has not added, without its place in the source.
func reason(output string) (text string) {
	for line := range strings.Lines(output) {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "--- ") && !strings.HasPrefix(trimmed, "=== ") {
			text = trimmed
		}
	}
	if place, rest, found := strings.Cut(text, ": "); found && strings.Contains(place, ".go:") {
		return rest
	}
	return text
}
