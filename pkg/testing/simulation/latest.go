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
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	// margin is by how much shorter than allowed an absence is that counts as such for certain.
	margin = 2 * time.Second
	// confirming is how old the last confirmation of what is on a node may be while nothing is wrong.
	confirming = 25 * time.Second
)

// latestDue is since when a pod goes in a way that must do so now, or when it must next, at the latest, by what a replica was shown and for some
// of the taints of its node.
func (s *sim) latestDue(v *view, pod *v1.Pod, w way, which func(v1.Taint) bool) time.Time {
	due, by := time.Time{}, v.ruling()
	for _, doubting := range by.doubts() {
		due = last(due, s.latest(v, pod, by, doubting).of(which).dueAt(w, time.Now()))
	}
	if seen := v.nodes[pod.Spec.NodeName]; len(seen) > 0 && !s.plan.policies.on {
		due = first(due, s.bequeathed(pod, seen[len(seen)-1].node))
	}
	return due
}

// latest is the situation of a pod by what a replica was shown, and by a ruling: with no more evidence than it has for certain.
func (s *sim) latest(v *view, pod *v1.Pod, by ruling, doubting bool) situation {
	seen := v.nodes[pod.Spec.NodeName]
	if len(seen) == 0 {
		return situation{}
	}
	doubt := v.apiClock.doubt(time.Now())
	e := evidence{s.history, seen, doubt, s.plan.calm, s.plan.keeps}
	bound := first(v.podSeen[pod.UID], boundBy(pod).Add(-s.history.apiSkew+doubt))
	i := len(seen) - 1
	named := func(r rule) time.Time {
		if r.stamped.IsZero() {
			return r.shown
		}
		return s.history.ended(r.stamped).Add(r.doubt)
	}
	return newSituation(pod, bound, seen[i].node, starts{
		taint:  func(taint v1.Taint) time.Time { return e.start(i, taint) },
		period: func(taint v1.Taint) (period, own time.Time) { return e.period(i, taint) },
	}, by, named, s.history.expires(doubting))
}

// evidence is what a replica was shown of a node. It dates its taints as late as any doubt may have it.
type evidence struct {
	h    *history
	seen []sighting
	// doubt is by how much later the times of the API may count.
	doubt time.Duration
	// calm says that nothing is wrong: what is on a node is confirmed at intervals; and kept that another process may have
	// written down what was before.
	calm, kept bool
}

// start is since when a taint of a sighting counts at the latest: the earliest of what the sightings of one presence say that
// is proven to be unbroken.
func (e evidence) start(i int, taint v1.Taint) time.Time {
	start := never()
	for ; ; i-- {
		start = first(start, e.shown(i, taint))
		if i == 0 || !carries(e.seen[i-1].node, taint) || !e.unbroken(e.seen[i-1], e.seen[i]) {
			return start
		}
	}
}

func carries(node *v1.Node, taint v1.Taint) bool { return node != nil && find(node, taint) != nil }

// shown is when a taint was there, as a sighting shows it. A timeAdded that is not later than the last time at which it was
// not there may be known to be disproved, and so may a change that shows the same time as one before. Where the replica has
// never seen the node without the taint, and nothing was written down, nothing is.
func (e evidence) shown(i int, taint v1.Taint) time.Time {
	s := e.seen[i]
	versions, shown := e.h.nodes[s.node.Name], s.at
	began := truth{h: e.h, versions: versions}.began(e.h.index[s.node.ResourceVersion], taint)
	on, trusted := e.h.second(versions[began].at), e.neverWithout(i, taint)
	if added := addedAt(s.node, taint); !added.IsZero() && (trusted || added.After(on)) {
		shown = first(shown, e.h.ended(added).Add(e.doubt))
	}
	changed := changedAt(s.node)
	sameBefore := slices.ContainsFunc(versions[:began], func(v nodeVersion) bool { return v.node != nil && changedAt(v.node).Equal(changed) })
	if !changed.IsZero() && (trusted || (!changed.Before(on) && !sameBefore)) {
		shown = first(shown, e.h.ended(changed).Add(e.doubt))
	}
	return shown
}

