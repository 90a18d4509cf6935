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
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
)

// display shows progress.
type display interface {
	// show shows the progress. broken are the errors of watches that do not work now.
	show(p *explain.Progress, broken error) error
	// end says how the watch ended. p is nil if nothing was seen.
	end(p *explain.Progress, how string) error
}

// progressDisplay returns how the user wants to see progress.
func (o *watchVerb) progressDisplay() display {
	format := o.Output.Format
	switch {
	case format != "" && format != "wide" && format != "name":
		return &encodedDisplay{Common: o.Common}
	case isTerminal(o.Out):
		return &screenDisplay{printer: o.printer, screen: o.newScreen()}
	default:
		return &lineDisplay{out: o.Out}
	}
}

// changes lets progress through that differs from what was let through before, once a second at most.
type changes struct {
	last   string
	broken string
	at     time.Time
}

// pass reports whether to show progress. The last one always is.
func (c *changes) pass(p *explain.Progress, broken error) bool {
	now, words := fingerprint(p.Timeless()), ""
	if broken != nil {
		words = broken.Error()
	}
	same := c.broken == words && c.last == now
	if same || c.last != "" && !p.Done && p.At.Sub(c.at) < time.Second {
		return false
	}
	c.last, c.broken, c.at = now, words, p.At
	return true
}

// encodedDisplay prints each progress as -o says.
type encodedDisplay struct {
	*Common
	changes
}

func (d *encodedDisplay) show(p *explain.Progress, broken error) error {
	if broken != nil {
		p.Notes = append(p.Notes, broken.Error())
	}
	if !d.pass(p, broken) {
		return nil
	}
	return d.print(p, func(*text.Printer) {})
}

func (d *encodedDisplay) end(*explain.Progress, string) error { return nil }

// lineDisplay appends a line for each node that changes.
type lineDisplay struct {
	changes
	out   io.Writer
	begun bool
}

func (d *lineDisplay) show(p *explain.Progress, broken error) error {
	if !d.pass(p, broken) {
		return nil
	}
	if !d.begun {
		d.begun = true
		printLimits(&text.Printer{Out: d.out}, p.Common())
	}
	for i := range p.Nodes {
		if _, err := fmt.Fprintf(d.out, "%s %s: %s\n", text.Absolute(p.At.Truncate(time.Second)), p.Nodes[i].Node, nodeLine(p, &p.Nodes[i])); err != nil {
			return err
		}
	}
	if broken != nil {
		fmt.Fprintf(d.out, "%s %s\n", text.Absolute(p.At.Truncate(time.Second)), brokenWords(broken))
	}
	return nil
}

func (d *lineDisplay) end(p *explain.Progress, how string) error {
	return printEnd(&text.Printer{Out: d.out}, p, how)
}

// nodeLine says in a line how far a node is.
func nodeLine(p *explain.Progress, node *explain.NodeProgress) string {
	parts := []string{countsOf(node)}
	if rate := rateWords(node); rate != "" {
		parts = append(parts, rate)
	}
	if latest := latestWords(node, p.At); latest != "" {
		parts = append(parts, latest)
	}
	if p.Brake != nil {
		parts = append(parts, "the eviction brake is on")
	}
	for _, wait := range node.Waits {
		parts = append(parts, waitWords(wait, p.At))
	}
	if !node.Exists {
		parts = append(parts, "the node does not exist any more")
	}
	return strings.Join(parts, "; ")
}

// screenDisplay shows progress in one place of a terminal.
type screenDisplay struct {
	printer func() *text.Printer
	screen  *screen
}

func (d *screenDisplay) show(p *explain.Progress, broken error) error {
	printer, picture := d.printer(), &bytes.Buffer{}
	printer.Out = picture
	printProgress(printer, p, broken)
	return d.screen.draw(picture.String())
}

func (d *screenDisplay) end(p *explain.Progress, how string) error {
	if err := d.screen.leave(); err != nil {
		return err
	}
	return printEnd(d.printer(), p, how)
}

// barWidth is the number of characters of a bar.
const barWidth = 20

// printProgress prints how far all nodes are, as a picture.
func printProgress(p *text.Printer, progress *explain.Progress, broken error) {
	for i := range progress.Nodes {
		printNodeProgress(p, progress, &progress.Nodes[i])
	}
	if progress.Brake != nil {
		p.Paragraph(text.Warn, 0, 2, "Brake: "+brakeWords(p, progress.Brake, progress.At))
	}
	if broken != nil {
		p.Paragraph(text.Warn, 0, 2, brokenWords(broken))
	}
	printLimits(p, progress.Common())
}

