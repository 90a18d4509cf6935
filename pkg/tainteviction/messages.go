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
	// podEventReason is the built-in controller's, for those who look for it.
	podEventReason = "TaintManagerEviction"
	// scheduledEventReason and calledOffEventReason are of the Events on nodes.
	scheduledEventReason = "TaintManagerScheduled"
	calledOffEventReason = "TaintManagerEvictionCancelled"
)

// reference points an Event at a pod.
func reference(pod *podcache.Pod) v1.ObjectReference {
	return v1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace(), Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
}

// podMessage is the text of the Event on a pod that was evicted.
func podMessage(node string, due time.Time, lateness time.Duration, decision deadline.Decision) string {
	why := "not tolerated"
	if toleration := decision.Toleration; toleration != nil {
		why = fmt.Sprintf("tolerated for %ds by %s", *toleration.TolerationSeconds, describe(toleration))
	}
	return fmt.Sprintf("Evicted from node %s for taint %s, %s; due at %s, %s late",
		node, decision.Taint, why, due.UTC().Format(time.RFC3339), lateness.Round(time.Millisecond))
}

// describe writes a toleration as people say it: key=value:effect, with what matches anything left out.
func describe(t *v1.Toleration) string {
	text := t.Key
	switch t.Operator {
	case v1.TolerationOpExists:
	case "", v1.TolerationOpEqual:
		text += "=" + t.Value
	default:
		text += fmt.Sprintf(" %s %s", t.Operator, t.Value)
	}
	if t.Effect != "" {
		text += ":" + string(t.Effect)
	}
	if text == "" {
		return "a toleration of everything"
	}
	return "toleration " + text
}

// summary is what a change of a node's taints did to its pods.
type summary struct {
	now, later, calledOff, stay int
	first, last                 time.Time
}

func (s *summary) add(did change, decision deadline.Decision, now time.Time) {
	switch {
	case did == calledOff && (decision.Reason == deadline.NoTaint || decision.Reason == deadline.Tolerated):
		s.calledOff++
	case decision.Reason == deadline.IsTerminating:
		// going anyway
	case !decision.Evict:
		s.stay++
	case did != scheduled:
		// known already
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

// summarise tells on the node what became of its pods: an Event when some became due or scheduled, one when scheduled evictions
// were called off. What happens again is counted in the Event that is there: a taint may come and go for hours. The replica that
// leads tells it.
func (c *Controller) summarise(ctx context.Context, name string, s summary) {
	if !c.leading.Load() || s.now+s.later+s.calledOff == 0 {
		return
	}
	about := v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name}
	if node, exists, err := c.nodes.GetIndexer().GetByKey(name); err == nil && exists {
		about.UID = node.(*podcache.Node).UID
	}
	klog.FromContext(ctx).Info("Taints of node changed", "node", klog.KRef("", name), "due", s.now, "scheduled", s.later,
		"cancelled", s.calledOff, "stay", s.stay)
	if s.now+s.later > 0 {
		taints := describeTaints(c.starts.Taints(name))
		c.recorder.RecordSeries(about, scheduledEventReason, taints, s.message(taints, c.config.ServerClock))
	}
	if s.calledOff > 0 {
		c.recorder.RecordSeries(about, calledOffEventReason, "", fmt.Sprintf("Cancelled the scheduled eviction of %s", pods(s.calledOff)))
	}
}

func describeTaints(taints []deadline.Taint) string {
	texts := make([]string, 0, len(taints))
	for _, taint := range taints {
		texts = append(texts, taint.String())
	}
	return strings.Join(texts, ", ")
}

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
