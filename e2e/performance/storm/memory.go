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

import "github.com/taint-manager/taint-manager/e2e/performance/figures"

const (
	// limitOfPeak is how much memory a limit allows for each byte of the peak at the start: the rest is for storms, for lists that are
	// made again, and for the garbage collector, which works the harder the closer the limit is.
	limitOfPeak = 1.5
	// limitUnit is what limits are multiples of.
	limitUnit = 64 << 20
)

// estimatedPods are numbers of pods beyond those that were measured. Kubernetes supports 150,000.
func estimatedPods() []int { return []int{150_000, 300_000} }

// memoryTable says how much memory taint-manager needs for how many pods, where lists are streamed and where they are in pages. Beyond
// what was measured it goes on as from the smallest to the largest size with pods.
func (r *report) memoryTable() figures.Table {
	t := figures.Table{{"pods", "lists streamed, where the API server can: resident", "at its peak", "lists in pages: resident", "at its peak", "memory limit"}}
	for _, s := range r.Sizes {
		if s.Contender == oursName {
			t = r.memoryRow(t, figures.Count(s.Pods), s.Pods)
		}
	}
	for _, pods := range estimatedPods() {
		if pods > r.largest() {
			t = r.memoryRow(t, figures.Count(pods)+" (estimated)", pods)
		}
	}
	return t
}

// memoryRow adds the row of a number of pods, if it can be told for both kinds of lists.
func (r *report) memoryRow(t figures.Table, title string, pods int) figures.Table {
	row, peak := []string{title}, 0.0
	for _, contender := range []string{oursName, oursInPagesName} {
		resident, highest, ok := r.memoryOf(contender, pods)
		if !ok {
			return t
		}
		row, peak = append(row, octets(resident), octets(highest)), max(peak, highest)
	}
	return append(t, append(row, bytes(limitFor(peak))))
}

// memoryOf is the resident memory and the peak of a contender with a number of pods, as measured or estimated.
func (r *report) memoryOf(contender string, pods int) (resident, peak float64, ok bool) {
	if s := r.size(contender, pods); s != nil {
		return float64(s.ResidentBytes), float64(s.PeakBytes), true
	}
	s := slopeOf(r.Sizes, contender)
	if s == nil {
		return 0, 0, false
	}
	from := r.size(contender, s.to)
	more := float64(pods - s.to)
	resident = float64(from.ResidentBytes) + more*s.resident
	return resident, max(resident, float64(from.PeakBytes)+more*s.peak), true
}

// limitFor is the limit for a peak.
func limitFor(peak float64) uint64 {
	limit := uint64(peak * limitOfPeak)
	return (limit + limitUnit - 1) / limitUnit * limitUnit
}
