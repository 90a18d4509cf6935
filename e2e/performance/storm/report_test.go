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
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

func second(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// sample is a report as it could be.
func sample() *report {
	bare := Storm{Contender: bareName, Title: "bare client", Pods: 4, Nodes: 2, Process: Process{CPUMillisPerEviction: 0.4}}
	bare.time([]time.Duration{second(0.1), second(1)}, []time.Duration{second(2)})
	ours := Storm{
		Contender: oursName, Title: "taint-manager", Pods: 4, Nodes: 2,
		Process: Process{CPUMillisPerEviction: 0.5, IdleBytes: 40 << 20, PeakBytes: 50 << 20},
	}
	ours.time([]time.Duration{second(0.05), second(0.5), second(1), second(2)}, []time.Duration{second(0.1), second(4)})
	ours.countCalls(&calls{
		eviction: map[string]int{"patch pods/status": 4, "delete pods": 4, "create events": 4},
		other:    map[string]int{"update leases": 1}, nodeReads: 6,
	})
	ours.LoneSeconds = 1.5
	builtin := ours
	builtin.Contender, builtin.Title, builtin.FirstSeconds = builtinName, "built-in", 33
	return &report{
		Storms: []Storm{bare, ours, builtin},
		Sizes: []Size{
			{oursName, "taint-manager", 0, 35 << 20, 40 << 20, 5 << 20, 0.2},
			{oursName, "taint-manager", 10_000, 50 << 20, 60 << 20, 10 << 20, 0.5},
			{oursName, "taint-manager", 60_000, 250 << 20, 310 << 20, 50 << 20, 4.5},
			{oursInPagesName, "taint-manager, lists in pages", 0, 35 << 20, 40 << 20, 5 << 20, 0.2},
			{oursInPagesName, "taint-manager, lists in pages", 10_000, 50 << 20, 70 << 20, 10 << 20, 0.5},
			{oursInPagesName, "taint-manager, lists in pages", 60_000, 100 << 20, 220 << 20, 50 << 20, 4.5},
			{builtinName, "built-in", 60_000, 705 << 20, 900 << 20, 600 << 20, 9},
		},
		EvictStorms: evictStorms(),
		BrakeStorms: []Storm{
			{Contender: oursName, Title: "without", Process: Process{CPUMillisPerEviction: 1}}, {Contender: brakedName, Title: "brake", Process: Process{CPUMillisPerEviction: 1.25}},
			{Contender: oursName, Title: "without", Process: Process{CPUMillisPerEviction: 2}},
		},
		Budgets: &Budgets{Budgets: 2, MinAvailable: 4, Pods: 10, Went: 10, Seconds: 8, FewestReady: 4, EvictionCalls: 13, Failed: map[string]int{"create pods/eviction: 429": 3}},
	}
}

// evictStorms are storms of mode Evict: taint-manager is as fast as the mean of the bare client's, and 2 of 102 calls are answered with 409.
func evictStorms() []Storm {
	ours := Storm{Contender: oursEvictName, Title: "mode Evict", Pods: 100, Nodes: 2, Evicted: 100, EvictionsPerSecond: 150}
	ours.countCalls(&calls{
		eviction: map[string]int{"get pods": 102, "create pods/eviction": 102, "create events": 100},
		failed:   map[string]int{"create pods/eviction: 409": 2, "get pods: 404": 7},
	})
	return []Storm{
		{Contender: bareEvictName, Title: "bare, evicting", Pods: 100, Nodes: 2, EvictionsPerSecond: 100}, ours,
		{Contender: bareEvictName, Title: "bare, evicting", Pods: 100, Nodes: 2, EvictionsPerSecond: 200},
	}
}

func TestStormTimes(t *testing.T) {
	s := sample().storm(oursName)
	if s.Evicted != 4 || s.Events != 2 || s.FirstSeconds != 0.05 || s.P50Seconds != 0.5 || s.P99Seconds != 2 || s.LastSeconds != 2 {
		t.Errorf("%+v", s)
	}
	if s.EvictionsPerSecond != 2 || s.EvictionsPerSecondToLastEvent != 1 || s.NodeReadsPerNodeSecond != 1 || s.NodeReadsPerEviction != 1.5 || s.calls() != 3 {
		t.Errorf("%+v", s)
	}
	if got := s.perEviction(8 * time.Millisecond); got != 2 {
		t.Errorf("%v ms", got)
	}
	var none Storm
	none.time(nil, nil)
	if none.EvictionsPerSecond != 0 || none.perEviction(time.Second) != 0 {
		t.Errorf("of no evictions: %+v", none)
	}
}

func TestMeanOfTwoStorms(t *testing.T) {
	r := &report{Storms: []Storm{{Contender: bareName, EvictionsPerSecond: 100}, {Contender: oursName, EvictionsPerSecond: 120}, {Contender: bareName, EvictionsPerSecond: 200}}}
	i := slices.IndexFunc(goals(r), func(g Goal) bool { return g.Name == "evictions/s to the last pod, of the bare client's" })
	if seen := goals(r)[i].Seen; seen != 0.8 {
		t.Errorf("got %v", seen)
	}
	rate := func(s *Storm) float64 { return s.EvictionsPerSecond }
	if bare, none := r.mean(bareName, rate), r.mean(builtinName, rate); bare != 150 || !math.IsNaN(none) {
		t.Errorf("got %v and %v", bare, none)
	}
}

func TestGoals(t *testing.T) {
	r := sample()
	met, ratios := map[string]bool{}, map[string]float64{}
	for _, g := range goals(r) {
		met[g.Name], ratios[g.Name] = g.Met, g.Ratio
	}
	for name, want := range map[string]bool{
		"first eviction after the taint":                                     true,
		"evictions/s to the last pod, of the bare client's":                  true,
		"evictions/s to the last Event, of the bare client's":                true,
		"calls per eviction, the Event included":                             true,
		"node reads per eviction":                                            false,
		"node reads per tainted node and second":                             true,
		"CPU per eviction, of the bare client's":                             true,
		"lateness of a pod that is alone on its node, tainted in the middle": false,
		"Events that arrive":                                                 false,
		"CPU per eviction":                                                   true,
		"peak over idle resident memory":                                     true,
		"mode Evict, evictions/s to the last pod, of the bare client's":      true,
		"… answers 409, of eviction calls":                                   false,
		"… calls per eviction, its Event included":                           false,
		"mode Evict, budgets of one place that were violated":                true,
		"… pods that go":                                                     true,
		"… eviction calls for each of them":                                  false,
		"CPU per eviction with the eviction brake, of that without":          true,
		"live heap per cached pod":                                           true,
		"resident memory per cached pod":                                     false,
		"… with lists in pages":                                              true,
		"peak over resident memory after a start with 60,000 pods":           true,
		"… with lists in pages, too":                                         false,
		"resident memory at 0 pods":                                          true,
		"start to working with 60,000 pods, of the built-in's":               true,
	} {
		if got, found := met[name]; !found || got != want {
			t.Errorf("%s: met %t (found: %t), want %t", name, got, found, want)
		}
	}
	if got := ratios["first eviction after the taint"]; math.Abs(got-0.05/33) > 1e-9 {
		t.Errorf("ratio %v", got)
	}
	if got := goals(&report{Storms: []Storm{*r.storm(bareName)}}); len(got) != 0 {
		t.Errorf("goals of what was not measured: %+v", got)
	}
}

// A budget that was violated once, or a pod that stays, is a goal that is not met.
func TestBudgetGoals(t *testing.T) {
	for _, test := range []struct {
		name string
		Budgets
		want string
	}{
		{"all is well", Budgets{Pods: 10, Went: 10, EvictionCalls: 12}, ""},
		{"violated", Budgets{Pods: 10, Went: 10, EvictionCalls: 10, Violated: 1}, "mode Evict, budgets of one place that were violated"},
		{"one stays", Budgets{Pods: 10, Went: 9, EvictionCalls: 9}, "… pods that go"},
		{"too many calls", Budgets{Pods: 10, Went: 10, EvictionCalls: 13}, "… eviction calls for each of them"},
	} {
		missed, found := "", 0
		for _, g := range goals(&report{Budgets: &test.Budgets}) {
			if found++; !g.Met {
				missed += g.Name
			}
		}
		if missed != test.want || found != 3 {
			t.Errorf("%s: of %d goals %q is not met, want %q", test.name, found, missed, test.want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := sample()
	r.Goals = goals(r)
	text := r.markdown()
	for _, want := range []string{
		"| first eviction after the taint | 0.0015 | ≤ 100 ms | 50 ms | 33.0 s | yes |",
		"| Events that arrive | 1.0 | all | 50.0 % | 50.0 % | **no** |",
		"| | bare client | taint-manager | built-in |\n|---|---|---|---|\n",
		"| CPU per eviction | 0.40 ms | 0.50 ms | 0.50 ms |",
		"3.00: create events 1.00, delete pods 1.00, patch pods/status 1.00",
		"| a pod alone on its node, tainted in the middle | — | 1.5 s | 1.5 s |",
		"| node reads (per eviction; per tainted node and second) | 0 (0.000; 0.00) | 6 (1.500; 1.00) | 6 (1.500; 1.00) |",
		"| CPU per eviction, of the bare client's | 1.0 | ≤ 1.25 | 1.25 | 1.25 | yes |",
		"| other calls | — | update leases 1 | update leases 1 |",
		"| per pod, 10,000 to 60,000 | taint-manager | 4.10 KiB | 5.12 KiB | 0.82 KiB | |",
		"| 10,000 | 50 MiB | 60 MiB | 50 MiB | 70 MiB | 128 MiB |",
		"| mode Evict, evictions/s to the last pod, of the bare client's | — | ≥ 0.90 | 1.00 | — | yes |",
		"| … answers 409, of eviction calls | — | ≤ 1 % | 2.0 % | — | **no** |",
		"| … calls per eviction, its Event included | — | ≤ 3 | 3.04 | — | **no** |",
		"| mode Evict, budgets of one place that were violated | — | none | 0 | — | yes |",
		"| … pods that go | — | all | 100.0 % | — | yes |",
		"| … eviction calls for each of them | — | ≤ 1.2 | 1.30 | — | **no** |",
		"| CPU per eviction with the eviction brake, of that without | — | ≤ 1.1 | 0.83 | — | yes |",
		"| | bare, evicting | mode Evict | bare, evicting |\n|---|---|---|---|\n",
		"| ready pods of a budget, at least (and wanted) | 4 (4) |", "| eviction calls (for each pod) | 13 (1.30) |",
		"| calls that failed | create pods/eviction: 429 3 |",
		"| | without | brake | without |\n", "| CPU per eviction | 1.00 ms | 1.25 ms | 2.00 ms |",
		"| 150,000 (estimated) | 610 MiB | 760 MiB | 190 MiB | 490 MiB | 1152 MiB |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "NaN") || strings.Contains(line, "Inf") {
			t.Errorf("%s", line)
		}
	}
	if err := figures.WriteJSON(filepath.Join(t.TempDir(), "made", "bench.json"), r); err != nil {
		t.Error(err)
	}
}

// TestMemoryTable has no row of what was measured for one kind of lists only.
func TestMemoryTable(t *testing.T) {
	if got := (&report{Sizes: []Size{{Contender: oursName, Pods: 5}}}).memoryTable(); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := sample().memoryTable(); len(got) != 1+3+len(estimatedPods()) {
		t.Errorf("%q", got)
	}
	// A peak is never below what it is the peak of, however much of it garbage collections have spared a large size.
	low := &report{Sizes: []Size{{Contender: oursName, Pods: 10, ResidentBytes: 10, PeakBytes: 40}, {Contender: oursName, Pods: 20, ResidentBytes: 40, PeakBytes: 41}}}
	if resident, peak, ok := low.memoryOf(oursName, 40); resident != 100 || peak != 100 || !ok {
		t.Errorf("%v resident, %v at its peak, %t", resident, peak, ok)
	}
	if low, high := limitFor(64<<20), limitFor(100<<20); low != 128<<20 || high != 192<<20 {
		t.Errorf("limits of %d and %d", low, high)
	}
}

func TestSlopeOf(t *testing.T) {
	r := sample()
	got := slopeOf(r.Sizes, oursName)
	if got == nil || got.from != 10_000 || got.to != 60_000 || got.resident != float64(200<<20)/50_000 || got.peak != float64(250<<20)/50_000 || got.live != float64(40<<20)/50_000 {
		t.Errorf("%+v", got)
	}
	if got := slopeOf(r.Sizes, builtinName); got != nil {
		t.Errorf("of one size: %+v", got)
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		figures.Count(7): "7", figures.Count(1234): "1,234", figures.Count(60_000_000): "60,000,000",
		octets(512): "0.50 KiB", octets(3 << 20): "3.0 MiB", octets(100 << 20): "100 MiB",
		seconds(0.0504): "50 ms", seconds(2): "2.0 s",
		significant(133.4): "133", significant(13.4): "13", significant(1.34): "1.3", significant(0.00151): "0.0015", significant(0): notMeasured,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
