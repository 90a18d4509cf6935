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
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
)

// judge says why the rules do not allow what was just done to a pod, or nothing. It was decided on a read of the node, and by the policies that the replica knew then; at some instant since that read
// began, the pod was to go in this way, as it is in one of these versions that was there then, or since podSince where that is not zero.
func (r *replica) judge(w way, decided, sent time.Time, versions []podVersion, podSince time.Time) string {
	now := time.Now()
	if len(versions) == 0 || versions[len(versions)-1].pod == nil {
		return "it does not exist"
	}
	node := versions[len(versions)-1].pod.Spec.NodeName
	began, ok := r.decidedOn(node, decided, sent)
	if !ok {
		return fmt.Sprintf("no read of node %s that was answered at most %s before is known", node, freshRead)
	}
	asItWas := !podSince.IsZero() // a version counts also after its end
	if !asItWas || podSince.After(began) {
		podSince = began
	}
	rulings := r.view.rulingsAt(decided)
	if len(rulings) == 0 {
		return "it was not known what policies there are"
	}
	nodes, earliest := r.sim.history.nodes[node], never()
	for i := len(nodes) - 1; i >= 0; i-- {
		until := now
		if i+1 < len(nodes) {
			until = nodes[i+1].at
		}
		if until.Before(began) {
			break
		}
		for j, version := range versions {
			ended := now
			if j+1 < len(versions) {
				ended = versions[j+1].at
			}
			if version.pod == nil || version.pod.Spec.NodeName != node || ended.Before(podSince) || version.at.After(until) {
				continue
			}
			to := until
			if !asItWas {
				to = first(to, ended)
			}
			from := last(last(began, nodes[i].at), version.at)
			due := r.dueFrom(w, version.pod, i, rulings, from)
			if !due.After(to) {
				return ""
			}
			earliest = first(earliest, due)
		}
	}
	return fmt.Sprintf("it is to be %s at %s at the earliest, by all that was so since %s", w, r.sim.clock(earliest), r.sim.clock(began))
}

// dueFrom is the first moment from one on at which a pod goes in a way, by a version of its node and one of these rulings, at the earliest.
func (r *replica) dueFrom(w way, pod *v1.Pod, node int, rulings []ruling, from time.Time) time.Time {
	due := never()
	for _, by := range rulings {
		for _, doubting := range by.doubts() {
			due = first(due, r.sim.history.earliest(pod, node, r.view, by, doubting).within(w, from, never()))
		}
	}
	return due
}

// decidedOn is when the read of a node began that a call was decided on which was sent at a moment: the earliest one of those
// that had been answered when it was decided, and not too long ago when it was sent.
func (r *replica) decidedOn(node string, decided, sent time.Time) (began time.Time, ok bool) {
	for _, read := range r.reads[node] {
		if !read.ended.After(decided) && !read.ended.Before(sent.Add(-freshRead)) && (!ok || read.began.Before(began)) {
			began, ok = read.began, true
		}
	}
	return began, ok
}