func printNodeProgress(p *text.Printer, progress *explain.Progress, node *explain.NodeProgress) {
	words := node.Node
	switch {
	case !node.Exists:
		words += " does not exist any more"
	case len(node.Taints) == 0:
		words += " has no taint that evicts"
	default:
		var taints []string
		for _, taint := range node.Taints {
			taints = append(taints, shortTaint(taint.Taint)+" since "+sinceWords(p, taint, progress.At))
		}
		words += ": " + strings.Join(taints, ", ")
	}
	p.Paragraph(text.Bold, 0, 2, words)
	line := bar(node) + " " + countsOf(node)
	if rate := rateWords(node); rate != "" {
		line += ", " + rate
	}
	p.Paragraph(text.Plain, 2, 4, line)
	if latest := latestWords(node, progress.At); latest != "" {
		p.Paragraph(text.Plain, 2, 4, latest)
	}
	for _, wait := range node.Waits {
		p.Paragraph(text.Plain, 2, 4, waitWords(wait, progress.At))
	}
	if node.Stay.Sum() > 0 {
		p.Paragraph(text.Plain, 2, 4, stayWords(&node.Stay))
	}
}

// bar draws how many of the pods of a node are gone, and how many are terminating.
func bar(node *explain.NodeProgress) string {
	total := node.ToGo + node.Terminating + node.Gone
	if total == 0 {
		return strings.Repeat("█", barWidth)
	}
	gone := barWidth * node.Gone / total
	terminating := barWidth*(node.Gone+node.Terminating)/total - gone
	return strings.Repeat("█", gone) + strings.Repeat("▒", terminating) + strings.Repeat("░", barWidth-gone-terminating)
}

// countsOf says how many pods of a node are where.
func countsOf(node *explain.NodeProgress) string {
	return fmt.Sprintf("%d of %d gone, %d terminating, %d to go",
		node.Gone, node.ToGo+node.Terminating+node.Gone, node.Terminating, node.ToGo)
}

// rateWords says how fast pods go.
func rateWords(node *explain.NodeProgress) string {
	switch rate := node.PerSecond; {
	case rate >= 1:
		return fmt.Sprintf("%.1f pods/s", rate)
	case rate > 0:
		return fmt.Sprintf("%.0f pods/min", rate*60)
	default:
		return ""
	}
}

// latestWords says when the last pod of a node is gone, at the latest.
func latestWords(node *explain.NodeProgress, now time.Time) string {
	switch {
	case !node.AtLatest.IsZero():
		return "all gone " + text.Relative(node.AtLatest, now) + " at the latest, if nothing comes in between"
	case node.AtLatestUnknown != "":
		return "when all are gone is not known: " + node.AtLatestUnknown
	default:
		return ""
	}
}

// waitWords says what pods wait for.
func waitWords(wait explain.Wait, now time.Time) string {
	words := fmt.Sprintf("%s (%s", text.Count(wait.Pods, "pod"), strings.Join(wait.First, ", "))
	if wait.Pods > len(wait.First) {
		words += ", …"
	}
	words += "): " + wait.For
	if !wait.Until.IsZero() {
		words += ", until " + text.Absolute(wait.Until) + " (" + text.Relative(wait.Until, now) + ")"
	}
	return words
}

// stayWords says how many pods of a node do not go.
func stayWords(s *explain.Staying) string {
	var words []string
	for _, one := range []struct {
		n    int
		word string
	}{
		{s.NoTaint, "that no taint evicts"}, {s.DaemonSets, "of DaemonSets"}, {s.Tolerate, "tolerating"}, {s.Kept, "kept by " + strings.Join(s.KeptBy, ", ")}, {s.Mirror, "mirror"},
		{s.Finished, "finished"},
	} {
		if one.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	return text.Count(s.Sum(), "pod") + " not going: " + strings.Join(words, ", ")
}

func brokenWords(broken error) string {
	return "No news, trying again: " + strings.ReplaceAll(broken.Error(), "\n", "; ")
}

// printEnd says how a watch ended.
func printEnd(p *text.Printer, progress *explain.Progress, how string) error {
	if progress == nil {
		_, err := fmt.Fprintln(p.Out, strings.ToUpper(how[:1])+how[1:]+", and nothing was seen.")
		return err
	}
	out := bufio.NewWriter(p.Out)
	p.Out = out
	took := duration.HumanDuration(progress.At.Sub(progress.Began))
	for i := range progress.Nodes {
		node := &progress.Nodes[i]
		var words string
		if left := node.ToGo + node.Terminating; left > 0 {
			words = fmt.Sprintf("%s: %s, with %s still there, %d gone", node.Node, how, text.Count(left, "pod"), node.Gone)
		} else {
			words = fmt.Sprintf("%s: %s, all pods that go are gone, %d in %s", node.Node, how, node.Gone, took)
		}
		if node.Stay.Sum() > 0 {
			words += "; " + stayWords(&node.Stay)
		}
		p.Paragraph(text.Plain, 0, 2, words)
	}
	return out.Flush()
}
