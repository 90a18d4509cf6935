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
	"fmt"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// printPlan prints what would become of pods.
func printPlan(p *text.Printer, plan *explain.Plan) {
	if !p.NoHeaders {
		printPlanHead(p, plan)
	}
	if len(plan.Pods) > 0 {
		printPlannedPods(p, plan)
	}
	if p.NoHeaders {
		return
	}
	printTotals(p, plan)
	printBudgetUse(p, plan.Budgets)
	printWarnings(p, plan)
}

// printPlanHead prints the change.
func printPlanHead(p *text.Printer, plan *explain.Plan) {
	change := ""
	if len(plan.Add) > 0 {
		change += " with " + strings.Join(plan.Add, " and ")
	}
	if len(plan.Remove) > 0 {
		change += " without " + strings.Join(plan.Remove, " and ")
	}
	nodes := text.Count(len(plan.Nodes), "node")
	if len(plan.Nodes) == 1 {
		nodes = "node " + plan.Nodes[0].Name
	}
	p.Paragraph(text.Bold, 0, 2, fmt.Sprintf("Plan for %s%s. Nothing is changed.", nodes, change))
	fmt.Fprintln(p.Out)
}

func printPlannedPods(p *text.Printer, plan *explain.Plan) {
	table := &text.Table{Columns: []text.Column{
		{Name: "NAMESPACE"}, {Name: "POD"}, {Name: "NODE", Wide: len(plan.Nodes) == 1}, {Name: "GOES"}, {Name: "HOW"}, {Name: "POLICY", Wide: true},
		{Name: "NOW", Wide: true}, {Name: "ROOM", Wide: true}, {Name: "WHY"},
	}}
	table.Each = func(add func(text.Style, ...string)) {
		for i := range plan.Pods {
			pod := &plan.Pods[i]
			goes, style := goesWhen(p, &pod.Fate, plan.At)
			how := string(pod.Fate.Mode)
			if pod.Fate.ModeUnknown {
				how = "unknown"
			}
			add(style, pod.Pod.Namespace, pod.Pod.Name, pod.Node, goes, dash(how), pod.Fate.Policy, string(pod.Now), roomOf(pod), whyGoes(p, pod, len(plan.Add) != 1, plan.At))
		}
	}
	p.Table(table)
}

// roomOf says whether a replacement of a pod finds room, and where.
func roomOf(pod *explain.PlannedPod) string {
	switch {
	case pod.Workload == nil:
		return ""
	case pod.Workload.On != "":
		return string(pod.Workload.Replacement) + " " + pod.Workload.On
	default:
		return string(pod.Workload.Replacement)
	}
}

