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

package explain

import (
	"fmt"
	"slices"
	"time"
	"unique"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Outcome says in one word what becomes of a pod.
type Outcome string

const (
	// Due says that the pod must go now.
	Due Outcome = "Due"
	// Blocked says that the pod must go now, and its disruption budget does not allow it.
	Blocked Outcome = "Blocked"
	// Scheduled says that the pod must go later.
	Scheduled Outcome = "Scheduled"
	// Held says that the pod would go, but for a policy of mode Keep or Preview, or a dry run.
	Held Outcome = "Held"
	// Stays says that no taint evicts the pod.
	Stays Outcome = "Stays"
	// LeftAlone says that taints are not for this pod: it is a mirror pod, terminating or finished.
	LeftAlone Outcome = "LeftAlone"
)

// Fate is what becomes of a pod by the taints of its node.
type Fate struct {
	Outcome Outcome         `json:"outcome"`
	Reason  deadline.Reason `json:"reason"`
	// Deadline is since when, or from when, the pod must go.
	Deadline time.Time `json:"deadline,omitzero"`
	// AtLatest says that the controller may know an earlier deadline: only its process knows when it first saw the taint.
	AtLatest bool `json:"atLatest,omitempty"`
	// Mode is how the pod goes: Delete or Evict. With mode Evict, DeleteAt is when it is deleted whatever its budget says. Mode and Policy are
	// empty, and ModeUnknown true, where the policies could not be read.
	Mode        deadline.Mode `json:"mode,omitempty"`
	DeleteAt    time.Time     `json:"deleteAt,omitzero"`
	ModeUnknown bool          `json:"modeUnknown,omitempty"`
	// Taint is the taint that decides, and Toleration the toleration that tolerates it for a limited time.
	Taint      string         `json:"taint,omitempty"`
	Toleration *v1.Toleration `json:"toleration,omitempty"`
	// Policy is the policy by which the pod goes. Empty is none.
	Policy string `json:"policy,omitempty"`
	// BlockedBy are the disruption budgets that do not allow the eviction now. Two that cover one pod block it for ever.
	BlockedBy []string `json:"blockedBy,omitempty"`
	// Held is what holds the pod back.
	Held []Hold `json:"held,omitempty"`
	// EndsAt is when the pod need not go any more if it is still there then, because another policy takes over.
	EndsAt time.Time `json:"endsAt,omitzero"`

	// modeSince is since when a pod that is due goes by Mode.
	modeSince time.Time
}

// Hold says what holds a pod back from going because of a taint.
type Hold struct {
	// Policy holds the pod. Empty is a dry run.
	Policy string `json:"policy,omitempty"`
	// Mode is Keep or Preview.
	Mode deadline.Mode `json:"mode"`
	// Taint is the taint because of which the pod would go, from a time on.
	Taint string    `json:"taint"`
	From  time.Time `json:"from"`
}

// FateOf returns what becomes of a pod by a decision of the snapshot. known reports whether the start of a taint is known.
func FateOf(s *snapshot.Snapshot, decision deadline.Decision, known func(deadline.Taint) bool) Fate {
	current, _ := decision.At(s.At)
	decision = decision.AsOf(s.At)
	fate := Fate{Outcome: Stays, Reason: decision.Reason, modeSince: s.API(current.From)}
	for _, step := range decision.Held {
		fate.Held = append(fate.Held, Hold{Policy: policyName(step.Policy), Mode: step.Mode, Taint: shared(step.Taint.String()), From: s.API(step.From)})
	}
	from, goes := decision.DueFrom(s.At)
	if !goes {
		switch decision.Reason {
		case deadline.HeldByPolicy:
			fate.Outcome = Held
			fate.ModeUnknown = s.PoliciesUnread // a policy that is tried holds it, and another one may come first
		case deadline.IsMirror, deadline.IsTerminating, deadline.IsFinished:
			fate.Outcome = LeftAlone
		}
		return fate
	}
	step, due := decision.At(s.At)
	if fate.Outcome = Due; !due {
		fate.Outcome = Scheduled
		step, _ = decision.At(from)
	}
	fate.Reason, fate.Deadline, fate.Mode = step.Reason, s.API(from), step.Mode
	fate.Taint, fate.Toleration, fate.Policy = shared(step.Taint.String()), step.Toleration, policyName(step.Policy)
	fate.AtLatest = !known(step.Taint)
	if s.PoliciesUnread {
		fate.Mode, fate.Policy, fate.ModeUnknown = "", "", true
	}
	for _, next := range decision.Then {
		switch {
		case !next.From.After(later(from, s.At)):
		case next.Mode == deadline.ModeKeep && fate.EndsAt.IsZero():
			fate.EndsAt = s.API(next.From)
		case next.Mode == deadline.ModeDelete && fate.Mode == deadline.ModeEvict && fate.DeleteAt.IsZero() && fate.EndsAt.IsZero():
			fate.DeleteAt = s.API(next.From)
		}
	}
	return fate
}

// FateNow returns what becomes of a pod as its node is.
func FateNow(s *snapshot.Snapshot, pod *podcache.Pod) Fate { return newFates(s).now(pod) }

// fates looks at the evidence of a node once for all of its pods.
type fates struct {
	s     *snapshot.Snapshot
	known map[string]func(deadline.Taint) bool
}

func newFates(s *snapshot.Snapshot) *fates {
	return &fates{s: s, known: map[string]func(deadline.Taint) bool{}}
}

// starts returns a function that reports whether the start of a taint of a node is known.
func (f *fates) starts(node string) func(deadline.Taint) bool {
	known := f.known[node]
	if known == nil {
		known = KnownStarts(f.s.Evidence(node))
		f.known[node] = known
	}
	return known
}

// now is FateNow.
func (f *fates) now(pod *podcache.Pod) Fate {
	fate := FateOf(f.s, f.s.Decide(pod), f.starts(pod.Node()))
	if fate.Outcome == Due && fate.Mode == deadline.ModeEvict {
		if fate.BlockedBy = blockedBy(f.s, pod); len(fate.BlockedBy) > 0 {
			fate.Outcome = Blocked
		}
	}
	return fate
}

// blockedBy returns the names of the budgets that do not allow the eviction of a pod.
func blockedBy(s *snapshot.Snapshot, pod *podcache.Pod) (names []string) {
	covering := s.CoveringBudgets(pod)
	for _, one := range covering {
		if pod.Guarded() && len(covering) > 1 || budget.Judge(one, pod) == budget.Refused {
			names = append(names, one.Name)
		}
	}
	return names
}

// KnownStarts returns a function that reports whether the start of a taint is known by some evidence. A taint that there is none of is known.
func KnownStarts(evidence []snapshot.Evidence) func(deadline.Taint) bool {
	return func(taint deadline.Taint) bool {
		i := slices.IndexFunc(evidence, func(e snapshot.Evidence) bool { return sameTaint(e.Taint, taint) })
		return i < 0 || evidence[i].Known()
	}
}

func sameTaint(a, b deadline.Taint) bool { return a.String() == b.String() }

func policyName(policy *deadline.Policy) string {
	if policy == nil {
		return ""
	}
	return policy.Name
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// DescribeToleration returns a toleration as key=value:effect, without the parts that match anything, and for how long it tolerates.
func DescribeToleration(t *v1.Toleration) string {
	if t == nil {
		return ""
	}
	text := deadline.DescribeToleration(t)
	if text == "" {
		text = "everything"
	}
	if t.TolerationSeconds == nil {
		return text + " for ever"
	}
	return fmt.Sprintf("%s for %ds", text, *t.TolerationSeconds)
}

// shared returns the one copy of a text that is the same for many pods.
func shared(text string) string { return unique.Make(text).Value() }
