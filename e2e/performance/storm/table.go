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
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

const notMeasured = "—"

// markdown is what is printed: the goals, and then everything that was measured.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n", r.Machine)
	if len(r.Goals) > 0 {
		b.WriteString("\n")
		r.goalTable().Write(&b)
	}
	if len(r.Storms) > 0 {
		b.WriteString("\n")
		stormTable(r.Storms).Write(&b)
	}
	r.evictTables(&b)
	if len(r.Sizes) > 0 {
		b.WriteString("\n")
		r.sizeTable().Write(&b)
		if t := r.memoryTable(); len(t) > 1 {
			b.WriteString("\n")
			t.Write(&b)
		}
	}
	for i := range r.Mechanisms {
		b.WriteString("\n")
		r.Mechanisms[i].table().Write(&b)
	}
	return b.String()
}

func (r *report) goalTable() figures.Table {
	title := "goal"
	if s := r.storm(oursName); s != nil {
		title = fmt.Sprintf("%s pods on %s nodes", figures.Count(s.Pods), figures.Count(s.Nodes))
	}
	t := figures.Table{{title, "of the built-in's", "goal", "taint-manager", "built-in", "met"}}
	for _, g := range r.Goals {
		relative, met := notMeasured, "**no**"
		if g.Ratio != 0 {
			relative = significant(g.Ratio)
		}
		if g.Met {
			met = "yes"
		}
		t = append(t, []string{g.Name, relative, g.Wanted, g.Text, orNone(g.BuiltinText), met})
	}
	return t
}

// stormRows are the rows of the table of storms, in their order.
func stormRows() []struct {
	name  string
	value func(*Storm) string
} {
	return []struct {
		name  string
		value func(*Storm) string
	}{
		{"pods, nodes", func(s *Storm) string { return figures.Count(s.Pods) + ", " + figures.Count(s.Nodes) }},
		{"evicted", func(s *Storm) string { return figures.Count(s.Evicted) }},
		{"first eviction", func(s *Storm) string { return seconds(s.FirstSeconds) }},
		{"p50", func(s *Storm) string { return seconds(s.P50Seconds) }},
		{"p99", func(s *Storm) string { return seconds(s.P99Seconds) }},
		{"last eviction", func(s *Storm) string { return seconds(s.LastSeconds) }},
		{"a pod alone on its node, tainted in the middle", func(s *Storm) string {
			if s.LoneSeconds == 0 {
				return notMeasured
			}
			return seconds(s.LoneSeconds)
		}},
		{"last Event", func(s *Storm) string { return seconds(s.LastEventSeconds) }},
		{"evictions/s to the last pod", func(s *Storm) string { return significant(s.EvictionsPerSecond) }},
		{"evictions/s to the last Event", func(s *Storm) string { return significant(s.EvictionsPerSecondToLastEvent) }},
		{"Events that arrived", func(s *Storm) string { return figures.Count(s.Events) + " of " + figures.Count(s.Pods) }},
		{"calls per eviction", callsText},
		{"node reads (per eviction; per tainted node and second)", func(s *Storm) string {
			return fmt.Sprintf("%s (%.3f; %.2f)", figures.Count(s.NodeReads), s.NodeReadsPerEviction, s.NodeReadsPerNodeSecond)
		}},
		{"other calls", func(s *Storm) string { return list(s.OtherCalls) }},
		{"calls that failed", func(s *Storm) string { return list(s.FailedCalls) }},
		{"CPU per eviction", func(s *Storm) string { return millis(s.Process.CPUMillisPerEviction) }},
		{"CPU of kube-apiserver and etcd per eviction", func(s *Storm) string { return millis(s.ControlPlaneCPUMillisPerEviction) }},
		{"processors busy with something else meanwhile", func(s *Storm) string { return plain(s.OthersCPU) }},
		{"resident memory before", func(s *Storm) string { return bytes(s.Process.IdleBytes) }},
		{"at its peak", func(s *Storm) string { return bytes(s.Process.PeakBytes) }},
		{"after", func(s *Storm) string { return bytes(s.Process.AfterBytes) }},
		{"start to working", func(s *Storm) string {
			if s.Process.StartToWorkingSeconds == 0 {
				return notMeasured
			}
			return seconds(s.Process.StartToWorkingSeconds)
		}},
	}
}

func stormTable(storms []Storm) figures.Table {
	t := figures.Table{{""}}
	for i := range storms {
		t[0] = append(t[0], storms[i].Title)
	}
	for _, row := range stormRows() {
		line := []string{row.name}
		for i := range storms {
			line = append(line, row.value(&storms[i]))
		}
		t = append(t, line)
	}
	return t
}

func (r *report) sizeTable() figures.Table {
	t := figures.Table{{"pods", "", "resident memory", "at its peak", "live heap", "start to working"}}
	for _, s := range r.Sizes {
		t = append(t, []string{figures.Count(s.Pods), s.Title, bytes(s.ResidentBytes), bytes(s.PeakBytes), bytes(s.LiveHeapBytes), seconds(s.StartToWorkingSeconds)})
	}
	seen := map[string]bool{}
	for _, size := range r.Sizes {
		if seen[size.Contender] {
			continue
		}
		seen[size.Contender] = true
		if s := slopeOf(r.Sizes, size.Contender); s != nil {
			t = append(t, []string{fmt.Sprintf("per pod, %s to %s", figures.Count(s.from), figures.Count(s.to)), size.Title, octets(s.resident), octets(s.peak), octets(s.live), ""})
		}
	}
	return t
}

// callsText is how many calls an eviction takes, and of which kinds.
func callsText(s *Storm) string {
	texts := []string{}
	for _, call := range slices.Sorted(maps.Keys(s.CallsPerEviction)) {
		texts = append(texts, fmt.Sprintf("%s %.2f", call, s.CallsPerEviction[call]))
	}
	return fmt.Sprintf("%.2f: %s", s.calls(), strings.Join(texts, ", "))
}

func list(counts map[string]int) string {
	texts := []string{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return orNone(strings.Join(texts, ", "))
}

func orNone(text string) string {
	if text == "" {
		return notMeasured
	}
	return text
}

func plain(v float64) string   { return strconv.FormatFloat(v, 'f', 2, 64) }
func fine(v float64) string    { return strconv.FormatFloat(v, 'f', 3, 64) }
func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }
func millis(v float64) string  { return strconv.FormatFloat(v, 'f', 2, 64) + " ms" }
func bytes(n uint64) string    { return octets(float64(n)) }

// significant writes two digits, and no fraction of larger numbers.
func significant(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return notMeasured
	}
	return strconv.FormatFloat(v, 'f', max(0, 1-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}

func seconds(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(1000*v, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// octets writes a number of bytes in the unit that fits.
func octets(v float64) string {
	switch {
	case math.Abs(v) >= 10<<20:
		return strconv.FormatFloat(v/(1<<20), 'f', 0, 64) + " MiB"
	case math.Abs(v) >= 1<<20:
		return strconv.FormatFloat(v/(1<<20), 'f', 1, 64) + " MiB"
	case v == 0 || math.IsNaN(v):
		return notMeasured
	default:
		return strconv.FormatFloat(v/(1<<10), 'f', 2, 64) + " KiB"
	}
}
