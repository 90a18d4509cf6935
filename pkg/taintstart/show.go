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

package taintstart

import (
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// Known is a taint of a node, and the evidence that counts for its start.
type Known struct {
	Taint Taint
	// Start is the start of the taint. Period is the start of the not-ready period; it is zero for all but the not-ready taints.
	Start, Period Start
}

// Known returns the taints of a node that may evict, as Taints does, with the evidence.
func (t *Tracker) Known(node string) []Known {
	t.lock.RLock()
	defer t.lock.RUnlock()
	n := t.nodes[node]
	if !n.tainted(t.named) {
		return nil
	}
	var all []Known
	for _, taint := range n.last.Taints {
		if t.named.evicts(taint.identity()) {
			all = append(all, Known{Taint: taint})
		}
	}
	for i, resolved := range n.resolvedTaints(t.named) { // in the same order
		all[i].Start, all[i].Period = resolved.start, resolved.period
	}
	return all
}

// Next returns the taints of a node if a version was the next one observed, without a gap. It does not change the state.
func (t *Tracker) Next(node string, o Observation) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	before := t.nodes[node]
	if before != nil {
		o.List = before.last.List
		o = o.After(before.last)
	}
	return t.transition(before, o).next().deadlineTaints(t.clock, t.named)
}

// Written returns the observation of a node after a client has written other taints, and nothing else has changed. at is the local time of
// that, and api the API time.
func Written(o Observation, taints []v1.Taint, at, api time.Time) Observation {
	o.Taints = Observe(&v1.Node{Spec: v1.NodeSpec{Taints: taints}}, at, o.List).Taints
	o.ResourceVersion = "" // it is another one, and not known
	o.Seen, o.Changed, o.Written = at, api.Truncate(apiResolution), api.Truncate(apiResolution)
	return o
}
