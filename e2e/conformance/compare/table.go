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
	"errors"
	"fmt"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

// table has what was seen, by row and controller.
type table struct {
	kubernetes string
	seen       map[results.Row]map[results.Controller]*cell
}

type cell struct {
	texts []string
	right bool
}

func newTable(all []results.Result) *table {
	t := &table{seen: map[results.Row]map[results.Controller]*cell{}}
	for _, result := range all {
		t.kubernetes = result.Kubernetes
		row := t.seen[result.Row]
		if row == nil {
			row = map[results.Controller]*cell{}
			t.seen[result.Row] = row
		}
		if row[result.Controller] == nil {
			row[result.Controller] = &cell{right: true}
		}
		c := row[result.Controller]
		c.texts = append(c.texts, result.Seen)
		c.right = c.right && result.Right
	}
	return t
}

// markdown is the table with a line above it that says what it was measured on.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Kubernetes %s. ✗ marks what the rules do not allow.\n\n", t.kubernetes)
	fmt.Fprintf(&b, "| | %s | %s |\n|---|---|---|\n", results.Builtin, results.Ours)
	for _, row := range results.Rows() {
		if cells := t.seen[row]; cells != nil {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", row, cells[results.Builtin], cells[results.Ours])
		}
	}
	return b.String()
}

func (c *cell) String() string {
	if c == nil {
		return "not measured"
	}
	text := strings.ReplaceAll(strings.Join(c.texts, "; "), "|", `\|`)
	if text == "" {
		text = "nothing was seen"
	}
	if !c.right {
		text = "✗ " + text
	}
	return text
}

// problems are the rows that ours got wrong, and those that have not been measured where all should have been.
func (t *table) problems(all bool) error {
	var errs []error
	for _, row := range results.Rows() {
		for _, controller := range []results.Controller{results.Builtin, results.Ours} {
			switch c := t.seen[row][controller]; {
			case c == nil:
				if all || t.seen[row] != nil {
					errs = append(errs, fmt.Errorf("%s: %s: not measured", controller, row))
				}
			case !c.right && controller == results.Ours:
				errs = append(errs, fmt.Errorf("%s: %s: wrong: %s", controller, row, c))
			}
		}
	}
	return errors.Join(errs...)
}
