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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

const statusLong = `Say what goes on because of taints: of each node with a taint that may evict, since when it has it, and which of its pods are

  Overdue      due for more than 5 s, allowed by its disruption budget for as long, and still there
  Stuck        being deleted, and still there a minute after the end of its grace period
  Blocked      due, and held by a disruption budget
  Due          to go now
  Terminating  being deleted
  Scheduled    to go later
  Held         to go, but for a policy of mode Keep or Preview

with what each waits for. It first says which replica leads, whether the eviction brake is on, and which policies hold pods. Nodes without such
a taint are shown if they are named. Pods of all namespaces are shown, unless -n names one.

Only the controller knows some things, such as which pods its brake holds: that is said, and not guessed.`

const statusExample = `  # What goes on?
  kubectl taint-manager status

  # On some nodes, again and again
  kubectl taint-manager status -l pool=spot --watch

  # Pods that should be gone, for a program
  kubectl taint-manager status -o jsonpath='{.total.overdue}'`

// statusInterval is the least time between two reads with --watch. idleFactor is how many times as long as a read took nothing is read after
// it: on a large cluster a status costs the API server more.
const (
	statusInterval = 5 * time.Second
	idleFactor     = 10
	// lookInterval is how often it is looked whether the terminal has another size.
	lookInterval = 200 * time.Millisecond
)

type status struct {
	*Common
	nodes         []string
	selector      string
	allNamespaces bool
	watch         bool

	// screen shows what --watch reads on a terminal. Elsewhere it is nil.
	screen *screen
}

func newStatusCommand(common *Common) *cobra.Command {
	o := &status{Common: common}
	cmd := &cobra.Command{
		Use:               "status [NODE...] [-l SELECTOR] [--watch]",
		Short:             "Say which pods are scheduled, due, overdue, blocked, held or stuck, by node",
		Long:              statusLong + exitCodes,
		Example:           statusExample,
		ValidArgsFunction: common.completeNodes(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.selector, "selector", "l", "", "Select nodes by their labels, such as pool=spot.")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Show pods of all namespaces. It is the default, and comes before -n.")
	flags.BoolVarP(&o.watch, "watch", "w", false, "Read and print again every 5 s, less often if a read takes long: on a terminal in place, elsewhere below if something changed.")
	completeFlags(cmd, map[string]completer{"selector": cobra.NoFileCompletions})
	return cmd
}

func (o *status) complete(args []string) (err error) {
	if len(args) > 0 && o.selector != "" {
		return usagef("name nodes or select them with -l, not both")
	}
	if o.watch && isTerminal(o.Out) && o.text() {
		o.screen = o.newScreen()
	}
	o.nodes, err = nodeNames(args)
	return err
}

// nodeNames returns the names of nodes, each once, in arguments such as node-1 or node/node-1.
func nodeNames(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "nodes/"), "node/")
		if name == "" || strings.Contains(name, "/") {
			return nil, usagef("%q is not the name of a node", arg)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// podNamespace returns the namespace of the pods of a verb about nodes: all, unless the user names one.
func (c *Common) podNamespace(all bool) string {
	if all {
		return ""
	}
	return *c.ConfigFlags.Namespace
}

func (o *status) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	if o.watch {
		return o.again(ctx, reader, done)
	}
	result, err := o.read(ctx, reader)
	if err != nil {
		return err
	}
	done()
	return o.show(result)
}

// again reads again and again, and shows it: on a terminal in place, elsewhere below what was there before, if something has changed.
func (o *status) again(ctx context.Context, reader *snapshot.Reader, done func()) error {
	before := ""
	for {
		began := time.Now()
		result, err := o.read(ctx, reader)
		done()
		if err != nil {
			return errors.Join(o.leave(), err)
		}
		if o.screen == nil {
			before, err = o.append(result, before)
		} else {
			err = o.draw(result)
		}
		if err != nil {
			return err
		}
		next := time.Now().Add(max(statusInterval, idleFactor*time.Since(began)))
		for time.Now().Before(next) {
			select {
			case <-ctx.Done():
				return errors.Join(o.leave(), ctx.Err())
			case <-time.After(min(lookInterval, time.Until(next))):
			}
			if o.screen != nil && o.screen.resized() {
				if err := o.draw(result); err != nil {
					return err
				}
			}
		}
	}
}

