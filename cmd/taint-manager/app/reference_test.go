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

package app

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	basemetrics "k8s.io/component-base/metrics"

	"github.com/taint-manager/taint-manager/pkg/metrics"
)

const reference = "../README.md"

// update makes TestReference write the tables instead of comparing them: see make generate.
var update = flag.Bool("update", false, "write the tables of "+reference+" that are made from the code")

// TestReference compares the tables of the command's README with the flags, fields of the configuration, metrics, Event reasons, endpoints and log
// messages of the code.
func TestReference(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	document := string(data)
	for name, table := range map[string]string{
		"flags": flagTables(), "configuration": configurationTable(t), "metrics": metricTable(t), "events": eventTable(t), "log": logTable(t),
		"audit":     newAuditReference(t).table(),
		"endpoints": endpointTable(),
	} {
		begin, end := "<!-- "+name+": begin (make generate) -->\n", "<!-- "+name+": end -->"
		before, rest, begins := strings.Cut(document, begin)
		old, after, ends := strings.Cut(rest, end)
		if !begins || !ends {
			t.Fatalf("%s has no place for the table of %s: %q and %q", reference, name, begin, end)
		}
		document = before + begin + table + end + after
		if old != table && !*update {
			t.Errorf("the table of %s in %s is not up to date: run make generate. It differs in\n%s", name, reference, difference(old, table))
		}
	}
	if *update {
		if err := os.WriteFile(reference, []byte(document), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// difference returns the lines that only one of two texts has.
func difference(old, now string) string {
	var b strings.Builder
	for sign, texts := range map[string][2]string{"-": {old, now}, "+": {now, old}} {
		others := strings.Split(texts[1], "\n")
		for line := range strings.SplitSeq(texts[0], "\n") {
			if !slices.Contains(others, line) {
				fmt.Fprintf(&b, "%s %s\n", sign, line)
			}
		}
	}
	return b.String()
}

// tableOf returns a table in Markdown.
func tableOf(rows ...[]string) string {
	var b strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			row[j] = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(cell), "|", `\|`), "\n", "<br>")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// flagTables returns a table for each group of flags, in the order of --help.
func flagTables() string {
	var b strings.Builder
	groups := NewOptions().Flags()
	for _, name := range groups.Order {
		rows := [][]string{{"flag", "default", "meaning"}}
		groups.FlagSets[name].VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Deprecated != "" {
				return
			}
			kind, usage := pflag.UnquoteUsage(f)
			flags := code(strings.TrimSpace("--" + f.Name + " " + kind))
			if f.Shorthand != "" {
				flags = code("-"+f.Shorthand) + ", " + flags
			}
			rows = append(rows, []string{flags, code(strings.Trim(f.DefValue, "[]")), usage})
		})
		fmt.Fprintf(&b, "\n%s flags:\n\n%s", strings.ToUpper(name[:1])+name[1:], tableOf(rows...))
	}
	return b.String() + "\n"
}

// labelsOf finds the labels in the text of a metric's description, which has no accessor for them.
var labelsOf = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)

// metricTable returns what the registry gets of our own metrics.
func metricTable(t *testing.T) string {
	t.Helper()
	registry := basemetrics.NewKubeRegistry()
	rows := [][]string{{"metric", "type", "labels", "stability", "meaning"}}
	_, err := metrics.New(func(metric basemetrics.Registerable) error {
		if err := registry.Register(metric); err != nil {
			return err
		}
		kind, help, stability := describeMetric(t, metric)
		rows = append(rows, []string{code(metric.FQName()), kind, labels(metric), stability, help})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fields := slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[metrics.Metrics]()), func(f reflect.StructField) bool { return !f.IsExported() })
	if len(fields) != len(rows)-1 {
		t.Errorf("metrics.Metrics has %d fields, and %d of them are registered", len(fields), len(rows)-1)
	}
	return tableOf(rows...)
}

func labels(metric basemetrics.Registerable) string {
	descriptions := make(chan *prometheus.Desc, 1)
	metric.Describe(descriptions)
	if found := labelsOf.FindStringSubmatch((<-descriptions).String()); found != nil && found[1] != "" {
		return code(found[1])
	}
	return ""
}

func describeMetric(t *testing.T, metric basemetrics.Registerable) (kind, help, stability string) {
	t.Helper()
	var level basemetrics.StabilityLevel
	switch m := metric.(type) {
	case *basemetrics.Counter:
		kind, help, level = "counter", m.Help, m.StabilityLevel
	case *basemetrics.CounterVec:
		kind, help, level = "counter", m.Help, m.StabilityLevel
	case *basemetrics.Gauge:
		kind, help, level = "gauge", m.Help, m.StabilityLevel
	case *basemetrics.GaugeVec:
		kind, help, level = "gauge", m.Help, m.StabilityLevel
	case *basemetrics.Histogram:
		kind, help, level = "histogram", m.Help, m.StabilityLevel
	case *basemetrics.HistogramVec:
		kind, help, level = "histogram", m.Help, m.StabilityLevel
	default:
		t.Fatalf("metric %s is of type %T: name that type here", metric.FQName(), metric)
	}
	return kind, strings.TrimPrefix(help, "["+string(level)+"] "), string(level)
}

// eventTable returns the reasons of our Events, with what the comments on them say.
func eventTable(t *testing.T) string {
	t.Helper()
	rows := [][]string{{"reason", "meaning"}}
	for _, reason := range eventReasons(t, "../../../pkg/tainteviction") {
		rows = append(rows, []string{code(reason.value), reason.meaning})
	}
	if len(rows) == 1 {
		t.Error("no reasons of Events were found")
	}
	return tableOf(rows...)
}

// endpointTable returns the paths that are served, with --profiling.
func endpointTable() string {
	o := NewOptions()
	o.Serving.Profiling = true
	rows := [][]string{{"path", "for", "what it says"}}
	for _, e := range endpoints(o, checks{}) {
		who := "those who may `get` it"
		if slices.Contains(o.Serving.AlwaysAllowPaths, e.path) {
			who = "anyone"
		}
		rows = append(rows, []string{code(e.path), who, e.meaning})
	}
	return tableOf(rows...)
}

// logTable returns all that the product may write into its log, by verbosity.
func logTable(t *testing.T) string {
	t.Helper()
	messages := logMessages(t, "../../../pkg", "../../../cmd/taint-manager")
	if len(messages) < 10 {
		t.Errorf("only %d log messages were found", len(messages))
	}
	rows := [][]string{{"from `--v=`", "message", "by"}}
	for _, m := range messages {
		level := strconv.Itoa(m.level)
		if m.isError {
			level += ", an error"
		}
		rows = append(rows, []string{level, m.text, code(m.from)})
	}
	return tableOf(rows...)
}
