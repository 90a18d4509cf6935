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
	"slices"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

// The goals are for 5,000 pods on 50 nodes, and for memory from 10,000 to 60,000 pods.
const (
	firstGoal         = 0.100 // seconds
	rateGoal          = 0.90  // of the bare client's
	callsGoal         = 3.005 // 3, and a retry here and there
	nodeReadsGoal     = 0.05  // for each eviction
	nodePaceGoal      = 1     // for each tainted node and second
	loneGoal          = 1     // second
	eventsGoal        = 1     // of all
	cpuGoal           = 1.0   // milliseconds
	cpuShareGoal      = 1.25  // of the bare client's
	peakGoal          = 1.3   // of idle
	emptyGoal         = 40 << 20
	startPeakGoal     = 2.0 // of the resident memory after the start
	residentSlopeGoal = 1.5 * (1 << 10)
	liveSlopeGoal     = 1 << 10
	startGoal         = 0.7 // of the built-in controller's
)

// figure is what was seen of a contender; NaN where that was not measured.
type figure func(contender string) float64

// goals compares what was seen of taint-manager with what is asked of it.
func goals(r *report) []Goal {
	all := slices.Concat(stormGoals(r), evictGoals(r), sizeGoals(r))
	return slices.DeleteFunc(all, func(g Goal) bool { return math.IsNaN(g.Seen) })
}

func stormGoals(r *report) []Goal {
	of := func(value func(*Storm) float64) figure {
		return func(contender string) float64 { return r.mean(contender, value) }
	}
	toPod := of(func(s *Storm) float64 { return s.EvictionsPerSecond })
	toEvent := of(func(s *Storm) float64 { return s.EvictionsPerSecondToLastEvent })
	bare := func(rate figure) figure {
		return func(contender string) float64 { return quotient(rate(contender), rate(bareName)) }
	}
	return []Goal{
		atMost(firstGoal, "first eviction after the taint", "≤ 100 ms", seconds, of(func(s *Storm) float64 { return s.FirstSeconds })),
		atLeast(rateGoal, "evictions/s to the last pod, of the bare client's", "≥ 0.90", plain, bare(toPod)),
		atLeast(rateGoal, "evictions/s to the last Event, of the bare client's", "≥ 0.90", plain, bare(toEvent)),
		atMost(callsGoal, "calls per eviction, the Event included", "≤ 3", plain, of((*Storm).calls)),
		atMost(nodeReadsGoal, "node reads per eviction", "≤ 0.05", fine, of(func(s *Storm) float64 { return s.NodeReadsPerEviction })),
		atMost(nodePaceGoal, "node reads per tainted node and second", "≤ 1", plain, of(func(s *Storm) float64 { return s.NodeReadsPerNodeSecond })),
		atMost(loneGoal, "lateness of a pod that is alone on its node, tainted in the middle", "≤ 1 s", seconds, of(func(s *Storm) float64 { return quotient(s.LoneSeconds, 1) })),
		atLeast(eventsGoal, "Events that arrive", "all", percent, of(func(s *Storm) float64 { return quotient(float64(s.Events), float64(s.Pods)) })),
		atMost(cpuGoal, "CPU per eviction", "≤ 1.0 ms", millis, of(func(s *Storm) float64 { return s.Process.CPUMillisPerEviction })),
		atMost(cpuShareGoal, "CPU per eviction, of the bare client's", "≤ 1.25", plain, bare(of(func(s *Storm) float64 { return s.Process.CPUMillisPerEviction }))),
		atMost(peakGoal, "peak over idle resident memory", "≤ 1.3", plain, of(func(s *Storm) float64 { return quotient(float64(s.Process.PeakBytes), float64(s.Process.IdleBytes)) })),
	}
}

