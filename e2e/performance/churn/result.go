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
	"slices"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

// results are what was measured of all contenders: the built-in one first, then ours, then ours without partial decoding.
type results struct {
	Machine    string   `json:"machine"`
	Kubernetes string   `json:"kubernetes"`
	Nodes      int      `json:"nodes"`
	Pods       int      `json:"pods"`
	Contenders []result `json:"contenders"`
}

// result is what was measured of one, in so many rounds: sums of times and updates, and means of memory, in bytes.
type result struct {
	Name   string `json:"name"`
	Rounds int    `json:"rounds"`
	// Idle is without updates. Busy is with them, and for a moment after them.
	Idle usage `json:"idle"`
	Busy usage `json:"busy"`
	// NodeUpdates and PodUpdates were taken within so many seconds.
	NodeUpdates    int     `json:"nodeUpdates"`
	PodUpdates     int     `json:"podUpdates"`
	Seconds        float64 `json:"seconds"`
	ResidentBefore uint64  `json:"residentBefore"`
	ResidentAfter  uint64  `json:"residentAfter"`
	// Peak is the most resident memory while everything was read, and Live the live heap after the updates.
	Peak uint64 `json:"peak"`
	Live uint64 `json:"live"`
}

// add takes over a round of a contender.
func (r *results) add(round result) {
	i := slices.IndexFunc(r.Contenders, func(c result) bool { return c.Name == round.Name })
	if i < 0 {
		r.Contenders = append(r.Contenders, round)
		return
	}
	c := &r.Contenders[i]
	c.Idle.add(round.Idle)
	c.Busy.add(round.Busy)
	c.NodeUpdates, c.PodUpdates, c.Seconds = c.NodeUpdates+round.NodeUpdates, c.PodUpdates+round.PodUpdates, c.Seconds+round.Seconds
	n := uint64(c.Rounds)
	mean := func(to *uint64, value uint64) { *to = (*to*n + value) / (n + 1) }
	mean(&c.ResidentBefore, round.ResidentBefore)
	mean(&c.ResidentAfter, round.ResidentAfter)
	mean(&c.Peak, round.Peak)
	mean(&c.Live, round.Live)
	c.Rounds++
}

func (u *usage) add(other usage) {
	u.Seconds, u.CPUSeconds, u.Proxy = u.Seconds+other.Seconds, u.CPUSeconds+other.CPUSeconds, u.Proxy+other.Proxy
}

// cpuSeconds is the processor time that the updates cost.
func (r result) cpuSeconds() float64 {
	return r.Busy.CPUSeconds - r.Idle.CPUSeconds/r.Idle.Seconds*r.Busy.Seconds
}

func (r result) idle() float64 { return 100 * r.Idle.CPUSeconds / r.Idle.Seconds }
func (r result) busy() float64 { return 100 * r.cpuSeconds() / r.Seconds }
func (r result) perUpdate() float64 {
	return 1e6 * r.cpuSeconds() / float64(r.NodeUpdates+r.PodUpdates)
}
func (r result) before() float64 { return float64(r.ResidentBefore) / (1 << 20) }
func (r result) after() float64  { return float64(r.ResidentAfter) / (1 << 20) }
func (r result) peak() float64   { return float64(r.Peak) / (1 << 20) }
func (r result) live() float64   { return float64(r.Live) / (1 << 20) }

// markdown is the table, with what one has to know to read it above.
func (r results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; Kubernetes %s. %d nodes without taints, %d pods of about 5 KB. A proxy puts status updates into the watches of\n"+
		"nodes and pods that change nothing that the rules read.\n\n", r.Machine, r.Kubernetes, r.Nodes, r.Pods)
	head := []string{""}
	for _, c := range r.Contenders {
		head = append(head, c.Name)
	}
	for _, other := range r.others() {
		head = append(head, "of "+other.Name)
	}
	figures.Table{
		head,
		r.row("updates taken per second: nodes", "%.0f", func(c result) float64 { return float64(c.NodeUpdates) / c.Seconds }, false),
		r.row("updates taken per second: pods", "%.0f", func(c result) float64 { return float64(c.PodUpdates) / c.Seconds }, false),
		r.row("**CPU for them, of one core**", "%.1f %%", result.busy, true),
		r.row("CPU per update", "%.1f µs", result.perUpdate, true),
		r.row("CPU without any, of one core", "%.2f %%", result.idle, false),
		r.row("resident memory at its peak, while reading all", "%.0f MiB", result.peak, true),
		r.row("resident memory before", "%.0f MiB", result.before, true),
		r.row("resident memory after", "%.0f MiB", result.after, true),
		r.row("live heap after", "%.1f MiB", result.live, true),
	}.Write(&b)
	return b.String()
}

// ours is what was measured of taint-manager as it is, or nil.
func (r results) ours() *result {
	if i := slices.IndexFunc(r.Contenders, func(c result) bool { return c.Name == oursName }); i >= 0 {
		return &r.Contenders[i]
	}
	return nil
}

// others are those that taint-manager as it is is compared with.
func (r results) others() []result {
	return slices.DeleteFunc(slices.Clone(r.Contenders), func(c result) bool { return c.Name == oursName })
}

// row is a line, with taint-manager's part of the others' figures where that says something.
func (r results) row(name, format string, value func(result) float64, ratio bool) []string {
	row := []string{name}
	for _, c := range r.Contenders {
		row = append(row, fmt.Sprintf(format, value(c)))
	}
	ours := r.ours()
	for _, other := range r.others() {
		part := ""
		if theirs := value(other); ratio && theirs > 0 && ours != nil {
			part = fmt.Sprintf("%.2f", value(*ours)/theirs)
		}
		row = append(row, part)
	}
	return row
}
