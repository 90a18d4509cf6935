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
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// waitTally counts what pods wait for.
type waitTally struct {
	waits []Wait
}

// add counts a pod.
func (t *waitTally) add(status *PodStatus) {
	words, until := status.Because, time.Time{}
	switch status.State {
	case StateBlocked:
		words = strings.Replace(words, "budget ", "budget "+status.Pod.Namespace+"/", 1)
		until = status.Fate.DeleteAt
	case StateHeld:
		until = status.Fate.Deadline
	}
	i := slices.IndexFunc(t.waits, func(w Wait) bool { return w.For == words })
	if i < 0 {
		i = len(t.waits)
		t.waits = append(t.waits, Wait{For: words})
	}
	wait := &t.waits[i]
	wait.Pods++
	wait.Until = later(wait.Until, until)
	if len(wait.First) < firstPods {
		wait.First = append(wait.First, status.Pod.Namespace+"/"+status.Pod.Name)
	}
}

// list returns what pods wait for, the most pods first.
func (t *waitTally) list() []Wait {
	slices.SortStableFunc(t.waits, func(a, b Wait) int { return cmp.Or(cmp.Compare(b.Pods, a.Pods), cmp.Compare(a.For, b.For)) })
	return t.waits
}

// latest finds out when the last pod of a node is gone at the latest.
type latest struct {
	judge *judge
	at    time.Time
	why   string
	any   bool
}

func newLatest(judge *judge, node *NodeProgress) *latest {
	l := &latest{judge: judge}
	if known := judge.s.Nodes[node.Node]; known != nil && known.NotReady != "" {
		l.why = "node " + node.Node + " is not ready: no kubelet ends its pods"
	}
	return l
}

// unknown says why the time cannot be known. The first reason counts.
func (l *latest) unknown(why string) {
	l.any = true
	l.why = cmp.Or(l.why, why)
}

// add takes a pod that goes.
func (l *latest) add(status *PodStatus, pod *v1.Pod) {
	l.any = true
	name, fate := status.Pod.Namespace+"/"+status.Pod.Name, &status.Fate
	switch {
	case pod == nil:
		l.unknown("pod " + name + " is not known whole")
	case len(pod.Finalizers) > 0:
		l.unknown("pod " + name + " has " + finalizers(pod.Finalizers))
	case status.Terminating != nil && !status.Terminating.GraceEnds.After(l.judge.at):
		l.unknown("pod " + name + " is past its grace period")
	case status.Terminating != nil:
		l.at = later(l.at, status.Terminating.GraceEnds)
	case status.State == StateOverdue:
		l.unknown("pod " + name + " is overdue")
	case l.judge.brake != nil:
		l.unknown("the eviction brake is on")
	case fate.ModeUnknown:
		l.unknown("policies could not be read")
	case !fate.EndsAt.IsZero() || fate.Deadline.IsZero():
		l.unknown("policies hold pod " + name + " back")
	case fate.Mode == deadline.ModeEvict && fate.DeleteAt.IsZero():
		l.unknown("pod " + name + " is evicted when its disruption budgets allow it")
	default:
		from := later(later(fate.Deadline, fate.DeleteAt), l.judge.at)
		l.at = later(l.at, from.Add(l.judge.grace(fate.Policy, pod)))
	}
}

// result returns the time, or why it is not known. Without pods there is neither.
func (l *latest) result() (at time.Time, unknown string) {
	switch {
	case !l.any:
		return time.Time{}, ""
	case l.why != "":
		return time.Time{}, l.why
	default:
		return l.at, ""
	}
}

// grace returns the grace period of a pod that goes by a policy.
func (j *judge) grace(name string, pod *v1.Pod) time.Duration {
	seconds := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, v1.DefaultTerminationGracePeriodSeconds)
	if policy := j.policy(name); policy != nil && policy.GracePeriod > 0 {
		seconds = min(seconds, policy.GracePeriod)
	}
	return time.Duration(seconds) * time.Second
}

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
