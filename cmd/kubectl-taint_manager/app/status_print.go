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
	"cmp"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// maxNodePods is how many pods of a node are printed, unless the output is wide.
const maxNodePods = 10

// statusColumn is where values begin.
const statusColumn = 10

// printStatus prints what goes on.
func printStatus(p *text.Printer, s *explain.Status) {
	printLeader(p, s)
	if s.Brake != nil {
		p.Field(0, statusColumn, "Brake", brakeWords(p, s.Brake, s.At))
	}
	for i := range s.Holds {
		name := "Policy"
		if s.Holds[i].Pause {
			name = "Paused"
		}
		p.Field(0, statusColumn, name, holdWords(p, &s.Holds[i], s.At))
	}
	if len(s.Nodes) == 0 {
		return
	}
	if len(s.Nodes) > 1 {
		p.Field(0, statusColumn, "Total", countWords(&s.Total, ""))
	}
	fmt.Fprintln(p.Out)
	printNodes(p, s)
	printPods(p, s)
}

// printLeader prints which replica evicts, if there is something to evict or somebody who does not.
func printLeader(p *text.Printer, s *explain.Status) {
	switch l := s.Leader; {
	case l == nil || len(s.Nodes) == 0:
	case l.Leads:
		p.Field(0, statusColumn, "Leader", l.Holder)
	case l.Holder != "":
		p.Field(0, statusColumn, "Leader", fmt.Sprintf("none: %s has not renewed the Lease since %s", l.Holder, when(p, l.Renewed, s.At)))
	default:
		p.Field(0, statusColumn, "Leader", "none: nobody has the Lease")
	}
}

func brakeWords(p *text.Printer, b *explain.Brake, now time.Time) string {
	words := "on"
	if !b.Since.IsZero() {
		words += " since " + when(p, b.Since, now)
	}
	if b.Message != "" {
		words += ". " + b.Message
	}
	return words + ". Only the controller knows which pods it holds."
}

// holdWords says which policy holds pods, who made it and until when it holds them.
func holdWords(p *text.Printer, h *explain.PolicyHold, now time.Time) string {
	words := "a dry run"
	switch {
	case h.Pause:
		words = "policy " + h.Policy + " holds " + cmp.Or(h.Holds, "all evictions")
	case h.Policy != "":
		words = h.Policy + " (" + string(h.Mode) + ")"
	}
	if h.Pods > 0 && h.Pause {
		words += ", now those of " + text.Count(h.Pods, "pod")
	} else if h.Pods > 0 {
		words += " holds " + text.Count(h.Pods, "pod")
	}
	if !h.Expires.IsZero() {
		words += fmt.Sprintf(", until %s (%s)", text.Absolute(h.Expires), text.Relative(h.Expires, now))
	} else if h.Policy != "" && !h.Created.IsZero() {
		words += ", until it is changed or deleted"
	}
	if h.CreatedBy != "" {
		words += ", made by " + h.CreatedBy
	} else if h.CreatedWith != "" {
		words += ", made with " + h.CreatedWith
	}
	if !h.Created.IsZero() {
		words += " " + when(p, h.Created, now)
	}
	return words
}