// neverWithout says whether all sightings of a node have a taint, and none could be known from before.
func (e evidence) neverWithout(i int, taint v1.Taint) bool {
	return !e.kept && !slices.ContainsFunc(e.seen[:i+1], func(s sighting) bool {
		return s.node == nil || s.node.UID != e.seen[i].node.UID || find(s.node, taint) == nil
	})
}

// unbroken says whether a taint that is in two sightings, one after the other, is proven to have been there in between. After a
// gap, the time of the last change of the taints proves it if that has not moved, and was over when the earlier version was
// written.
func (e evidence) unbroken(earlier, later sighting) bool {
	switch {
	case earlier.node.UID != later.node.UID:
		return false
	case !later.gap, earlier.node.ResourceVersion == later.node.ResourceVersion:
		return true
	default:
		return unmoved(changedAt(earlier.node), changedAt(later.node), earlier.node)
	}
}

// unmoved says whether a time that two versions show is the same, and was over when the earlier one was written: within the
// second there may have been more changes.
func unmoved(earlier, later time.Time, node *v1.Node) bool {
	return !earlier.IsZero() && earlier.Equal(later) && !writtenAt(node).Before(secondEnd(earlier))
}

// period is since when the not-ready period counts at the latest that a sighting is in, and since when a taint of it is on in
// place of the other one.
func (e evidence) period(i int, k v1.Taint) (period, own time.Time) {
	period, own = never(), never()
	inPlace := true
	for i >= 0 {
		inPlace = inPlace && carries(e.seen[i].node, k)
		for _, taint := range notReadyTaints(e.seen[i].node) {
			shown := e.shown(i, taint)
			period = first(period, shown)
			if inPlace && sameTaint(taint, k) {
				own = first(own, shown)
			}
		}
		before, unseen := e.onBefore(i)
		inPlace, i = inPlace && !unseen, before
	}
	return period, own
}

// onBefore is the sighting before sighting i of the same not-ready period that has one of its taints on; or -1, where it cannot
// be known for certain that there is one. It says whether the taints may have changed unseen in between.
func (e evidence) onBefore(i int) (before int, unseen bool) {
	for on := i; i > 0; i-- {
		earlier, later := e.seen[i-1], e.seen[i]
		if earlier.node == nil || later.node == nil || earlier.node.UID != later.node.UID {
			return -1, false
		}
		carried := len(notReadyTaints(earlier.node)) > 0
		if carried && i == on && e.unbroken(earlier, later) {
			return i - 1, false
		}
		if !stayedNotReady(earlier, later) {
			return -1, false
		}
		unseen = unseen || later.gap
		if carried && e.bounded(later, e.seen[on]) {
			return i - 1, unseen
		}
		if carried {
			return -1, false
		}
	}
	return -1, false
}

// bounded says whether an absence is known to be no longer than it may be: off is the sighting after the last one with a
// taint on, and on the next one that has one. Presence is confirmed up to the latest time of the API known before off, and on
// is dated by the last change of its taints.
func (e evidence) bounded(off, on sighting) bool {
	changed := changedAt(on.node)
	if changed.IsZero() || off.confirmed.IsZero() {
		return false
	}
	confirmed := off.confirmed
	if e.calm {
		confirmed = last(confirmed, off.at.Add(e.h.apiSkew-confirming))
	}
	return !secondEnd(changed).Before(confirmed) && secondEnd(changed).Sub(confirmed) <= maxAbsence-margin
}

// stayedNotReady says whether the Ready condition is proven not to have been True between two sightings, both included. Not across a gap
// from False to Unknown: the kubelet writes the one and the node lifecycle controller the other, each by its own clock, so that an equal
// time proves nothing.
func stayedNotReady(earlier, later sighting) bool {
	from, to := notReadySince(earlier.node), notReadySince(later.node)
	sameWriter := readyCondition(earlier.node).Status == readyCondition(later.node).Status
	return !from.IsZero() && !to.IsZero() && (!later.gap || sameWriter && unmoved(from, to, earlier.node))
}
