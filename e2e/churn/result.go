package main

import (
	"fmt"
	"runtime"
	"strings"
)

// results are what was measured of all contenders: the built-in one first, then ours.
type results struct {
	Machine    string   `json:"machine"`
	Kubernetes string   `json:"kubernetes"`
	Nodes      int      `json:"nodes"`
	Pods       int      `json:"pods"`
	Contenders []result `json:"contenders"`
}

// result is what was measured of one. Memory is in bytes.
type result struct {
	Name string `json:"name"`
	// Idle is without updates. Busy is with them, and for a moment after them.
	Idle usage `json:"idle"`
	Busy usage `json:"busy"`
	// NodeUpdates and PodUpdates were taken within so many seconds.
	NodeUpdates    int     `json:"nodeUpdates"`
	PodUpdates     int     `json:"podUpdates"`
	Seconds        float64 `json:"seconds"`
	ResidentBefore uint64  `json:"residentBefore"`
	ResidentAfter  uint64  `json:"residentAfter"`
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

// markdown is the table, with what one has to know to read it above.
func (r results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; Kubernetes %s. %d nodes without taints, %d pods of about 5 KB. A proxy puts status updates into the watches of\n"+
		"nodes and pods that change nothing that the rules read.\n\n", r.Machine, r.Kubernetes, r.Nodes, r.Pods)
	head, line := "| |", "|---|"
	for _, c := range r.Contenders {
		head += " " + c.Name + " |"
		line += "---|"
	}
	fmt.Fprintf(&b, "%s ratio |\n%s---|\n", head, line)
	r.row(&b, "updates taken per second: nodes", "%.0f", func(c result) float64 { return float64(c.NodeUpdates) / c.Seconds }, false)
	r.row(&b, "updates taken per second: pods", "%.0f", func(c result) float64 { return float64(c.PodUpdates) / c.Seconds }, false)
	r.row(&b, "**CPU for them, of one core**", "%.1f %%", result.busy, true)
	r.row(&b, "CPU per update", "%.1f µs", result.perUpdate, true)
	r.row(&b, "CPU without any, of one core", "%.2f %%", result.idle, false)
	r.row(&b, "resident memory before", "%.0f MiB", result.before, true)
	r.row(&b, "resident memory after", "%.0f MiB", result.after, true)
	return b.String()
}

// row writes a line, with the ratio of the last figure to the first where that says something.
func (r results) row(b *strings.Builder, name, format string, value func(result) float64, ratio bool) {
	fmt.Fprintf(b, "| %s |", name)
	for _, c := range r.Contenders {
		fmt.Fprintf(b, " "+format+" |", value(c))
	}
	if first := value(r.Contenders[0]); ratio && first > 0 {
		fmt.Fprintf(b, " %.2f |\n", value(r.Contenders[len(r.Contenders)-1])/first)
	} else {
		fmt.Fprint(b, " |\n")
	}
}

// machineText says what this runs on.
func machineText() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
