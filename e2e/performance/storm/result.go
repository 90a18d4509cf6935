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
	"maps"
	"math"
	"slices"
	"time"
)

// report is everything that was measured, as it is written to the file.
type report struct {
	Machine Machine `json:"machine"`
	Storms  []Storm `json:"storms,omitempty"`
	Sizes   []Size  `json:"sizes,omitempty"`
	Goals   []Goal  `json:"goals,omitempty"`
	// EvictStorms are those of mode Evict, and BrakeStorms those with the eviction brake and without.
	EvictStorms []Storm  `json:"evictStorms,omitempty"`
	BrakeStorms []Storm  `json:"brakeStorms,omitempty"`
	Budgets     *Budgets `json:"budgets,omitempty"`
	// Mechanisms are what clever mechanisms buy.
	Mechanisms []Mechanism `json:"mechanisms,omitempty"`
}

// Storm is what was measured of one contender while all nodes were tainted.
type Storm struct {
	Contender string `json:"contender"`
	Title     string `json:"title"`
	Pods      int    `json:"pods"`
	Nodes     int    `json:"nodes"`
	Evicted   int    `json:"evicted"`
	Events    int    `json:"events"`

	// podsOnly ends the storm with the last pod.
	podsOnly bool
	// alone are the pods that are alone on their nodes; nil for none.
	alone *lone

	// From the answer to the first taint.
	FirstSeconds float64 `json:"firstSeconds"`
	// EvictedSeconds are when the first pod was evicted, and when each further percent of the pods was.
	EvictedSeconds []float64 `json:"evictedSeconds,omitempty"`
	P50Seconds     float64   `json:"p50Seconds"`
	P99Seconds     float64   `json:"p99Seconds"`
	LastSeconds    float64   `json:"lastSeconds"`
	// LastEventSeconds is until the last Event, or the last eviction where that is later.
	LastEventSeconds              float64 `json:"lastEventSeconds"`
	EvictionsPerSecond            float64 `json:"evictionsPerSecond"`
	EvictionsPerSecondToLastEvent float64 `json:"evictionsPerSecondToLastEvent"`

	// LoneSeconds is the longest time from the taint of a node in the middle of the storm until the only pod on it was evicted; zero
	// where one was not.
	LoneSeconds float64 `json:"loneSeconds"`

	// CallsPerEviction are those on pods and about them, OtherCalls all others but node reads, and FailedCalls those of
	// both with another answer than success.
	CallsPerEviction map[string]float64 `json:"callsPerEviction"`
	OtherCalls       map[string]int     `json:"otherCalls,omitempty"`
	FailedCalls      map[string]int     `json:"failedCalls,omitempty"`
	NodeReads        int                `json:"nodeReads"`
	// NodeReadsPerEviction is for each pod of the storm.
	NodeReadsPerEviction float64 `json:"nodeReadsPerEviction"`
	// NodeReadsPerNodeSecond is for each tainted node and second that has begun until the last eviction.
	NodeReadsPerNodeSecond float64 `json:"nodeReadsPerNodeSecond"`

	Process                          Process `json:"process"`
	ControlPlaneCPUMillisPerEviction float64 `json:"controlPlaneCPUMillisPerEviction"`
	BenchCPUMillisPerEviction        float64 `json:"benchCPUMillisPerEviction"`
	// OthersCPU is how many processors were busy with something else all the time: what is measured beside that is too slow.
	OthersCPU float64 `json:"othersCPU"`
}

// Process is what a contender's process needs.
type Process struct {
	CPUMillisPerEviction float64 `json:"cpuMillisPerEviction"`
	IdleBytes            uint64  `json:"idleBytes"`
	PeakBytes            uint64  `json:"peakBytes"`
	AfterBytes           uint64  `json:"afterBytes"`
	// StartToWorkingSeconds is missing for the bare client, which is told what to do.
	StartToWorkingSeconds float64 `json:"startToWorkingSeconds,omitempty"`
}

// Size is what a process needs at its start and at rest after that, with so many pods.
type Size struct {
	Contender             string  `json:"contender"`
	Title                 string  `json:"title"`
	Pods                  int     `json:"pods"`
	ResidentBytes         uint64  `json:"residentBytes"`
	PeakBytes             uint64  `json:"peakBytes"` // from its start on
	LiveHeapBytes         uint64  `json:"liveHeapBytes"`
	StartToWorkingSeconds float64 `json:"startToWorkingSeconds"`
}

// Budgets is what was measured while nodes were emptied whose pods are covered by budgets of one place each.
type Budgets struct {
	Budgets      int `json:"budgets"`
	MinAvailable int `json:"minAvailable"`
	// Pods are those on the nodes, and Went are those of them that were evicted.
	Pods    int     `json:"pods"`
	Went    int     `json:"went"`
	Seconds float64 `json:"seconds"`
	// Violated is of how many budgets fewer pods than MinAvailable were ready at some time, and FewestReady how many were of any at least.
	Violated      int            `json:"violated"`
	FewestReady   int            `json:"fewestReady"`
	EvictionCalls int            `json:"evictionCalls"`
	Failed        map[string]int `json:"failedCalls,omitempty"`
}

// Goal is what is asked of taint-manager, and what was seen.
type Goal struct {
	Name   string  `json:"name"`
	Wanted string  `json:"wanted"`
	Seen   float64 `json:"seen"`
	Text   string  `json:"text"` // what was seen, as a person reads it
	Met    bool    `json:"met"`
	// Builtin is what was seen of the built-in controller, and Ratio taint-manager's part of that; zero where that was not measured.
	Builtin     float64 `json:"builtin,omitempty"`
	BuiltinText string  `json:"builtinText,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`
}

// time takes over when pods were evicted and Events arrived, both sorted, from the answer to the first taint.
func (s *Storm) time(evicted, events []time.Duration) {
	s.Evicted, s.Events = len(evicted), len(events)
	s.EvictedSeconds = curve(evicted)
	s.FirstSeconds = percentile(evicted, 0).Seconds()
	s.P50Seconds = percentile(evicted, 50).Seconds()
	s.P99Seconds = percentile(evicted, 99).Seconds()
	s.LastSeconds = percentile(evicted, 100).Seconds()
	s.LastEventSeconds = max(s.LastSeconds, percentile(events, 100).Seconds())
	s.EvictionsPerSecond = ratio(float64(s.Evicted), s.LastSeconds)
	s.EvictionsPerSecondToLastEvent = ratio(float64(s.Evicted), s.LastEventSeconds)
}

// perEviction is a time for each eviction in milliseconds.
func (s *Storm) perEviction(total time.Duration) float64 {
	return ratio(total.Seconds()*1000, float64(s.Evicted))
}

func (s *Storm) countCalls(c *calls) {
	s.CallsPerEviction, s.OtherCalls, s.FailedCalls = map[string]float64{}, c.other, c.failed
	for call, n := range c.eviction {
		s.CallsPerEviction[call] = ratio(float64(n), float64(s.Evicted))
	}
	s.NodeReads = c.nodeReads
	s.NodeReadsPerEviction = ratio(float64(c.nodeReads), float64(s.Evicted))
	s.NodeReadsPerNodeSecond = ratio(float64(c.nodeReads), float64(s.Nodes)*(math.Floor(s.LastSeconds)+1))
}

// calls is the sum of all calls that an eviction takes.
func (s *Storm) calls() (sum float64) {
	for _, call := range slices.Sorted(maps.Keys(s.CallsPerEviction)) {
		sum += s.CallsPerEviction[call]
	}
	return sum
}
