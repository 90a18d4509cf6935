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
	"time"
)

// Lines of view that stay when a terminal is too low for all of it.
const (
	viewHead = 2
	viewFoot = 2
)

// view is the table of the pods that the taints met, with the state of things around it.
func view(l *ledger, nodes []string, began, now time.Time) []line {
	rows := []line{{{"POD", dim}, {"NODE", dim}, {"TOLERATES", dim}, {"GOES", dim}, {"WHAT BECAME OF IT", dim}}}
	for _, p := range l.affected() {
		text, style := state(p, l.expectation(p), now)
		tolerates := p.tolerates.String()
		if p.changed != nil {
			tolerates = fmt.Sprintf("%d → %s", p.tolerates.seconds, p.changed.to)
		}
		rows = append(rows, line{
			{p.name, normal}, {p.node, normal}, {tolerates, normal}, {when(p, l.expectation(p)), normal}, {text, style},
		})
	}
	lines := append([]line{{}}, columns(rows)...)
	return append(lines, summary(l, began, now), population(l, nodes))
}

// when says at which time after the taint a pod has to go.
func when(p *pod, e expectation) string {
	switch e.outcome {
	case atOnce:
		return "at once"
	case onTime:
		return "at " + p.toleratesNow().String()
	default:
		return "never"
	}
}

// state says what has become of a pod.
func state(p *pod, e expectation, now time.Time) (string, style) {
	late := e.lateness(p.left)
	switch complaint := e.complaint(p, now); {
	case complaint != "":
		return complaint, bad
	case !p.left.IsZero():
		return "evicted, " + seconds(late) + " late", good
	case e.outcome == cancelled:
		return "cancelled: it stays", good
	case !e.outcome.goes():
		return "stays", dim
	case now.Before(e.earliest):
		return fmt.Sprintf("goes in %.1f s", e.earliest.Sub(now).Seconds()), pending
	default:
		return fmt.Sprintf("due for %.1f s", e.lateness(now).Seconds()), pending
	}
}

// summary counts what has happened and what has not.
func summary(l *ledger, began, now time.Time) line {
	var evicted, waiting, off int
	for _, p := range l.affected() {
		e := l.expectation(p)
		switch {
		case !p.left.IsZero():
			evicted++
		case e.outcome == cancelled:
			off++
		case e.outcome.goes():
			waiting++
		}
	}
	return line{
		{fmt.Sprintf("%.1f s after the taints: ", now.Sub(began).Seconds()), bold},
		{fmt.Sprintf("%d evicted", evicted), good}, {", ", normal}, {fmt.Sprintf("%d to go", waiting), pending}, {", ", normal},
		{fmt.Sprintf("%d cancelled", off), normal},
	}
}

// population counts the pods on each node.
func population(l *ledger, nodes []string) line {
	texts := make([]string, 0, len(nodes))
	for _, name := range nodes {
		text := fmt.Sprintf("%s %d", name, l.on(name))
		if node := l.nodes[name]; node != nil && node.removed == nil {
			text += " (tainted)"
		}
		texts = append(texts, text)
	}
	return line{{"pods: " + strings.Join(texts, ", "), dim}}
}

// starting shows how far the pods of the first act are.
func starting(l *ledger, want int) []line {
	running := l.running()
	const width = 40
	done := width * running / max(want, 1)
	bar := strings.Repeat("█", min(done, width)) + strings.Repeat("░", width-min(done, width))
	return []line{{{bar, accent}, {fmt.Sprintf(" %d of %d pods run", running, want), normal}}}
}

// tell puts news into words, for those who have no table.
func tell(l *ledger, n news, began time.Time) []line {
	var lines []line
	p := n.pod
	say := func(at time.Time, format string, args ...any) {
		text := fmt.Sprintf("  %6.2f s  %s ", at.Sub(began).Seconds(), p.name)
		lines = append(lines, line{{text + fmt.Sprintf(format, args...), normal}})
	}
	if n.bound {
		say(p.bound, "comes to %s", p.node)
	}
	if n.left {
		e := l.expectation(p)
		text, _ := state(p, e, p.left)
		say(p.left, "leaves %s: %s (%s)", nodeName(p), text, e.why(p))
	}
	return lines
}

// names of pods, sorted and in one string.
func names(list []*pod) string {
	var all []string
	for _, p := range list {
		all = append(all, p.name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