// countWords says how many pods are in which state. scheduled is added to those that are scheduled.
func countWords(c *explain.Counts, scheduled string) string {
	var words []string
	for _, one := range []struct {
		n    int
		word string
	}{
		{c.Overdue, "overdue"}, {c.Stuck, "stuck"}, {c.Blocked, "blocked"}, {c.Due, "due"}, {c.Terminating, "terminating"},
		{c.Scheduled, "scheduled" + scheduled}, {c.Held, "held"}, {c.Stay + c.MirrorPods + c.Finished, "staying"},
	} {
		if one.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// printNodes prints the nodes with their taints. A node with several has a row for each.
func printNodes(p *text.Printer, s *explain.Status) {
	table := &text.Table{Columns: []text.Column{{Name: "NODE"}, {Name: "TAINT"}, {Name: "SINCE"}, {Name: "PODS"}}}
	for i := range s.Nodes {
		node := &s.Nodes[i]
		style := text.Plain
		if node.Counts.Overdue+node.Counts.Stuck > 0 {
			style = text.Bad
		} else if node.Counts.Blocked > 0 {
			style = text.Warn
		}
		pods := countWords(&node.Counts, scheduleWords(p, node, s.At))
		if len(node.Taints) == 0 {
			table.Add(style, node.Node, "none that evicts", "-", pods)
		}
		for _, taint := range node.Taints {
			table.Add(style, node.Node, shortTaint(taint.Taint), sinceWords(p, taint, s.At), pods)
			pods = "the same"
		}
	}
	p.Table(table)
}

// sinceWords says since when a node has a taint.
func sinceWords(p *text.Printer, taint explain.NodeTaint, now time.Time) string {
	if taint.SinceFrom == deadline.ByFirstSight {
		return "unknown"
	}
	return when(p, taint.Since, now)
}

// scheduleWords says when the pods go that are scheduled.
func scheduleWords(p *text.Printer, node *explain.NodeStatus, now time.Time) string {
	if node.Next.Equal(node.Last) {
		return " (" + when(p, node.Next, now) + ")"
	}
	return fmt.Sprintf(" (next %s, last %s)", when(p, node.Next, now), when(p, node.Last, now))
}

// shortTaint returns a taint without the effect that most have.
func shortTaint(taint string) string {
	return strings.TrimSuffix(taint, ":"+string(v1.TaintEffectNoExecute))
}

// printPods prints the pods that go or would go.
func printPods(p *text.Printer, s *explain.Status) {
	table := &text.Table{Columns: []text.Column{
		{Name: "STATE"}, {Name: "POD"}, {Name: "NODE", Wide: len(s.Nodes) == 1}, {Name: "WHEN"}, {Name: "MODE", Wide: true}, {Name: "POLICY", Wide: true},
		{Name: "TAINT", Wide: true}, {Name: "WHY"},
	}}
	shown := func(node *explain.NodeStatus) []explain.PodStatus {
		if p.Wide {
			return node.Pods
		}
		return node.Pods[:min(len(node.Pods), maxNodePods)]
	}
	rows, more := 0, 0
	for i := range s.Nodes {
		n := len(shown(&s.Nodes[i]))
		rows, more = rows+n, more+len(s.Nodes[i].Pods)-n
	}
	if rows == 0 {
		return
	}
	table.Each = func(add func(text.Style, ...string)) {
		for i := range s.Nodes {
			pods := shown(&s.Nodes[i])
			for j := range pods {
				pod := &pods[j]
				add(stateStyle(pod.State), string(pod.State), pod.Pod.Namespace+"/"+pod.Pod.Name, pod.Node, whenWords(p, pod, s.At),
					string(pod.Fate.Mode), pod.Fate.Policy, shortTaint(pod.Taint()), whyWords(p, pod, s.At))
			}
		}
	}
	fmt.Fprintln(p.Out)
	p.Table(table)
	if more > 0 {
		fmt.Fprintf(p.Out, "and %s: -o wide shows all\n", text.Count(more, "more pod"))
	}
}

func stateStyle(state explain.State) text.Style {
	switch state {
	case explain.StateOverdue, explain.StateStuck:
		return text.Bad
	case explain.StateBlocked:
		return text.Warn
	case explain.StateHeld:
		return text.Faint
	default:
		return text.Plain
	}
}

// whenWords says the time that matters of a pod.
func whenWords(p *text.Printer, pod *explain.PodStatus, now time.Time) string {
	switch t := pod.Time(); {
	case t.IsZero() || pod.State == explain.StateDue && pod.Fate.AtLatest:
		return "unknown"
	default:
		return when(p, t, now)
	}
}

// whyWords says what a pod waits for.
func whyWords(p *text.Printer, pod *explain.PodStatus, now time.Time) string {
	words := pod.Because
	if pod.State == explain.StateBlocked {
		if !pod.BlockedSince.IsZero() {
			words += "; waits " + lasting(p, pod.BlockedSince, now)
		}
		if !pod.Fate.DeleteAt.IsZero() {
			words += "; deleted in any case " + when(p, pod.Fate.DeleteAt, now)
		}
	}
	if pod.State == explain.StateHeld && !pod.Fate.Deadline.IsZero() {
		words += "; goes " + when(p, pod.Fate.Deadline, now) + ", when that expires"
	}
	if t := pod.Terminating; t != nil && now.After(t.GraceEnds) {
		words += "; its grace period ended " + when(p, t.GraceEnds, now)
	}
	return words
}

// lasting says for how long something has been so, and with -o wide since when.
func lasting(p *text.Printer, since, now time.Time) string {
	if p.Wide {
		return "since " + when(p, since, now)
	}
	return "for " + duration.HumanDuration(now.Sub(since))
}
