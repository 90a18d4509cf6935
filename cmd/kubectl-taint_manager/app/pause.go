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
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const pauseLong = `Hold evictions for a while, by a policy of mode Keep that comes before all others.

Nothing is forgotten meanwhile: when the pause ends, by itself or by resume, pods that are due by then go at once, unless the eviction brake
holds them. The controller logs that the pause is on, who made it and until when; pause waits up to 5 s until it has accepted the policy.

Not-ready, unreachable and out-of-service are the taints by which pods fail over. --include-node-conditions alone holds every NoExecute taint,
and these with them. Otherwise name the taints to hold with --taint: a policy cannot say "all but these". Only those are held then.

A pause that somebody else made is not replaced without --overwrite.

The policy is written first. Then what it holds is counted, which may take long in a large cluster: Ctrl-C ends the count, and not the pause.`

const pauseExample = `  # Hold everything, failover too, for an hour
  kubectl taint-manager pause --for 1h --include-node-conditions

  # Hold maintenance of the nodes of one rack until resumed
  kubectl taint-manager pause --taint 'maintenance.example.com/*' -l rack=7`

// defaultPause is the name of the policy.
const defaultPause = "pause"

type pause struct {
	pauseFlags
	lasts             time.Duration
	selector          string
	taints            []string
	includeConditions bool

	nodes    labels.Selector
	patterns []v1alpha1.TaintPattern
}

func newPauseCommand(common *Common) *cobra.Command {
	return (&pause{pauseFlags: pauseFlags{Common: common}}).command()
}

func (o *pause) command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause", Short: "Hold evictions for a while", Long: pauseLong + exitCodes, Example: pauseExample,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args, cmd.Flags().Changed("for")); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.lasts, "for", 0, "How long the pause lasts, such as 90s or 1h. Without it, it lasts until resumed.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Hold pods on the nodes that this label selector selects only.")
	flags.StringArrayVar(&o.taints, "taint", nil,
		"Taint to hold, as key, key=value or prefix/*; with :NoSchedule for one that a policy has evict. May be given several times. Needed without --include-node-conditions.")
	flags.BoolVar(&o.includeConditions, "include-node-conditions", false, "Without --taint, hold every NoExecute taint, and so not-ready, unreachable and out-of-service, by which pods fail over. With --taint, allow it to name these.")
	completeFlags(cmd, map[string]completer{
		"for": cobra.NoFileCompletions, "selector": cobra.NoFileCompletions, "taint": completeTaints(o.heldTaints(&o.includeConditions), true),
	})
	o.addFlags(cmd, "Replace a pause that somebody else made.")
	return cmd
}

// complete reads and checks the arguments and flags. timed tells whether --for was given.
func (o *pause) complete(args []string, timed bool) error {
	if len(args) > 0 {
		return usagef("pause takes no arguments: select nodes with -l, and name taints with --taint")
	}
	if timed && o.lasts < time.Second {
		return usagef("--for %s: must be a second or more", o.lasts)
	}
	var err error
	if o.nodes, err = labels.Parse(o.selector); err != nil {
		return usagef("-l %s: %w", o.selector, err)
	}
	for _, taint := range o.taints {
		pattern, err := parseHeld(taint)
		if err != nil {
			return err
		}
		if explain.IsNodeCondition(pattern.Key) && !o.includeConditions {
			return usagef("--taint %s: holds failover from nodes that are lost; if that is meant, add --include-node-conditions", taint)
		}
		o.patterns = append(o.patterns, pattern)
	}
	return o.validate()
}

// parseHeld reads a taint that a pause holds: as kubectl taint writes it, or with a prefix.
func parseHeld(taint string) (pattern v1alpha1.TaintPattern, err error) {
	key, effect, hasEffect := strings.Cut(taint, ":")
	key, value, hasValue := strings.Cut(key, "=")
	if pattern.Key = key; key == "" {
		return pattern, usagef("--taint %s: must be key, key=value, prefix/* or one of them with :NoExecute or :NoSchedule", taint)
	}
	if hasValue {
		pattern.Value = ptr.To(v1alpha1.LabelValue(value))
	}
	if pattern.Effect = v1.TaintEffect(effect); hasEffect && pattern.Effect != v1.TaintEffectNoExecute && pattern.Effect != v1.TaintEffectNoSchedule {
		return pattern, usagef("--taint %s: the effect must be NoExecute or NoSchedule", taint)
	}
	return pattern, nil
}

