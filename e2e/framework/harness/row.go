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

package harness

import (
	"fmt"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

// Row measures one row of the comparison table. What it saw is recorded when the test ends, with whether it passed.
type Row struct {
	scene *Scene
	seen  []string
}

// Row begins the measurement of a row.
func (s *Scene) Row(row results.Row) *Row {
	s.T.Helper()
	r := &Row{scene: s}
	s.T.Cleanup(func() {
		if s.T.Skipped() {
			return
		}
		err := results.Append(results.Result{
			Row: row, Controller: s.suite.controller, Kubernetes: s.cluster.kubernetes,
			Seen: strings.Join(r.seen, "; "), Right: !s.T.Failed(),
		})
		if err != nil {
			s.T.Error(err)
		}
	})
	return r
}

// Saw notes an observation. Call it before asserting anything about it.
func (r *Row) Saw(format string, args ...any) {
	r.scene.T.Helper()
	text := fmt.Sprintf(format, args...)
	r.scene.Saw("%s", text)
	r.seen = append(r.seen, text)
}
