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

package deadline

import (
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Mode says how a pod goes.
type Mode string

const (
	// ModeDelete deletes the pod, whatever its disruption budgets say. It is what happens without a policy.
	ModeDelete Mode = "Delete"
	// ModeEvict asks the eviction API, which enforces disruption budgets.
	ModeEvict Mode = "Evict"
	// ModePreview evicts nothing, and shows what Delete would do.
	ModePreview Mode = "Preview"
	// ModeKeep evicts nothing.
	ModeKeep Mode = "Keep"
)

// Labels are the labels that policies select by. A nil field says that these labels are not known; an object without labels
// has an empty set.
type Labels struct {
	Node, Namespace, Pod labels.Labels
}

// Policy is a TaintEvictionPolicy as the rules read it.
type Policy struct {
	// Name is metadata.name.
	Name string
	// Mode says how pods go.
	Mode Mode
	// Taints are the taints that the policy applies to. If there are none, it applies to every NoExecute taint.
	Taints []TaintPattern
	// Node, Namespace and Pod select by labels. Nil selects everything.
	Node, Namespace, Pod labels.Selector
	// MinTaintAge is the age of a taint, in seconds, before which it evicts no pod. A not-ready taint is as old as it is on in place of the other
	// one, whenever the period began. 0 leaves the deadline as it is.
	MinTaintAge int64
	// DeleteAfter is for how long, in seconds from the deadline, pods are evicted before they are deleted; nil is for ever. It
	// is read in ModeEvict only.
	DeleteAfter *int64
	// GracePeriod is the longest grace period that pods get, in seconds; 0 leaves it to the pods.
	GracePeriod int64
	// Notice is how long before its deadline, in seconds, an Event on the pod announces it; 0 is never.
	Notice int64
	// Since is when the policy came to be as it is. A NoSchedule taint does not evict for a time before.
	Since time.Time
	// Expires is when the policy ceases to apply. Zero is never.
	Expires time.Time
	// Written and ExpireTime are API times of which Since and Expires were made. They are zero if there are none, and no rule reads them.
	Written, ExpireTime time.Time
}

// TaintPattern matches taints.
type TaintPattern struct {
	// Key is the key of the taint; with Prefix set, what its key begins with, including the slash. A prefix never matches keys
	// below node.kubernetes.io/.
	Key    string
	Prefix bool
	// Value is the value of the taint; nil matches all.
	Value *string
	// Effect is the effect of the taint: NoExecute, or NoSchedule to have such a taint evict.
	Effect v1.TaintEffect
}

// Step says what happens to a pod from a time on, until the next step.
type Step struct {
	// From is when the step begins. In Decision.Held it is when the pod would be due.
	From time.Time
	// Mode is ModeDelete or ModeEvict; or ModeKeep, if nothing evicts the pod from then on. In Decision.Held it is ModeKeep or
	// ModePreview.
	Mode Mode
	// Reason, Taint, Toleration and Policy are as in Decision. In Decision.Held no policy stands for Rules.DryRun.
	Reason     Reason
	Taint      Taint
	Toleration *v1.Toleration
	Policy     *Policy
}

// At returns how the pod goes at a time, and false if it need not go then.
func (d Decision) At(now time.Time) (Step, bool) {
	if !d.Evict || now.Before(d.Deadline) {
		return Step{}, false
	}
	step := Step{d.Deadline, d.Mode, d.Reason, d.Taint, d.Toleration, d.Policy}
	for _, next := range d.Then {
		if now.Before(next.From) {
			break
		}
		step = next
	}
	return step, step.Mode != ModeKeep
}

// DueFrom returns since when the pod is due at a time, or else when it is due next. It returns false if it never is.
func (d Decision) DueFrom(now time.Time) (time.Time, bool) {
	from, due := d.Deadline, d.Evict
	for _, next := range d.Then {
		switch {
		case next.Mode == ModeKeep && now.Before(next.From):
			return from, due
		case next.Mode == ModeKeep:
			due = false
		case !due:
			from, due = next.From, true
		}
	}
	return from, due
}

// NextChange returns the first time after now at which At changes, and false if there is none.
func (d Decision) NextChange(now time.Time) (time.Time, bool) {
	if d.Evict && now.Before(d.Deadline) {
		return d.Deadline, true
	}
	for _, next := range d.Then {
		if now.Before(next.From) {
			return next.From, true
		}
	}
	return time.Time{}, false
}

// decideByPolicies applies the rules and the policies to the taints of a node.
func decideByPolicies(pod Pod, taints []Taint, rules Rules) Decision {
	decision := Decision{Reason: Tolerated}
	var lines [][]Step
	for i := range taints {
		line, held := timeline(pod, taints[i], rules)
		lines = append(lines, line)
		decision.Held = append(decision.Held, held...)
	}
	steps := merge(lines)
	switch {
	case len(steps) > 0:
		first := steps[0]
		decision.Evict, decision.Deadline, decision.Reason, decision.Mode = true, first.From, first.Reason, first.Mode
		decision.Taint, decision.Toleration, decision.Policy = first.Taint, first.Toleration, first.Policy
		if len(steps) > 1 {
			decision.Then = steps[1:]
		}
	case len(decision.Held) > 0:
		decision.Reason = HeldByPolicy
	}
	return decision
}

// timeline returns what one taint does to a pod over time, and what policies hold back of it. The policies that match apply one
// after another: each until it expires, and none after the last.
func timeline(pod Pod, taint Taint, rules Rules) (line, held []Step) {
	from := time.Time{}
	for i := range rules.Policies {
		policy := &rules.Policies[i]
		mode, mismatch := policy.match(&taint, pod.Labels)
		if mismatch != "" || policy.expired(from) {
			continue
		}
		first := firstStep(pod, taint, rules, policy, from)
		if first.Mode = mode; rules.DryRun && mode != ModeKeep {
			first.Mode = ModePreview
		}
		if holds := first.Mode == ModeKeep || first.Mode == ModePreview; holds && first.From.Before(never()) && !policy.expired(first.From) {
			held = append(held, first)
		}
		line = append(line, policy.steps(first, from)...)
		if policy.Expires.IsZero() {
			return line, held
		}
		from = policy.Expires
	}
	last := firstStep(pod, taint, rules, nil, from)
	if taint.effect() != v1.TaintEffectNoExecute {
		last.From = never()
	}
	evicts := last.From.Before(never())
	if evicts && rules.DryRun {
		last.Mode, evicts = ModePreview, false
		held = append(held, last)
	}
	if !evicts || from.Before(last.From) {
		line = append(line, Step{From: from, Mode: ModeKeep})
	}
	if evicts {
		line = append(line, last)
	}
	return line, held
}

// expired reports whether the policy does not apply any more at a time.
func (p *Policy) expired(t time.Time) bool { return !p.Expires.IsZero() && !t.Before(p.Expires) }

// firstStep returns the step at which a taint would delete a pod, by a policy or by none, from a time on. It begins at never if the
// pod tolerates the taint for ever.
func firstStep(pod Pod, taint Taint, rules Rules, policy *Policy, from time.Time) Step {
	if policy != nil && taint.effect() != v1.TaintEffectNoExecute {
		taint.Start = later(taint.Start, policy.Since)
	}
	decision := decideTaint(pod, &taint, rules)
	if !decision.Evict {
		return Step{From: never(), Mode: ModeKeep}
	}
	begin := later(decision.Deadline, from)
	if policy != nil && policy.MinTaintAge > 0 {
		begin = later(begin, addSeconds(taint.Start, policy.MinTaintAge))
	}
	return Step{begin, ModeDelete, decision.Reason, decision.Taint, decision.Toleration, policy}
}

// steps returns what a policy does to a pod that would go at first, from a time on until the policy expires.
func (p *Policy) steps(first Step, from time.Time) []Step {
	steps := []Step{{From: from, Mode: ModeKeep}} // what another policy did ends
	if first.Mode == ModeDelete || first.Mode == ModeEvict {
		steps = append(steps, first)
	}
	if first.Mode == ModeEvict && p.DeleteAfter != nil {
		last := first
		last.From, last.Mode = addSeconds(first.From, *p.DeleteAfter), ModeDelete
		steps = append(steps, last)
	}
	return slices.DeleteFunc(steps, func(s Step) bool { return !s.From.Before(never()) || p.expired(s.From) })
}

// Mismatch returns the name of the first field of a policy's spec that does not match a taint and a pod: taints, nodeSelector,
// namespaceSelector or podSelector. It returns "" if the policy applies to them.
func (p *Policy) Mismatch(taint Taint, known Labels) (field string) {
	_, field = p.match(&taint, known)
	return field
}

// match returns in which mode the policy applies to a taint and a pod: the policy's, or ModeKeep where a selector reads labels that are
// not known. If it does not apply, mismatch says why: see Mismatch.
func (p *Policy) match(taint *Taint, known Labels) (mode Mode, mismatch string) {
	if len(p.Taints) == 0 {
		if taint.effect() != v1.TaintEffectNoExecute {
			return "", "taints"
		}
	} else if !slices.ContainsFunc(p.Taints, func(pattern TaintPattern) bool { return pattern.matches(taint) }) {
		return "", "taints"
	}
	mode = p.Mode
	for _, selected := range []struct {
		field string
		by    labels.Selector
		of    labels.Labels
	}{{"nodeSelector", p.Node, known.Node}, {"namespaceSelector", p.Namespace, known.Namespace}, {"podSelector", p.Pod, known.Pod}} {
		switch {
		case selected.by == nil:
		case selected.of == nil:
			mode = ModeKeep
		case !selected.by.Matches(selected.of):
			return "", selected.field
		}
	}
	return mode, ""
}

// matches reports whether the pattern matches a taint.
func (p TaintPattern) matches(taint *Taint) bool {
	switch {
	case p.Effect != taint.effect(), p.Value != nil && *p.Value != taint.Value:
		return false
	case p.Prefix:
		return strings.HasPrefix(taint.Key, p.Key) && !strings.HasPrefix(taint.Key, nodeKeys)
	default:
		return p.Key == taint.Key
	}
}

// nodeKeys is what the keys of the taints begin with that Kubernetes puts on nodes for their condition.
const nodeKeys = "node.kubernetes.io/"

// merge returns what several taints do together: at each time, a delete comes before an eviction, and then the one that began
// first counts. The result begins with a step that evicts.
func merge(lines [][]Step) []Step {
	var times []time.Time
	for _, line := range lines {
		for _, step := range line {
			times = append(times, step.From)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	var merged []Step
	for _, t := range times {
		strongest := Step{From: t, Mode: ModeKeep}
		for _, line := range lines {
			if step := lastAt(line, t); stronger(step, strongest) {
				strongest = step
			}
		}
		last := len(merged) - 1
		switch {
		case last < 0 && strongest.Mode == ModeKeep, last >= 0 && same(merged[last], strongest):
		default:
			strongest.From = t
			merged = append(merged, strongest)
		}
	}
	return merged
}

// lastAt returns the step of a line at a time.
func lastAt(line []Step, t time.Time) Step {
	at := Step{Mode: ModeKeep}
	for _, step := range line {
		if t.Before(step.From) {
			break
		}
		at = step
	}
	return at
}

// stronger reports whether a comes before b at a time at which both apply.
func stronger(a, b Step) bool {
	if a.Mode == b.Mode {
		return a.Mode != ModeKeep && a.From.Before(b.From)
	}
	return a.Mode == ModeDelete || b.Mode == ModeKeep
}

// same reports whether two steps do the same for the same taint and by the same policy.
func same(a, b Step) bool {
	return a.Mode == b.Mode && a.Policy == b.Policy && a.Taint == b.Taint
}