func (o *pause) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	result, err := o.by(ctx, reader)
	if err != nil {
		return err
	}
	done()
	return o.print(result, func(p *text.Printer) { printPause(p, result) })
}

// by does it with the clients of a reader.
func (o *pause) by(ctx context.Context, reader *snapshot.Reader) (*explain.PauseResult, error) {
	if len(o.patterns) == 0 && !o.includeConditions {
		s, err := reader.Read(ctx, snapshot.Scope{})
		if err != nil {
			s = snapshot.New(snapshot.Input{At: reader.Clock.Now()}) // the example has another taint then
		}
		return nil, o.refuseAll(s)
	}
	w, err := newPauseWriter(ctx, &o.pauseFlags, reader)
	if err != nil {
		return nil, err
	}
	spec, err := o.spec(w.now)
	if err != nil {
		return nil, err
	}
	result, err := w.begin(ctx, spec)
	if err != nil {
		return nil, err
	}
	if others := explain.NotHeld(w.snapshot); len(o.patterns) == 0 && len(others) > 0 {
		result.Notes = append(result.Notes, "a pause of all NoExecute taints does not hold "+strings.Join(others, ", ")+
			": for these, make another one with --name and --taint")
	}
	return result, nil
}

// refuseAll says why evictions for all taints are not held.
func (o *pause) refuseAll(s *snapshot.Snapshot) error {
	example := " --taint example.com/maintenance"
	if keys := explain.EvictingTaints(s, o.nodes); len(keys) > 0 {
		example = ""
		for _, key := range keys[:min(len(keys), 16)] {
			example += " --taint " + key
		}
		example += " (those on nodes now)"
	}
	return usagef("a pause of all taints also holds failover from nodes that are not ready, unreachable or out of service: name the taints to hold,"+
		" as in%s; or hold all NoExecute taints with --include-node-conditions", example)
}

// spec returns the policy that is asked for.
func (o *pause) spec(now time.Time) (v1alpha1.TaintEvictionPolicySpec, error) {
	spec := v1alpha1.TaintEvictionPolicySpec{MatchingPrecedence: ptr.To[int32](0), Mode: v1alpha1.ModeKeep, Taints: o.patterns}
	if o.lasts > 0 {
		until := metav1.NewTime(now.Add(o.lasts + time.Second - 1).Truncate(time.Second)) // the API cuts to seconds
		spec.ExpireTime = &until
	}
	if o.selector == "" {
		return spec, nil
	}
	requirements, _ := o.nodes.Requirements()
	spec.NodeSelector = &v1alpha1.LabelSelector{}
	for i := range requirements {
		if err := addRequirement(spec.NodeSelector, &requirements[i]); err != nil {
			return spec, usagef("-l %s: %w", o.selector, err)
		}
	}
	return spec, nil
}

// addRequirement adds a requirement to the selector of a policy.
func addRequirement(to *v1alpha1.LabelSelector, from *labels.Requirement) error {
	values := make([]v1alpha1.LabelValue, 0, from.Values().Len())
	for _, value := range from.Values().List() {
		values = append(values, v1alpha1.LabelValue(value))
	}
	operators := map[selection.Operator]v1alpha1.LabelSelectorOperator{
		selection.In: v1alpha1.OpIn, selection.NotIn: v1alpha1.OpNotIn, selection.NotEquals: v1alpha1.OpNotIn,
		selection.Exists: v1alpha1.OpExists, selection.DoesNotExist: v1alpha1.OpDoesNotExist,
		selection.Equals: v1alpha1.OpIn, selection.DoubleEquals: v1alpha1.OpIn,
	}
	operator, known := operators[from.Operator()]
	if !known {
		return fmt.Errorf("the selector of a policy has no operator %q", from.Operator())
	}
	if _, taken := to.MatchLabels[from.Key()]; operator == v1alpha1.OpIn && len(values) == 1 && !taken {
		if to.MatchLabels == nil {
			to.MatchLabels = map[string]v1alpha1.LabelValue{}
		}
		to.MatchLabels[from.Key()] = values[0]
		return nil
	}
	to.MatchExpressions = append(to.MatchExpressions, v1alpha1.LabelSelectorRequirement{Key: from.Key(), Operator: operator, Values: values})
	return nil
}