// goesWhen says when a pod goes.
func goesWhen(p *text.Printer, f *explain.Fate, now time.Time) (string, text.Style) {
	switch f.Outcome {
	case explain.Due:
		return "now", text.Bad
	case explain.Scheduled:
		return when(p, f.Deadline, now), text.Plain
	case explain.Blocked:
		return "blocked", text.Warn
	case explain.Held:
		return "held", text.Plain
	case explain.Stays:
		return "stays", text.Faint
	default:
		return "left alone", text.Faint
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// whyGoes says in a few words why a pod goes, or does not, and what else to know. With several taints it names the one that decides.
func whyGoes(p *text.Printer, pod *explain.PlannedPod, several bool, now time.Time) string {
	f, parts := &pod.Fate, []string(nil)
	switch f.Outcome {
	case explain.Held:
		for _, hold := range f.Held {
			by := "dry run"
			if hold.Policy != "" {
				by = "policy " + hold.Policy
			}
			parts = append(parts, fmt.Sprintf("%s: %s", by, hold.Mode))
		}
	case explain.Stays:
		parts = append(parts, map[bool]string{true: "no taint", false: "tolerated"}[f.Reason == deadline.NoTaint])
	case explain.LeftAlone:
		parts = append(parts, map[deadline.Reason]string{
			deadline.IsMirror: "mirror pod", deadline.IsTerminating: "terminating", deadline.IsFinished: "finished",
		}[f.Reason])
	default:
		why := "not tolerated"
		switch {
		case f.Toleration == nil:
		case p.Wide:
			why = "tolerated by " + explain.DescribeToleration(f.Toleration)
		default:
			why = fmt.Sprintf("tolerated for %ds", *f.Toleration.TolerationSeconds)
		}
		if several {
			why = f.Taint + " " + why
		}
		parts = append(parts, why)
		if f.Outcome == explain.Blocked {
			parts = append(parts, "budget "+strings.Join(f.BlockedBy, " and "))
		}
		if !f.DeleteAt.IsZero() {
			parts = append(parts, "deleted "+text.Relative(f.DeleteAt, now))
		}
		if f.AtLatest {
			parts = append(parts, "or earlier: only the controller knows")
		}
	}
	if w := pod.Workload; w != nil && pod.Goes() {
		if w.Controller == "" {
			parts = append(parts, "bare")
		}
		parts = append(parts, w.LocalData...)
		if w.Replacement == explain.NoRoom {
			parts = append(parts, "no room elsewhere")
		}
	}
	return strings.Join(parts, "; ")
}

func printTotals(p *text.Printer, plan *explain.Plan) {
	table := &text.Table{Columns: []text.Column{
		{Name: "NAMESPACE"}, {Name: "PODS"}, {Name: "NOW"}, {Name: "LATER"}, {Name: "BLOCKED"}, {Name: "HELD"}, {Name: "STAY"}, {Name: "LEFT ALONE"},
	}}
	add := func(name string, t *explain.Totals) {
		cells := []string{name}
		for _, n := range []int{t.Pods, t.Now, t.Later, t.Blocked, t.Held, t.Stay, t.LeftAlone} {
			cells = append(cells, fmt.Sprint(n))
		}
		table.Add(text.Plain, cells...)
	}
	for i := range plan.Namespaces {
		add(plan.Namespaces[i].Namespace, &plan.Namespaces[i].Totals)
	}
	if len(plan.Namespaces) != 1 {
		add("total", &plan.Totals)
	}
	if len(plan.Pods) > 0 {
		fmt.Fprintln(p.Out)
	}
	p.Table(table)
}

func printBudgetUse(p *text.Printer, budgets []explain.BudgetUse) {
	if len(budgets) == 0 {
		return
	}
	fmt.Fprintln(p.Out)
	table := &text.Table{Columns: []text.Column{{Name: "BUDGET"}, {Name: "ALLOWED"}, {Name: "EVICTED"}, {Name: "BLOCKED"}, {Name: "DELETED"}}}
	for _, b := range budgets {
		style := text.Plain
		if b.Blocked > 0 {
			style = text.Warn
		}
		table.Add(style, b.Budget.Namespace+"/"+b.Budget.Name, fmt.Sprint(b.Allowed), fmt.Sprint(b.Evicted), fmt.Sprint(b.Blocked), fmt.Sprint(b.Deleted))
	}
	p.Table(table)
}

func printWarnings(p *text.Printer, plan *explain.Plan) {
	t := &plan.Totals
	warn := func(n int, says string) {
		if n > 0 {
			p.Paragraph(text.Warn, 0, 2, text.Count(n, "pod")+" "+says)
		}
	}
	if t.Bare+t.LocalData+t.NoRoom+t.Blocked > 0 {
		fmt.Fprintln(p.Out)
	}
	warn(t.Bare, "without a controller: nothing makes them again.")
	warn(t.LocalData, "with volumes on the node: their data goes with them, or stays behind.")
	warn(t.NoRoom, "whose replacements find no room on other nodes, by requests, taints, node selector and node affinity.")
	warn(t.Blocked, "that a disruption budget does not let go, until replacements of others are ready.")
}
