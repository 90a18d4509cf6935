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
	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// column is where values begin.
const column = 15

// maxEvents is how many Events are printed.
const maxEvents = 10

// printPod prints why a pod goes or went, or does not.
func printPod(p *text.Printer, e *explain.Pod) {
	p.Field(0, column, "Pod", e.Pod.Namespace+"/"+e.Pod.Name)
	p.Field(0, column, "Node", e.Node)
	p.Field(0, column, "Summary", e.Summary+".")
	if e.Fate != nil {
		printFate(p, 0, e.Fate, e.At)
	}
	if !e.Binding.IsZero() {
		p.Field(0, column, "Bound", when(p, e.Binding, e.At))
	}
	if r := e.Removal; r != nil {
		p.Field(0, column, "Removed by", r.By)
		p.Field(0, column, "", fmt.Sprintf("%s, by the %s %s: %s", when(p, r.At, e.At), r.From, r.Reason, r.Message))
	}
	if t := e.Terminating; t != nil {
		p.Field(0, column, "Terminating", fmt.Sprintf("since %s; its containers have to be gone %s", when(p, t.Since, e.At), when(p, t.GraceEnds, e.At)))
		p.Field(0, column, "Finalizers", strings.Join(t.Finalizers, ", "))
	}
	for i := range e.Taints {
		printTaint(p, &e.Taints[i], e.At)
	}
	printBudgets(p, e.Budgets)
	printEvents(p, e.Events, e.At)
}

// printFate prints when a pod goes.
func printFate(p *text.Printer, indent int, f *explain.Fate, now time.Time) {
	if !f.Deadline.IsZero() {
		goes := when(p, f.Deadline, now)
		if f.Outcome != explain.Scheduled {
			goes = "due since " + when(p, f.Deadline, now)
		}
		if f.AtLatest {
			goes += " at the latest: only the controller knows when it first saw the taint"
		}
		p.Field(indent, column, "Goes", goes)
	}
	if !f.DeleteAt.IsZero() {
		p.Field(indent, column, "Deleted", when(p, f.DeleteAt, now)+" whatever its budget says")
	}
	if !f.EndsAt.IsZero() {
		p.Field(indent, column, "Until", when(p, f.EndsAt, now)+", when another policy applies")
	}
}

// printTaint prints what a taint does to a pod.
func printTaint(p *text.Printer, t *explain.Taint, now time.Time) {
	fmt.Fprintf(p.Out, "\n%s\n", p.Style(text.Bold, "Taint "+t.Taint))
	p.Field(2, column, "Since", when(p, t.Start, now)+", by "+source(t.StartFrom))
	if !t.Period.IsZero() {
		p.Field(2, column, "Not ready", "since "+when(p, t.Period, now)+", by "+source(t.PeriodFrom))
	}
	p.Field(2, column, "Evidence", fmt.Sprintf("timeAdded %s; last change of the taints %s; ConfigMap %s",
		whenKnown(p, t.TimeAdded, now), whenKnown(p, t.LastChange, now), whenKnown(p, t.Recorded, now)))
	if t.Toleration != nil {
		p.Field(2, column, "Tolerated", "by "+explain.DescribeToleration(t.Toleration))
	} else {
		p.Field(2, column, "Tolerated", "by none")
	}
	for _, m := range t.Mismatches {
		p.Field(2, column, "", fmt.Sprintf("not by %s: %s", explain.DescribeToleration(&m.Toleration), m.Because))
	}
	printFate(p, 2, &t.Fate, now)
	if t.Fate.Deadline.IsZero() && t.Fate.Outcome != explain.LeftAlone {
		p.Field(2, column, "Goes", "not because of this taint")
	}
	for _, hold := range t.Fate.Held {
		by := "a dry run"
		if hold.Policy != "" {
			by = "policy " + hold.Policy
		}
		p.Field(2, column, "Held", fmt.Sprintf("by %s (%s); without it, it would be due %s", by, hold.Mode, when(p, hold.From, now)))
	}
	for i, match := range t.Policies {
		name := ""
		if i == 0 {
			name = "Policies"
		}
		says := match.Because
		if match.Applies {
			says = "applies"
		}
		p.Field(2, column, name, fmt.Sprintf("%s (%s, precedence %d): %s", match.Policy, match.Mode, match.Precedence, says))
	}
}

func printBudgets(p *text.Printer, budgets []explain.Budget) {
	if len(budgets) == 0 {
		return
	}
	fmt.Fprintln(p.Out)
	table := &text.Table{Columns: []text.Column{
		{Name: "BUDGET"}, {Name: "ALLOWED"}, {Name: "HEALTHY"}, {Name: "DESIRED"}, {Name: "PODS"}, {Name: "EVICTION"},
	}}
	for _, b := range budgets {
		verdict := map[budget.Verdict]string{
			budget.Free: "goes without a place", budget.TakesPlace: "takes a place", budget.Refused: "refused now",
		}[b.Verdict]
		if b.Stale {
			verdict = "refused: the disruption controller has not seen the latest version"
		}
		table.Add(text.Plain, b.Budget.Name, fmt.Sprint(b.Allowed), fmt.Sprint(b.Healthy), fmt.Sprint(b.Desired), fmt.Sprint(b.Expected), verdict)
	}
	p.Table(table)
}

func printEvents(p *text.Printer, events []explain.Event, now time.Time) {
	if len(events) == 0 {
		return
	}
	fmt.Fprintln(p.Out)
	table := &text.Table{Columns: []text.Column{{Name: "EVENT"}, {Name: "COUNT"}, {Name: "FROM"}, {Name: "REASON"}, {Name: "MESSAGE"}}}
	for _, e := range events[:min(len(events), maxEvents)] {
		style := text.Plain
		if e.Type == "Warning" {
			style = text.Warn
		}
		table.Add(style, when(p, e.Last, now), fmt.Sprint(e.Count), e.Reporter, e.Reason, e.Message)
	}
	p.Table(table)
	if more := len(events) - maxEvents; more > 0 {
		fmt.Fprintf(p.Out, "and %d more\n", more)
	}
}

// source says in words what dates a start.
func source(s deadline.Source) string {
	switch s {
	case deadline.ByTimeAdded:
		return "its timeAdded"
	case deadline.ByLastChange:
		return "the last change of the taints (managedFields)"
	case deadline.ByRecord:
		return "the record in the ConfigMap"
	default:
		return "this command: nothing dates it, and only the controller knows when it first saw it"
	}
}

// when returns a time as people say it, and with -o wide the absolute one too.
func when(p *text.Printer, t, now time.Time) string {
	if p.Wide {
		return fmt.Sprintf("%s (%s)", text.Absolute(t), text.Relative(t, now))
	}
	return text.Relative(t, now)
}

// whenKnown is when for a time that may not be known.
func whenKnown(p *text.Printer, t, now time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return when(p, t, now)
}