// printPause prints what a pause or its end does.
func printPause(p *text.Printer, r *explain.PauseResult) {
	suffix := map[string]string{dryRunClient: " (dry run)", dryRunServer: " (server dry run)"}[r.DryRun]
	fmt.Fprintf(p.Out, "%s %s%s\n\n", r.Names()[0], strings.ToLower(string(r.Action)), suffix)
	if r.Before != nil && r.Action == explain.PauseReplaced {
		p.Field(0, column, "Before", fmt.Sprintf("by %s, %s: %s", orUnknown(r.Before.CreatedBy), until(p, r.Before, r.At), r.Before.What()))
	}
	if r.Action == explain.PauseDeleted {
		p.Field(0, column, "Held", r.Before.What())
		p.Field(0, column, "By", orUnknown(r.Before.CreatedBy))
		p.Field(0, column, "Now", letGo(r))
		return
	}
	p.Field(0, column, "Holds", r.Pause.What())
	p.Field(0, column, "By", orUnknown(r.Pause.CreatedBy))
	p.Field(0, column, "Until", until(p, r.Pause, r.At))
	p.Field(0, column, "Now", holds(r))
	p.Field(0, column, "Then", "What is due goes at once. An eviction brake, if taint-manager has one, holds what became due on more nodes than may.")
}

func orUnknown(user string) string {
	if user == "" {
		return "unknown"
	}
	return user
}

func until(p *text.Printer, pause *explain.Pause, now time.Time) string {
	switch {
	case pause.Until.IsZero():
		return "until resumed"
	case pause.Over(now):
		return "ended " + when(p, pause.Until, now)
	default:
		return fmt.Sprintf("%s (%s)", text.Absolute(pause.Until), text.Relative(pause.Until, now))
	}
}

// holds says what a pause holds now.
func holds(r *explain.PauseResult) string {
	held := &r.Held
	if r.HeldUnknown {
		return "How many pods it holds is not known."
	}
	if held.Pods == 0 {
		return "It holds no pod yet: none would go."
	}
	words := fmt.Sprintf("It holds %s on %s: without it %s", text.Count(held.Pods, "pod"), text.Count(held.Nodes, "node"), without(held, "now"))
	if held.GoAnyway > 0 {
		words += fmt.Sprintf("; %d of them are due all the same, for a taint that it does not hold", held.GoAnyway)
	}
	return words + "."
}

// letGo says what the end of a pause does.
func letGo(r *explain.PauseResult) string {
	held := &r.Held
	if r.HeldUnknown {
		return "How many pods it held is not known."
	}
	if held.Pods == 0 {
		return "It held no pod."
	}
	return fmt.Sprintf("It held %s on %s: %s. An eviction brake, if taint-manager has one, holds what became due on more nodes than may.",
		text.Count(held.Pods, "pod"), text.Count(held.Nodes, "node"), without(held, "at once"))
}

// without says what pods do without the pause that held them. now is the word for those that are due.
func without(held *explain.HeldPods, now string) string {
	var parts []string
	for _, part := range []struct {
		n            int
		one, several string
	}{
		{held.DueNow, "1 goes " + now, "%d go " + now}, {held.Later, "1 goes later", "%d go later"},
		{held.Stay, "another policy holds 1", "another policy holds %d"},
	} {
		switch part.n {
		case 0:
		case 1:
			parts = append(parts, part.one)
		default:
			parts = append(parts, fmt.Sprintf(part.several, part.n))
		}
	}
	return strings.Join(parts, ", ")
}
