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

package tainteviction

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

const (
	// podEventReason is the reason of the Event on a pod that was evicted, once the API server has accepted its deletion. The built-in
	// controller's Event has the same reason. The message names the node, the taint, the toleration, the deadline and the lateness.
	podEventReason = "TaintManagerEviction"
	// scheduledEventReason is the reason of the Event on a node whose taints changed so that pods became due or got a deadline.
	scheduledEventReason = "TaintManagerScheduled"
	// BlockedEventReason is the reason of the Event on a pod that waits for its disruption budget, once that has held it up for ten seconds. The
	// message names the budget, the node, the taint, and when the pod is deleted otherwise. It is a Warning where budgets have to be repaired.
	BlockedEventReason = "TaintManagerEvictionBlocked"
	// cancelledEventReason is the reason of the Event on a node whose taints changed so that scheduled evictions were cancelled.
	cancelledEventReason = "TaintManagerEvictionCancelled"
	// keptEventReason is the reason of the Event on a node about pods there that would go, but for a policy of mode Keep.
	keptEventReason = "TaintManagerKept"
	// previewEventReason is the reason of the Event on a node that tells which pods would go, but for a policy of mode Preview.
	previewEventReason = "TaintManagerPreview"
)

// reference returns the reference of an Event to a pod.
func reference(pod *podcache.Pod) v1.ObjectReference {
	return v1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace(), Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
}

// podMessage returns the message of the Event on an evicted pod.
func podMessage(node string, due time.Time, lateness time.Duration, decision deadline.Decision) string {
	why := "not tolerated"
	if toleration := decision.Toleration; toleration != nil {
		why = fmt.Sprintf("tolerated for %ds by %s", *toleration.TolerationSeconds, describe(toleration))
	}
	return fmt.Sprintf("Evicted from node %s for taint %s, %s; due at %s, %s late",
		node, decision.Taint, why, due.UTC().Format(time.RFC3339), lateness.Round(time.Millisecond))
}

// describe names a toleration.
func describe(t *v1.Toleration) string {
	text := deadline.DescribeToleration(t)
	if text == "" {
		return "a toleration of everything"
	}
	return "toleration " + text
}

// summary counts what a change of a node's taints did to its pods. first and last are of the deadlines of those scheduled for later.
type summary struct {
	now, later, cancelled, stay int
	first, last                 time.Time
	// held counts the pods that are held back, by what holds them.
	held map[heldBy]*heldPods
}

// heldBy is what holds pods back, and how: ModeKeep or ModePreview.
type heldBy struct {
	holder string
	mode   deadline.Mode
}

// heldPods counts pods that a policy holds back: those that would be due now, and those that would have a deadline.
type heldPods struct{ now, later int }

// add counts one pod.
func (s *summary) add(changed change, decision deadline.Decision, now time.Time) {
	decision = decision.AsOf(now)
	if changed == held || changed == cancelled {
		s.addHeld(decision, now)
	}
	switch {
	case changed == cancelled && (decision.Reason == deadline.NoTaint || decision.Reason == deadline.Tolerated || decision.Reason == deadline.HeldByPolicy):
		s.cancelled++
	case decision.Reason == deadline.IsTerminating:
		// not counted: it is being deleted anyway
	case !decision.Evict:
		s.stay++
	case changed != scheduled:
		// not counted: it was scheduled before
	case decision.Due(now):
		s.now++
	default:
		s.later++
		if s.first.IsZero() || decision.Deadline.Before(s.first) {
			s.first = decision.Deadline
		}
		if decision.Deadline.After(s.last) {
			s.last = decision.Deadline
		}
	}
}

// addHeld counts what is held back of one pod, once for each holder.
func (s *summary) addHeld(decision deadline.Decision, now time.Time) {
	counted := map[heldBy]bool{}
	for _, step := range decision.Held {
		by := heldBy{holder(step.Policy), step.Mode}
		if counted[by] {
			continue
		}
		counted[by] = true
		if s.held == nil {
			s.held = map[heldBy]*heldPods{}
		}
		if s.held[by] == nil {
			s.held[by] = &heldPods{}
		}
		if now.Before(step.From) {
			s.held[by].later++
		} else {
			s.held[by].now++
		}
	}
}

// reportNode writes Events on the node: one if pods became due or scheduled, one if scheduled evictions were cancelled, and one for each
// policy that holds pods back. A repetition is counted in the existing Event, because a taint may come and go for hours. Only the leader
// writes them.
func (c *Controller) reportNode(ctx context.Context, name string, s summary) {
	if !c.leading.Load() || s.now+s.later+s.cancelled+len(s.held) == 0 {
		return
	}
	about := v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name}
	if node, exists, err := c.nodes.GetIndexer().GetByKey(name); err == nil && exists {
		about.UID = node.(*podcache.Node).UID
	}
	klog.FromContext(ctx).Info("Taints of node changed", "node", klog.KRef("", name), "due", s.now, "scheduled", s.later,
		"cancelled", s.cancelled, "stay", s.stay)
	if s.now+s.later > 0 {
		taints := describeTaints(c.starts.Taints(name))
		c.recorder.RecordSeries(about, scheduledEventReason, taints, s.message(taints, c.config.ServerClock))
	}
	if s.cancelled > 0 {
		c.recorder.RecordSeries(about, cancelledEventReason, "", fmt.Sprintf("Cancelled the scheduled eviction of %s", pods(s.cancelled)))
	}
	for by, n := range s.held {
		if by.mode == deadline.ModePreview {
			c.recorder.RecordSeries(about, previewEventReason, by.holder, fmt.Sprintf("Preview by %s, nothing is evicted: %s would be due now, %s later",
				by.holder, pods(n.now), pods(n.later)))
		} else {
			c.recorder.RecordSeries(about, keptEventReason, by.holder, fmt.Sprintf("Kept by %s: %s that would be due now, %s that would be due later",
				by.holder, pods(n.now), pods(n.later)))
		}
	}
}

// holder returns what holds a pod back: a policy, a dry run, or the policy without a name that stands for those that cannot be read.
func holder(policy *deadline.Policy) string {
	switch {
	case policy == nil:
		return "a dry run"
	case policy.Name == "":
		return "policies that cannot be read"
	default:
		return "policy " + policy.Name
	}
}

func describeTaints(taints []deadline.Taint) string {
	texts := make([]string, 0, len(taints))
	for _, taint := range taints {
		texts = append(texts, taint.String())
	}
	return strings.Join(texts, ", ")
}

// message returns the message of the Event on pods that became due or scheduled.
func (s *summary) message(taints string, clock *serverclock.Clock) string {
	message := fmt.Sprintf("Taint %s: %s due now", taints, pods(s.now))
	if s.later > 0 {
		message += fmt.Sprintf(", %s scheduled from %s to %s", pods(s.later),
			clock.At(s.first).UTC().Format(time.RFC3339), clock.At(s.last).UTC().Format(time.RFC3339))
	}
	return message + fmt.Sprintf(", %s not to be evicted", pods(s.stay))
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}
