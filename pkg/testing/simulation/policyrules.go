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

package simulation

import (
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// The rules of policies, stated again: what happens to one pod at one moment. Nothing here is shared with the product but the API type.

// situation is a pod and its node, with all that decides how the pod goes.
type situation struct {
	pod   *v1.Pod
	node  *v1.Node
	since map[v1.Taint]taintTimes
	bound time.Time
	by    ruling
	// named is since when a policy names a NoSchedule taint, expires when a policy ceases to apply, or never.
	named, expires func(rule) time.Time
}

// taintTimes are since when a taint counts as being there; period is zero for one that is dated alone.
type taintTimes struct{ start, period time.Time }

// newSituation dates the taints of a node. A node that is nil is one that does not exist.
func newSituation(pod *v1.Pod, bound time.Time, node *v1.Node, since starts, by ruling, named, expires func(rule) time.Time) situation {
	s := situation{pod: pod, node: node, since: map[v1.Taint]taintTimes{}, bound: bound, by: by, named: named, expires: expires}
	if node == nil || leftAlone(pod) {
		s.node = &v1.Node{}
	}
	for _, taint := range s.node.Spec.Taints {
		if taint.Effect == v1.TaintEffectNoExecute && isNotReadyTaint(taint) {
			period, own := since.period(taint)
			s.since[taint] = taintTimes{own, period}
		} else {
			s.since[taint] = taintTimes{start: since.taint(taint)}
		}
	}
	return s
}

// of is the situation as if there were only some of the taints.
func (s situation) of(which func(v1.Taint) bool) situation {
	since := map[v1.Taint]taintTimes{}
	for taint, times := range s.since {
		if which(taint) {
			since[taint] = times
		}
	}
	s.since = since
	return s
}

func anyTaint(v1.Taint) bool { return true }

// at says whether a pod is to be deleted at a moment, and whether it is to be evicted, which it is also after the end of the time for that.
func (s situation) at(t time.Time) (deletes, evicts bool) {
	for taint := range s.since {
		d, e := s.byTaint(taint, t)
		deletes, evicts = deletes || d, evicts || e
	}
	return deletes, evicts
}

// byTaint says what one taint does to a pod at a moment: what the first policy says that matches and has not expired, or else what the API of
// taints says. What begins after a policy has expired begins no earlier than that.
func (s situation) byTaint(taint v1.Taint, t time.Time) (deletes, evicts bool) {
	_, deletes, evicts = s.ruled(taint, t)
	return deletes, evicts
}

// ruled is byTaint, and says by which policy that is; one without a UID stands for none.
func (s situation) ruled(taint v1.Taint, t time.Time) (by rule, deletes, evicts bool) {
	from := time.Time{}
	for _, r := range s.by.rules {
		keeps, matches := s.matches(r, taint)
		switch {
		case !matches:
		case !t.Before(s.expires(r)):
			from = last(from, s.expires(r))
		case keeps:
			return r, false, false
		default:
			begins := s.begins(r, taint, from)
			due := !t.Before(begins) && begins.Before(never())
			if r.Mode == v1alpha1.ModeDelete {
				return r, due, false
			}
			return r, due && !t.Before(endOfEviction(r, begins)), due
		}
	}
	if taint.Effect != v1.TaintEffectNoExecute {
		return rule{}, false, false
	}
	begins := last(s.deadline(taint, s.since[taint].start), from)
	return rule{}, !t.Before(begins) && begins.Before(never()), false
}

// begins is when a policy has a pod go because of a taint, if it has applied since a moment.
func (s situation) begins(r rule, taint v1.Taint, from time.Time) time.Time {
	start := s.since[taint].start
	if taint.Effect != v1.TaintEffectNoExecute {
		start = last(start, s.named(r))
	}
	begins := last(s.deadline(taint, start), from)
	if r.MinTaintAgeSeconds != nil {
		begins = last(begins, plus(start, *r.MinTaintAgeSeconds))
	}
	return begins
}

// endOfEviction is when a pod is deleted that is evicted since a moment.
func endOfEviction(r rule, begins time.Time) time.Time {
	if r.Evict.DeleteAfter != v1alpha1.AfterSeconds {
		return never()
	}
	return plus(begins, r.Evict.DeleteAfterSeconds)
}

// deadline is when a pod must go because of a taint that is on since a start, by the API of taints.
func (s situation) deadline(taint v1.Taint, start time.Time) time.Time {
	if period := s.since[taint].period; !period.IsZero() {
		return inPeriod(s.pod, taint, last(period, s.bound), last(start, s.bound))
	}
	return after(s.pod, taint, last(start, s.bound))
}

func plus(t time.Time, seconds int64) time.Time {
	if !t.Before(never()) {
		return never()
	}
	return first(never(), t.Add(time.Duration(seconds)*time.Second))
}

// matches says whether a policy is about a taint and a pod, and whether the pod stays by it: also where it selects by labels that are not
// known.
func (s situation) matches(r rule, taint v1.Taint) (keeps, matches bool) {
	keeps = r.Mode == v1alpha1.ModeKeep || r.Mode == v1alpha1.ModePreview
	names := len(r.Taints) == 0 && taint.Effect == v1.TaintEffectNoExecute
	for _, p := range r.Taints {
		prefix, isPrefix := strings.CutSuffix(p.Key, "*")
		key := p.Key == taint.Key || isPrefix && strings.HasPrefix(taint.Key, prefix) && !strings.HasPrefix(taint.Key, "node.kubernetes.io/")
		effect := p.Effect == taint.Effect || p.Effect == "" && taint.Effect == v1.TaintEffectNoExecute
		names = names || key && effect && (p.Value == nil || string(*p.Value) == taint.Value)
	}
	if !names || !selected(r.NodeSelector, s.node.Labels) || !selected(r.PodSelector, s.pod.Labels) {
		return false, false
	}
	if r.NamespaceSelector == nil {
		return keeps, true
	}
	known, isKnown := s.by.labels[s.pod.Namespace]
	return keeps || !isKnown, !isKnown || selected(r.NamespaceSelector, known)
}

// selected says whether a selector selects an object with these labels. The steps use matchLabels, and NotIn.
func selected(selector *v1alpha1.LabelSelector, labels map[string]string) bool {
	if selector == nil {
		return true
	}
	for key, value := range selector.MatchLabels {
		if got, has := labels[key]; !has || got != string(value) {
			return false
		}
	}
	for _, e := range selector.MatchExpressions {
		if got, has := labels[e.Key]; has && slices.Contains(e.Values, v1alpha1.LabelValue(got)) {
			return false
		}
	}
	return true
}

// moments are those at which anything may change by itself, in order.
func (s situation) moments() (all []time.Time) {
	for taint := range s.since {
		from := time.Time{}
		for _, r := range s.by.rules {
			if _, matches := s.matches(r, taint); !matches {
				continue
			}
			begins := s.begins(r, taint, from)
			all = append(all, begins, endOfEviction(r, begins), s.expires(r))
			if s.expires(r).Before(never()) {
				from = last(from, s.expires(r))
			}
		}
		deadline := s.deadline(taint, s.since[taint].start)
		all = append(all, deadline, last(deadline, from))
	}
	all = slices.DeleteFunc(all, func(t time.Time) bool { return !t.Before(never()) })
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// way is in what way a pod goes: it is deleted, evicted, or either.
type way int

const (
	deleted way = iota
	evicted
	either
)

func (w way) String() string { return [...]string{"deleted", "evicted", "deleted or evicted"}[w] }

// goes says whether a pod goes in a way at a moment.
func (s situation) goes(w way, t time.Time) bool {
	deletes, evicts := s.at(t)
	return w != evicted && deletes || w != deleted && evicts
}

// ever is the first moment of all at which a pod goes in a way, or never.
func (s situation) ever(w way) time.Time {
	for _, t := range s.moments() {
		if s.goes(w, t) {
			return t
		}
	}
	return never()
}

// within is the first moment of a time at which a pod goes in a way, or never.
func (s situation) within(w way, from, to time.Time) time.Time {
	for _, t := range slices.Concat([]time.Time{from}, s.moments()) {
		if !t.Before(from) && !t.After(to) && s.goes(w, t) {
			return t
		}
	}
	return never()
}

// dueAt is since when a pod goes in a way that does at a moment, or else when it will next, or never.
func (s situation) dueAt(w way, now time.Time) time.Time {
	if !s.goes(w, now) {
		return s.within(w, now, never())
	}
	moments := s.moments()
	since := now
	for i := len(moments) - 1; i >= 0; i-- {
		if t := moments[i]; t.After(now) {
			continue
		} else if !s.goes(w, t) {
			break
		}
		since = moments[i]
	}
	return since
}