func sizeGoals(r *report) []Goal {
	if len(r.Sizes) == 0 {
		return nil
	}
	perPod := func(value func(*slope) float64) figure {
		return func(contender string) float64 {
			if s := slopeOf(r.Sizes, contender); s != nil {
				return value(s)
			}
			return math.NaN()
		}
	}
	at := func(pods int, value func(*Size) float64) figure {
		return func(contender string) float64 {
			if s := r.size(contender, pods); s != nil {
				return value(s)
			}
			return math.NaN()
		}
	}
	resident := perPod(func(s *slope) float64 { return s.resident })
	startPeak := at(r.largest(), func(s *Size) float64 { return quotient(float64(s.PeakBytes), float64(s.ResidentBytes)) })
	started := at(r.largest(), func(s *Size) float64 { return s.StartToWorkingSeconds })
	start := func(contender string) float64 { return quotient(started(contender), started(builtinName)) }
	return []Goal{
		atMost(liveSlopeGoal, "live heap per cached pod", "≤ 1 KiB", octets, perPod(func(s *slope) float64 { return s.live })),
		atMost(residentSlopeGoal, "resident memory per cached pod", "≤ 1.5 KiB", octets, resident),
		atMost(residentSlopeGoal, "… with lists in pages", "≤ 1.5 KiB", octets, inPages(resident)),
		atMost(startPeakGoal, "peak over resident memory after a start with "+figures.Count(r.largest())+" pods", "≤ 2", plain, startPeak),
		atMost(startPeakGoal, "… with lists in pages, too", "≤ 2", plain, inPages(startPeak)),
		atMost(emptyGoal, "resident memory at 0 pods", "≤ 40 MiB", octets, at(0, func(s *Size) float64 { return float64(s.ResidentBytes) })),
		atMost(startGoal, "start to working with "+figures.Count(r.largest())+" pods, of the built-in's", "≤ 0.7", plain, start),
	}
}

// inPages has taint-manager list in pages; of the others it is the same.
func inPages(of figure) figure {
	return func(contender string) float64 {
		if contender == oursName {
			contender = oursInPagesName
		}
		return of(contender)
	}
}

// quotient is NaN where there is none.
func quotient(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

func atMost(limit float64, name, wanted string, text func(float64) string, seen figure) Goal {
	g := newGoal(name, wanted, text, seen)
	g.Met = g.Seen <= limit
	return g
}

func atLeast(limit float64, name, wanted string, text func(float64) string, seen figure) Goal {
	g := newGoal(name, wanted, text, seen)
	g.Met = g.Seen >= limit
	return g
}

func newGoal(name, wanted string, text func(float64) string, seen figure) Goal {
	g := Goal{Name: name, Wanted: wanted, Seen: seen(oursName)}
	g.Text = text(g.Seen)
	if builtin := seen(builtinName); !math.IsNaN(builtin) {
		g.Builtin, g.BuiltinText, g.Ratio = builtin, text(builtin), ratio(g.Seen, builtin)
	}
	return g
}

// mean is the mean over a contender's storms; NaN where there are none.
func (r *report) mean(contender string, value func(*Storm) float64) float64 {
	return meanOf(r.Storms, contender, value)
}

func meanOf(storms []Storm, contender string, value func(*Storm) float64) float64 {
	sum, n := 0.0, 0.0
	for i := range storms {
		if storms[i].Contender == contender {
			sum, n = sum+value(&storms[i]), n+1
		}
	}
	return quotient(sum, n)
}

// storm is the last one of a contender, or nil.
func (r *report) storm(contender string) *Storm {
	for i := len(r.Storms) - 1; i >= 0; i-- {
		if r.Storms[i].Contender == contender {
			return &r.Storms[i]
		}
	}
	return nil
}

// size is what was measured of a contender with so many pods, or nil.
func (r *report) size(contender string, pods int) *Size {
	i := slices.IndexFunc(r.Sizes, func(s Size) bool { return s.Contender == contender && s.Pods == pods })
	if i < 0 {
		return nil
	}
	return &r.Sizes[i]
}

// largest is the largest number of pods at which anything was measured.
func (r *report) largest() (pods int) {
	for _, s := range r.Sizes {
		pods = max(pods, s.Pods)
	}
	return pods
}
