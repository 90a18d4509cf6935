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
	"time"

	v1 "k8s.io/api/core/v1"
)

// maxAbsence is how long both taints of a node that is not ready may be off within one not-ready period, by the rules.
const maxAbsence = time.Minute

// truth are the versions of a node up to one of them, in which its taints are to be dated: as they were, whatever a replica
// was shown of them. It dates them as early as any evidence may.
type truth struct {
	h        *history
	versions []nodeVersion
	// v is the view of the replica that dates them: evidence that it has seen disproved does not count for it.
	v *view
}

// earliest is the situation of a pod that is as it is in a version, while its node is as in its version i, by a ruling, at the earliest times
// that the truth allows. A replica may date the end of a policy by its doubt about the API server's clock, or not.
func (h *history) earliest(pod *v1.Pod, i int, v *view, by ruling, doubting bool) situation {
	if i < 0 || h.nodes[pod.Spec.NodeName][i].node == nil {
		return situation{}
	}
	t := truth{h, h.nodes[pod.Spec.NodeName][:i+1], v}
	bound := first(h.boundAt(pod.UID), boundBy(pod).Add(-h.apiSkew))
	named := func(r rule) time.Time { return h.specs[r.uid][r.inForce] }
	return newSituation(pod, bound, t.versions[i].node, starts{
		taint:  func(taint v1.Taint) time.Time { return t.start(i, taint) },
		period: func(taint v1.Taint) (period, own time.Time) { return t.period(i, taint) },
	}, by, named, h.expires(doubting))
}

// expires is when policies cease to apply: in truth, or as late as a replica may date that.
func (h *history) expires(doubting bool) func(rule) time.Time {
	return func(r rule) time.Time {
		switch {
		case r.ExpireTime == nil:
			return never()
		case doubting:
			return r.ExpireTime.Add(r.doubt - h.apiSkew)
		default:
			return r.ExpireTime.Add(-h.apiSkew)
		}
	}
}

// began is the first version of the unbroken presence of a taint that is in version i.
func (t truth) began(i int, taint v1.Taint) int {
	uid := t.versions[i].node.UID
	for i > 0 && t.versions[i-1].node != nil && t.versions[i-1].node.UID == uid && find(t.versions[i-1].node, taint) != nil {
		i--
	}
	return i
}

// start is the beginning of the unbroken presence of a taint in version i, or what a version of that presence says of it,
// unless that is disproved: an earlier timeAdded, or a time of the last change of the taints that is not of this one, which an
// admission plugin put there.
func (t truth) start(i int, taint v1.Taint) time.Time {
	began := t.began(i, taint)
	start, without := t.versions[began].at, time.Time{}
	if began > 0 && t.v.watched(t.versions[began-1].node, t.versions[began].node) {
		without = writtenAt(t.versions[began-1].node)
	}
	for _, version := range t.versions[began : i+1] {
		if added := addedAt(version.node, taint); !added.IsZero() && !added.Before(without) {
			start = first(start, t.h.ended(added))
		}
		if changed := changedAt(version.node); !changed.IsZero() && changed.After(without) {
			start = first(start, t.h.ended(changed))
		}
	}
	return start
}

// period is since when the not-ready period counts that version i is in, and since when a taint of it is on in place of the
// other one.
func (t truth) period(i int, k v1.Taint) (period, own time.Time) {
	period, own = never(), never()
	inPlace := true
	for next := -1; i >= 0; next, i = i, t.onBefore(i) {
		inPlace = inPlace && find(t.versions[i].node, k) != nil
		for _, taint := range notReadyTaints(t.versions[i].node) {
			if next >= 0 && find(t.versions[next].node, taint) != nil && t.began(next, taint) <= i {
				continue // it was dated with the version after this one
			}
			start := t.start(i, taint)
			period = first(period, start)
			if inPlace && sameTaint(taint, k) {
				own = first(own, start)
			}
		}
	}
	return period, own
}

// onBefore is the version before version i, which is within a not-ready period, that is within it and has one of its taints on;
// or -1.
func (t truth) onBefore(i int) int {
	uid, on := t.versions[i].node.UID, i
	for i--; i >= 0 && t.versions[i].node != nil && t.versions[i].node.UID == uid; i-- {
		switch node := t.versions[i].node; {
		case len(notReadyTaints(node)) > 0 && i+1 == on:
			return i
		case len(notReadyTaints(node)) > 0 && t.versions[on].at.Sub(t.versions[i+1].at) <= maxAbsence:
			return i
		case len(notReadyTaints(node)) > 0 || isReady(node):
			return -1
		}
	}
	return -1
}
