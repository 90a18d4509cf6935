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

package runbook

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const document = `# Title

` + "<!-- off: begin -->\n```sh\nswitch it off\n```\n<!-- off: end -->" + `

<!-- day: begin -->

Set these:

<!-- step: variables -->
` + "```sh\nNODE=worker-1\n```" + `

<!-- step: look -->

` + "```sh\nkubectl get nodes $NODE\nkubectl diff \\\n    -f node.yaml   # exit code 1: they differ\n```\n\nIt prints:\n\n```text\nworker-1   Ready   ...\n```" + `

<!-- step: switch-off, by the commands of off -->

<!-- day: end -->

` + "```sh\nnobody runs this\n```\n"

func TestParse(t *testing.T) {
	got, err := parse(document, "day")
	want := []Step{
		{Name: "variables", Script: "NODE=worker-1\n", Codes: map[string]int{}},
		{Name: "look", Script: "kubectl get nodes $NODE\nkubectl diff \\\n    -f node.yaml   # exit code 1: they differ\n",
			Codes: map[string]int{"kubectl diff -f node.yaml": 1}, Output: []string{"worker-1 Ready ..."}},
		{Name: "switch-off", Script: "switch it off\n", Codes: map[string]int{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, got:\n%+v\nwant:\n%+v", err, got, want)
	}
}

// TestREADME has the document that the tests on kind run.
func TestREADME(t *testing.T) {
	steps, err := Read("../../../manifests/README.md", "walkthrough")
	if err != nil || len(steps) < 10 {
		t.Errorf("%v, %d steps", err, len(steps))
	}
}

func TestParseRefuses(t *testing.T) {
	sh := "```sh\necho\n```\n"
	for want, section := range map[string]string{
		"line 2: these commands belong to no step":      sh,
		"line 6: these commands belong to no step":      "<!-- step: a -->\n" + sh + sh,
		"line 2: indented code belongs to no step":      "    echo\n",
		"line 6: there is a step a before":              "<!-- step: a -->\n" + sh + "<!-- step: a -->\n" + sh,
		"line 3: step a has no commands":                "<!-- step: a -->\n<!-- step: b -->\n" + sh,
		"step a has no commands":                        "<!-- step: a -->\n",
		`line 2: "<!-- step a -->" is no`:               "<!-- step a -->\n" + sh,
		"line 2: no commands come before":               "```text\na\n```\n",
		"line 3: no commands come before":               "<!-- step: a -->\n```text\na\n```\n",
		`line 2: a block of "yaml" is neither`:          "```yaml\na: b\n```\n",
		"line 11: step a has two blocks of output":      "<!-- step: a -->\n" + sh + "```text\na\n```\n```text\na\n```\n",
		"the last block of code has no end":             "<!-- step: a -->\n```sh\necho\n",
		"there are no steps":                            "text\n",
		"line 2: there is nothing between <!-- b: begi": "<!-- step: a, by the commands of b -->\n",
	} {
		if _, err := parse("<!-- day: begin -->\n"+section+"<!-- day: end -->\n", "day"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", section, err, want)
		}
	}
	if _, err := parse("text\n", "day"); err == nil {
		t.Error("a document without markers has steps")
	}
}

func TestAssign(t *testing.T) {
	const script = "IMAGE=registry.example.com/a   # without a tag\nNODE=worker-1\n"
	got, documented, err := Assign(script, map[string]string{"IMAGE": "localhost:1/b", "NODE": "n"})
	if err != nil || got != "IMAGE='localhost:1/b'\nNODE='n'\n" ||
		!reflect.DeepEqual(documented, map[string]string{"IMAGE": "registry.example.com/a", "NODE": "worker-1"}) {
		t.Errorf("%q, %v, %v", got, documented, err)
	}
	for want, values := range map[string]map[string]string{
		"no value is known for NODE":       {"IMAGE": "b"},
		"nothing assigns a value to OTHER": {"IMAGE": "b", "NODE": "n", "OTHER": "x"},
	} {
		if _, _, err := Assign(script, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, _, err := Assign("NODE=a; echo\n", map[string]string{"NODE": "n"}); err == nil {
		t.Error("a command beside an assignment is accepted")
	}
}

func TestCheck(t *testing.T) {
	step := Step{
		Codes:  map[string]int{"plan $NODE": 4},
		Output: []string{"worker-1 ... Ready", "done, ... gone"},
	}
	failed := func(all ...Failure) []Failure { return all }
	for _, c := range []struct {
		name     string
		failures []Failure
		output   string
		want     []string
	}{
		{"as documented", failed(Failure{"plan  $NODE", 4}), "NODE\nworker-1   is   Ready\nx\ndone, 3 gone\n", nil},
		{"other code", failed(Failure{"plan $NODE", 1}), "worker-1 is Ready\ndone, 3 gone\n", []string{"exit code 1, and the document says 4: plan $NODE"}},
		{"no failure", nil, "worker-1 is Ready\ndone, 3 gone\n", []string{"exit code 0, or it was not run, and the document says 4: plan $NODE"}},
		{"other command", failed(Failure{"false", 1}, Failure{"plan $NODE", 4}), "worker-1 is Ready\ndone, 3 gone\n", []string{"exit code 1, and the document says 0: false"}},
		{"order", failed(Failure{"plan $NODE", 4}), "done, 3 gone\nworker-1 is Ready\n", []string{`no line "done, ... gone", or not in this order`}},
		{"part of a line", failed(Failure{"plan $NODE", 4}), "worker-1 is ReadyNot\n", []string{`no line "worker-1 ... Ready", or not in this order`}},
	} {
		if got := step.Check(Result{c.output, c.failures}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
