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
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// describe says of the pods of a plan what their workloads are, and whether replacements of those that go find room on other nodes, one after
// another in the order in which they go: the first node by name that has it. Room that the pods of the plan leave is on nodes of the plan, and
// does not count.
func (w *Workloads) describe(plan *Plan) {
	slices.SortFunc(w.rooms, func(a, b *room) int { return cmp.Compare(a.node.Name, b.node.Name) })
	for i := range plan.Pods {
		pod := &plan.Pods[i]
		one := w.pods[types.UID(pod.Pod.UID)]
		if one == nil {
			continue
		}
		facts := &WorkloadFacts{Controller: one.controller, LocalData: slices.Clone(one.local)}
		bound := false
		for _, claim := range one.claims {
			if w.LocalClaims[claim] {
				facts.LocalData, bound = append(facts.LocalData, "local volume of claim "+claim.Name), true
			}
		}
		pod.Workload = facts
		if !pod.Goes() {
			continue
		}
		switch {
		case one.controller == "" || one.daemon:
			facts.Replacement = NoReplacement
		case bound:
			facts.Replacement = NoRoom // its volume is on the node that it leaves
		case w.noRoom:
		default:
			facts.Replacement, facts.On = w.place(one.shape)
		}
	}
}

// place takes room for a pod on a node that is not of the plan.
func (w *Workloads) place(s *shape) (Replacement, string) {
	if !s.looked {
		s.candidates, s.looked = w.candidates(s), true
	}
	for _, r := range s.candidates {
		if r.left.holds(s.requests) {
			r.left.subtract(s.requests)
			return Fits, r.node.Name
		}
	}
	return NoRoom, ""
}

// candidates returns the nodes that may have a pod.
func (w *Workloads) candidates(s *shape) (all []*room) {
	keepsAway := func(taint *v1.Taint) bool {
		return taint.Effect == v1.TaintEffectNoSchedule || taint.Effect == v1.TaintEffectNoExecute
	}
	for _, r := range w.rooms {
		if w.planned[r.node.Name] || r.node.Spec.Unschedulable {
			continue
		}
		if _, untolerated := corev1.FindMatchingUntoleratedTaint(klog.Logger{}, r.node.Spec.Taints, s.tolerations, keepsAway, true); untolerated {
			continue
		}
		if matches, err := s.affinity.Match(r.node); err == nil && matches {
			all = append(all, r)
		}
	}
	return all
}
