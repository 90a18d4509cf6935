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
	"math"
	"runtime/debug"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

// result is what was measured with one size of cluster. Memory is in bytes.
type result struct {
	// Part is the divisor of the whole.
	Part  int `json:"part"`
	Nodes int `json:"nodes"`
	Pods  int `json:"pods"`

	HeapPerNode float64 `json:"liveHeapPerNode"`
	HeapPerPod  float64 `json:"liveHeapPerPod"`
	Heap        int64   `json:"liveHeap"`
	// Selecting is with policies that select by labels, and Unlabelled without labels and policies.
	Selecting  *memory `json:"selecting,omitempty"`
	Unlabelled *memory `json:"unlabelled,omitempty"`

	ResidentIdle int64 `json:"residentIdle"`
	Resident     int64 `json:"resident"`
	ResidentPeak int64 `json:"residentPeakSyncing"`

	// Making is making the pods for nobody, and Sync reading them.
	Making usage `json:"makingPods"`
	Sync   usage `json:"sync"`

	// Collection is a garbage collection of all that. From here on there is none.
	Collection usage `json:"garbageCollection"`

	Tainted    int   `json:"tainted"`
	Scheduled  int   `json:"scheduled"`
	TaintAlone usage `json:"taintSourceAlone"`
	Taint      usage `json:"taint"`
	// TaintLag is from the last taint until all pods were scheduled.
	TaintLag float64 `json:"taintLagSeconds"`
	// Events are those about nodes whose pods were scheduled.
	Events int64 `json:"events"`

	ChurnAlone churn `json:"churnSourceAlone"`
	Churn      churn `json:"churn"`
	Idle       usage `json:"idle"`
}

// churn is updates that change nothing that the rules read.
type churn struct {
	usage
	Nodes int `json:"nodes"`
	Pods  int `json:"pods"`
}

// add adds a turn.
func (c *churn) add(turn churn) {
	c.Seconds += turn.Seconds
	c.CPUSeconds += turn.CPUSeconds
	c.Allocated += turn.Allocated
	c.Nodes += turn.Nodes
	c.Pods += turn.Pods
}

// own is the processor time that the controller used for something, beside what the source of the events used alone. No garbage
// was collected meanwhile; a collection is due whenever as much has been allocated as lives, so it has that share in one.
func (r result) own(with, alone usage) float64 {
	return with.CPUSeconds - alone.CPUSeconds + r.Collection.CPUSeconds*(with.Allocated-alone.Allocated)/float64(r.Heap)
}

// row is a line of the table.
type row struct {
	name string
	cell func(result) string
}

func rows() []row {
	return []row{
		{"nodes", func(r result) string { return figures.Count(r.Nodes) }},
		{"pods", func(r result) string { return figures.Count(r.Pods) }},
		{"**live heap per pod**", func(r result) string { return fmt.Sprintf("%.0f B", r.HeapPerPod) }},
		{"**… for labels, and policies that select by them, of it: ≤ 64 B**", result.labelsPerPodText},
		{"live heap per node", func(r result) string { return fmt.Sprintf("%.0f B", r.HeapPerNode) }},
		{"… for labels, of it", result.labelsPerNodeText},
		{"resident memory after reading all", func(r result) string { return mib(r.Resident) }},
		{"… per pod, beyond that without any", func(r result) string {
			return fmt.Sprintf("%.0f B", float64(r.Resident-r.ResidentIdle)/float64(r.Pods))
		}},
		{"… at its peak, while reading", func(r result) string { return mib(r.ResidentPeak) }},
		{"**time to read all pods**", func(r result) string { return fmt.Sprintf("%.1f s", r.Sync.Seconds) }},
		{"… time to make them, for nobody", func(r result) string { return fmt.Sprintf("%.1f s", r.Making.Seconds) }},
		{"… CPU per pod", func(r result) string { return micros(r.Sync.CPUSeconds-r.Making.CPUSeconds, r.Pods) }},
		{"CPU of one garbage collection, per pod", func(r result) string { return micros(r.Collection.CPUSeconds, r.Pods) }},
		{"nodes tainted within a second", func(r result) string { return figures.Count(r.Tainted) }},
		{"… pods that this schedules", func(r result) string { return figures.Count(r.Scheduled) }},
		{"**… time from the first taint until all are scheduled**", func(r result) string { return fmt.Sprintf("%.2f s", r.Taint.Seconds) }},
		{"… time from the last taint", func(r result) string { return fmt.Sprintf("%.0f ms", 1000*r.TaintLag) }},
		{"… CPU per pod that is scheduled", func(r result) string { return micros(r.own(r.Taint, r.TaintAlone), r.Scheduled) }},
		{"status updates per second, of nodes and of pods", func(r result) string {
			return fmt.Sprintf("%.0f + %.0f", float64(r.Churn.Nodes)/r.Churn.Seconds, float64(r.Churn.Pods)/r.Churn.Seconds)
		}},
		{"**… CPU, of one core**", func(r result) string {
			return fmt.Sprintf("%.1f %%", 100*r.own(r.Churn.usage, r.ChurnAlone.usage)/r.Churn.Seconds)
		}},
		{"… CPU per update", func(r result) string {
			return micros(r.own(r.Churn.usage, r.ChurnAlone.usage), r.Churn.Nodes+r.Churn.Pods)
		}},
		{"CPU while nothing happens and these nodes are not ready, of one core", func(r result) string {
			return fmt.Sprintf("%.1f %%", 100*r.own(r.Idle, usage{})/r.Idle.Seconds)
		}},
	}
}

// markdown is the table, with what one has to know to read it above.
func markdown(machine string, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. The real informers and the real controller, which leads. The pods and nodes come from a watch in the same\n"+
		"process, made one by one over a streaming list: **decoding is not part of this**. CPU is without what making the objects costs\n"+
		"when nobody reads them, and with garbage collections; resident memory is with the objects' garbage.\n\n", machine)
	table := figures.Table{{""}}
	for _, r := range results {
		table[0] = append(table[0], fraction(r.Part))
	}
	for _, row := range rows() {
		line := []string{row.name}
		for _, r := range results {
			line = append(line, row.cell(r))
		}
		table = append(table, line)
	}
	table.Write(&b)
	return b.String()
}

// machineText says what this runs on.
func machineText() string {
	client := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "k8s.io/client-go" {
				client = module.Version
			}
		}
	}
	return figures.Machine() + ", client-go " + client
}

func fraction(part int) string {
	if part == 1 {
		return "the whole"
	}
	return fmt.Sprintf("1/%d", part)
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

func micros(seconds float64, n int) string {
	each := 1e6 * seconds / float64(n)
	if math.Abs(each) < 10 {
		return fmt.Sprintf("%.1f µs", each)
	}
	return fmt.Sprintf("%.0f µs", each)
}
