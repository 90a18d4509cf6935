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
	"encoding/json"
	"flag"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// picture is where TestAlertsFire draws the dashboard, of the answers to its queries: see make dashboard-picture.
var picture = flag.String("picture", "", "PNG file to draw the dashboard into")

// dashboard is what the tests read of the dashboard.
type dashboard struct {
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type string }
	}
}

// panel is a panel of the dashboard, or the title of a row of them.
type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr, LegendFormat string }
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Mappings   []mapping
			Thresholds struct {
				Steps []struct {
					Value *float64
					Color string
				}
			}
			Custom struct {
				Stacking          struct{ Mode string }
				ScaleDistribution struct{ Type string }
			}
		}
	}
}

// mapping says by what a panel shows a value.
type mapping struct {
	Type    string
	Options json.RawMessage
}

// line is an answer to a query of a panel, with its name in the legend.
type line struct {
	name string
	*model.SampleStream
}

// drawn is a panel with the answers to its queries.
type drawn struct {
	panel
	lines []line
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	d := &dashboard{}
	if err := json.Unmarshal([]byte(readFile(t, dashboardFile)), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard checks the dashboard against Grafana's schema, and for what would make it hard to read.
func TestDashboard(t *testing.T) {
	run(t, checkDashboardProgram, dashboardFile)
	d := readDashboard(t)
	if d.SchemaVersion != 39 { // that of Grafana 11.0; later ones migrate it
		t.Errorf("schema version %d", d.SchemaVersion)
	}
	if list := d.Templating.List; len(list) != 3 || list[0].Name != "datasource" || list[0].Type != "datasource" {
		t.Errorf("variables %v", list)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another one", p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, covered := taken[at]; covered || at[0] >= 24 {
					t.Fatalf("panel %q covers %q at %v, or is beyond the edge", p.Title, other, at)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no description, no query, or a data source of its own: %+v", p.Title, p.Datasource)
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `namespace=~"$namespace`) || !strings.Contains(target.Expr, `job=~"$job`) {
				t.Errorf("panel %q: %s is not about the namespace and the job that are chosen", p.Title, target.Expr)
			}
		}
	}
}

// checkDashboard asks Prometheus all that the dashboard asks. Each query has an answer. It draws them if that is asked for.
func (r *faults) checkDashboard(from, to time.Time) {
	r.T.Helper()
	variables := strings.NewReplacer("$__rate_interval", "5s", "$namespace", "kube-system", "$job", "taint-manager")
	var all []drawn
	queries := 0
	for _, p := range readDashboard(r.T).Panels {
		d := drawn{panel: p}
		for _, target := range p.Targets {
			queries++
			answer := r.prometheus.between(variables.Replace(target.Expr), from, to)
			if !hasNumbers(answer) {
				r.T.Errorf("panel %q: no answer to %s", p.Title, target.Expr)
			}
			for _, series := range answer {
				d.lines = append(d.lines, line{legend(target.LegendFormat, series.Metric), series})
			}
		}
		all = append(all, d)
	}
	r.Saw("each of the %d queries of the dashboard has an answer", queries)
	if *picture == "" {
		return
	}
	data, err := drawDashboard(all, from, to)
	r.Must(err)
	r.Must(os.WriteFile(*picture, data, 0o666))
	r.Saw("%s has %d bytes", *picture, len(data))
}

// hasNumbers reports whether an answer has a value that is a number.
func hasNumbers(answer model.Matrix) bool {
	for _, series := range answer {
		for _, sample := range series.Values {
			if !math.IsNaN(float64(sample.Value)) {
				return true
			}
		}
	}
	return false
}

// legend returns the name of a series, as its format says.
func legend(format string, metric model.Metric) string {
	for name, value := range metric {
		format = strings.ReplaceAll(format, "{{"+string(name)+"}}", string(value))
	}
	return format
}
