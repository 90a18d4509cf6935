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
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// update makes TestREADME write the table instead of comparing it: see make generate.
var update = flag.Bool("update", false, "write the table of values in the chart's README.md")

// TestREADME compares the table of values in the chart's README.md with values.yaml.
func TestREADME(t *testing.T) {
	path := filepath.Join(chartDir, "README.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- values: begin (make generate) -->\n", "<!-- values: end -->"
	before, rest, begins := strings.Cut(string(data), begin)
	old, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table: %q and %q", path, begin, end)
	}
	table := valueTable(t)
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+table+end+after), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if old != table {
		t.Errorf("the table of values in %s is not up to date: run make generate. It is\n%s\nwant\n%s", path, old, table)
	}
}

// valueTable returns the values as a table in Markdown.
func valueTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| value | default | meaning |\n|---|---|---|\n")
	for _, v := range declared(t) {
		value := "see `values.yaml`"
		if text := oneLine(t, v.node); len(text) <= 80 {
			value = "`" + text + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.path, value, strings.ReplaceAll(v.comment, "|", `\|`))
	}
	return b.String()
}

// oneLine returns a value as JSON.
func oneLine(t *testing.T, node *yaml.Node) string {
	t.Helper()
	var value any
	if err := node.Decode(&value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
