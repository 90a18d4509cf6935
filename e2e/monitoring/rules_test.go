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

package monitoring

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

const (
	rulesFile     = "../../manifests/monitoring/rules.yaml"
	ruleTests     = "../../manifests/monitoring/rules_test.yaml"
	dashboardFile = "../../manifests/monitoring/dashboard.json"
)

// TestRules has promtool check the rules, and run their unit tests.
func TestRules(t *testing.T) {
	run(t, promtoolProgram, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	run(t, promtoolProgram, "test", "rules", ruleTests)
}

const (
	// shortenedBy is by how much durations are divided, so that a day is a minute and a half.
	shortenedBy = 1000
	// shortest is the least duration after that: a rate needs some samples, of which there is one a second.
	shortest = 5 * time.Second
)

// durations are the durations in rules: in expressions, whether they are windows or are compared with, and of for and keep_firing_for.
var durations = regexp.MustCompile(`\b([0-9]+(ms|[smhdwy]))+\b`)

// shortened returns rules in which each duration is divided by shortenedBy, and is shortest at least. Nothing else is changed.
func shortened(t *testing.T, rules string) string {
	t.Helper()
	_, groups, found := strings.Cut(rules, "\ngroups:\n")
	if !found {
		t.Fatal("the rules have no groups")
	}
	var lines []string
	annotations := false
	for line := range strings.Lines("groups:\n" + groups) {
		switch text := strings.TrimSpace(line); {
		case strings.HasPrefix(text, "- alert:"):
			annotations = false
		case text == "annotations:": // are for people
			annotations = true
		}
		if !annotations {
			line = durations.ReplaceAllStringFunc(line, func(text string) string {
				duration, err := model.ParseDuration(text)
				if err != nil {
					t.Fatal(err)
				}
				return model.Duration(max(time.Duration(duration)/shortenedBy, shortest).Truncate(time.Millisecond)).String()
			})
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

func TestShortened(t *testing.T) {
	got := shortened(t, `
groups:
  - name: g2m
    rules:
      - alert: A
        expr: sum by (a5m) (rate(x_1h[10m])) / 2 > 1h and time() - y{z="5"} > 1d
        for: 2h
        keep_firing_for: 1h30m
        annotations:
          summary: after 10m
      - alert: B
        expr: max_over_time(x[2d12h]) > 30
`)
	want := `groups:
  - name: g2m
    rules:
      - alert: A
        expr: sum by (a5m) (rate(x_1h[5s])) / 2 > 5s and time() - y{z="5"} > 1m26s400ms
        for: 7s200ms
        keep_firing_for: 5s400ms
        annotations:
          summary: after 10m
      - alert: B
        expr: max_over_time(x[3m36s]) > 30
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
