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