// append prints a status below the one before, of which it has the fingerprint, if they differ. It returns that of this one.
func (o *status) append(s *explain.Status, before string) (string, error) {
	now := fingerprint(s.Timeless())
	if now == before {
		return before, nil
	}
	if o.text() {
		if before != "" {
			fmt.Fprintln(o.Out)
		}
		fmt.Fprintln(o.Out, text.Absolute(s.At.Truncate(time.Second)))
	}
	return now, o.show(s)
}

// draw shows a status in place.
func (o *status) draw(s *explain.Status) error {
	p, picture := o.printer(), &bytes.Buffer{}
	p.Out = picture
	fmt.Fprintln(picture, text.Absolute(s.At.Truncate(time.Second)))
	if len(s.Nodes) == 0 {
		p.Paragraph(text.Plain, 0, 2, o.nothing())
	}
	printStatus(p, s)
	printLimits(p, s.Common())
	return o.screen.draw(picture.String())
}

// leave lets what is on the screen stand.
func (o *status) leave() error {
	if o.screen == nil {
		return nil
	}
	return o.screen.leave()
}

// text reports whether what is printed is for people.
func (o *status) text() bool { return o.Output.Format == "" || o.Output.Format == "wide" }

// read reads and explains what goes on.
func (o *status) read(ctx context.Context, reader *snapshot.Reader) (*explain.Status, error) {
	scope := snapshot.Scope{
		NodeSelector: o.selector, Pods: snapshot.PodsOnTaintedNodes, Namespace: o.podNamespace(o.allNamespaces), Budgets: true,
	}
	if len(o.nodes) > 0 {
		scope.Nodes, scope.Pods = o.nodes, snapshot.PodsOnNodes
	}
	s, err := reader.Read(ctx, scope)
	if err != nil {
		return nil, err
	}
	facts, err := o.facts(ctx, reader, s, scope.Namespace)
	if err != nil {
		return nil, err
	}
	return explain.StatusOf(s, facts, o.nodes...), nil
}

// facts reads what a status needs beside the snapshot. What could not be read is added to the snapshot.
func (o *status) facts(ctx context.Context, reader *snapshot.Reader, s *snapshot.Snapshot, namespace string) (facts explain.Facts, err error) {
	var unread []snapshot.Unread
	if facts.Lease, unread, err = reader.Lease(ctx, types.NamespacedName{Namespace: o.Manager.Namespace, Name: o.Manager.Lease}); err != nil {
		return facts, fmt.Errorf("reading the Lease: %w", err)
	}
	facts.LeaseUnread = len(unread) > 0
	s.Unread = append(s.Unread, unread...)
	metas, unread, err := reader.Terminating(ctx, s, namespace)
	if err != nil {
		return facts, err
	}
	s.Unread = append(s.Unread, unread...)
	facts.Terminating = make(map[types.UID]explain.Terminating, len(metas))
	for uid, meta := range metas {
		facts.Terminating[uid] = *explain.TerminatingOf(meta)
	}
	if !explain.MayBeBlocked(s) {
		return facts, nil
	}
	events, err := snapshot.EventsOfReason(ctx, reader, namespace, tainteviction.BlockedEventReason, explain.KeepEvent)
	if unread, err = snapshot.Refused(err, "Events", "since when pods are blocked"); err != nil {
		return facts, err
	}
	s.Unread = append(s.Unread, unread...)
	facts.Blocked = explain.EventsByPod(events)
	return facts, nil
}

// show prints a status.
func (o *status) show(s *explain.Status) error {
	if o.text() && len(s.Nodes) == 0 {
		fmt.Fprintln(o.ErrOut, o.nothing())
	}
	return o.print(s, func(p *text.Printer) { printStatus(p, s) })
}

// nothing says that there is nothing to show.
func (o *status) nothing() string {
	if o.selector != "" {
		return fmt.Sprintf("No node with labels %s has a taint that evicts pods.", o.selector)
	}
	return "No node has a taint that evicts pods."
}

// fingerprint returns a text that two results have in common only if they say the same.
func fingerprint(r result) string {
	data, err := json.Marshal(r)
	if err != nil {
		return err.Error() // results are structs that JSON can encode: -o json prints them
	}
	return string(data)
}
