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
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

const (
	evictRateGoal     = 0.90 // of the bare client's
	conflictGoal      = 0.01 // of eviction calls
	violatedGoal      = 0
	wentGoal          = 1   // of all
	evictionCallsGoal = 1.2 // for each pod that goes
	brakeGoal         = 1.1 // of without
)

// evictGoals are about mode Evict and the brake, which the built-in controller does not have.
func evictGoals(r *report) []Goal {
	rate := func(s *Storm) float64 { return s.EvictionsPerSecond }
	cpu := func(s *Storm) float64 { return s.Process.CPUMillisPerEviction }
	return []Goal{
		atLeast(evictRateGoal, "mode Evict, evictions/s to the last pod, of the bare client's", "≥ 0.90", plain,
			onlyOurs(quotient(meanOf(r.EvictStorms, oursEvictName, rate), meanOf(r.EvictStorms, bareEvictName, rate)))),
		atMost(conflictGoal, "… answers 409, of eviction calls", "≤ 1 %", percent, onlyOurs(meanOf(r.EvictStorms, oursEvictName, (*Storm).conflicts))),
		atMost(callsGoal, "… calls per eviction, its Event included", "≤ 3", plain, onlyOurs(meanOf(r.EvictStorms, oursEvictName, (*Storm).calls))),
		atMost(violatedGoal, "mode Evict, budgets of one place that were violated", "none", count, onlyOurs(r.Budgets.violated())),
		atLeast(wentGoal, "… pods that go", "all", percent, onlyOurs(r.Budgets.went())),
		atMost(evictionCallsGoal, "… eviction calls for each of them", "≤ 1.2", plain, onlyOurs(r.Budgets.callsPerPod())),
		atMost(brakeGoal, "CPU per eviction with the eviction brake, of that without", "≤ 1.1", plain,
			onlyOurs(quotient(meanOf(r.BrakeStorms, brakedName, cpu), meanOf(r.BrakeStorms, oursName, cpu)))),
	}
}

// onlyOurs is a figure that there is of taint-manager only.
func onlyOurs(value float64) figure {
	return func(contender string) float64 {
		if contender == oursName {
			return value
		}
		return math.NaN()
	}
}

func count(v float64) string { return figures.Count(int(v)) }

// conflicts is which part of the eviction calls was answered with 409.
func (s *Storm) conflicts() float64 {
	return quotient(float64(s.FailedCalls[evictCall+": 409"]), s.CallsPerEviction[evictCall]*float64(s.Evicted))
}

func (b *Budgets) violated() float64 {
	if b == nil {
		return math.NaN()
	}
	return float64(b.Violated)
}

func (b *Budgets) went() float64 {
	if b == nil {
		return math.NaN()
	}
	return quotient(float64(b.Went), float64(b.Pods))
}

func (b *Budgets) callsPerPod() float64 {
	if b == nil {
		return math.NaN()
	}
	return quotient(float64(b.EvictionCalls), float64(b.Went))
}

// evictTables writes everything that was measured of mode Evict and the brake.
func (r *report) evictTables(b *strings.Builder) {
	if len(r.EvictStorms) > 0 {
		b.WriteString("\n")
		evictStormTable(r.EvictStorms).Write(b)
	}
	if r.Budgets != nil {
		b.WriteString("\n")
		r.Budgets.table().Write(b)
	}
	if len(r.BrakeStorms) > 0 {
		b.WriteString("\n")
		brakeTable(r.BrakeStorms).Write(b)
	}
}

// evictStormTable leaves out what is not measured in these storms.
func evictStormTable(storms []Storm) figures.Table {
	return slices.DeleteFunc(stormTable(storms), func(row []string) bool { return strings.HasPrefix(row[0], "a pod alone") })
}

// brakeTable has what the brake could change.
func brakeTable(storms []Storm) figures.Table {
	wanted := []string{"", "pods, nodes", "evicted", "first eviction", "evictions/s to the last pod", "CPU per eviction", "at its peak", "processors busy with something else meanwhile"}
	return slices.DeleteFunc(stormTable(storms), func(row []string) bool { return !slices.Contains(wanted, row[0]) })
}

func (b *Budgets) table() figures.Table {
	return figures.Table{
		{"mode Evict, budgets of one place", "taint-manager"},
		{"budgets, pods", figures.Count(b.Budgets) + ", " + figures.Count(b.Pods)},
		{"pods that went", figures.Count(b.Went)},
		{"until the last one", seconds(b.Seconds)},
		{"budgets that were violated", figures.Count(b.Violated)},
		{"ready pods of a budget, at least (and wanted)", figures.Count(b.FewestReady) + " (" + figures.Count(b.MinAvailable) + ")"},
		{"eviction calls (for each pod)", figures.Count(b.EvictionCalls) + " (" + plain(b.callsPerPod()) + ")"},
		{"calls that failed", list(b.Failed)},
	}
}
