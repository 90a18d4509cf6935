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
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// nodeVersion is a node from a moment until the next version; nil where it did not exist.
type nodeVersion struct {
	at   time.Time
	node *v1.Node
}

// podVersion is a pod from a moment until the next version; nil after its end.
type podVersion struct {
	at  time.Time
	pod *v1.Pod
}

// history is the truth: every version of every object, with the moment it was stored at.
type history struct {
	nodes     map[string][]nodeVersion
	pods      map[types.UID][]podVersion
	byVersion map[string]apitest.Object
	// specs are when each generation of each policy was stored, by its UID.
	specs map[types.UID]map[int64]time.Time
	// policies are those that there are.
	policies map[types.NamespacedName]*v1alpha1.TaintEvictionPolicy
	// index is which of its node's versions a resource version is.
	index map[string]int
	// apiSkew is by how much the API server's clock is ahead of the time that the history is written by.
	apiSkew time.Duration
	// evictions is how often a DELETE of ours took effect on a pod.
	evictions map[types.UID]*eviction
	events    []*v1.Event
	// budgets are the disruption budgets that there are, and budgetsChanged is when the last one changed, but for its status, or went.
	budgets        map[types.NamespacedName]*policyv1.PodDisruptionBudget
	budgetsChanged time.Time
	// changed is when anything last changed that decides what policies do, but for time.
	changed time.Time
	// everyBudget are all that there ever were.
	everyBudget []*policyv1.PodDisruptionBudget
}

func newHistory(apiSkew time.Duration) *history {
	return &history{
		apiSkew: apiSkew, index: map[string]int{},
		nodes: map[string][]nodeVersion{}, pods: map[types.UID][]podVersion{}, byVersion: map[string]apitest.Object{},
		specs: map[types.UID]map[int64]time.Time{}, policies: map[types.NamespacedName]*v1alpha1.TaintEvictionPolicy{},
		budgets:   map[types.NamespacedName]*policyv1.PodDisruptionBudget{},
		evictions: map[types.UID]*eviction{},
	}
}

// record takes in a new version, or the end of an object.
func (h *history) record(o apitest.Object, gone bool) {
	now := time.Now()
	switch o.(type) {
	case *v1.Node, *v1.Pod, *v1.Namespace, *policyv1.PodDisruptionBudget:
		h.changed = now
	}
	h.byVersion[o.GetResourceVersion()] = o
	switch o := o.(type) {
	case *v1.Node:
		version := nodeVersion{now, o}
		if gone {
			version.node = nil
		}
		h.index[o.ResourceVersion] = len(h.nodes[o.Name])
		h.nodes[o.Name] = append(h.nodes[o.Name], version)
	case *v1.Pod:
		version := podVersion{now, o}
		if gone {
			version.pod = nil
		}
		h.pods[o.UID] = append(h.pods[o.UID], version)
	case *v1alpha1.TaintEvictionPolicy:
		if before := h.policies[nameOf(o)]; gone || before == nil || before.Generation != o.Generation || before.UID != o.UID {
			h.changed = now
		}
		if h.policies[nameOf(o)] = o; gone {
			delete(h.policies, nameOf(o))
		}
		if h.specs[o.UID] == nil {
			h.specs[o.UID] = map[int64]time.Time{}
		}
		if h.specs[o.UID][o.Generation].IsZero() {
			h.specs[o.UID][o.Generation] = now
		}
	case *policyv1.PodDisruptionBudget:
		if before := h.budgets[nameOf(o)]; gone || before == nil || before.Generation != o.Generation {
			h.budgetsChanged = now
			h.everyBudget = append(h.everyBudget, o)
		}
		if h.budgets[nameOf(o)] = o; gone {
			delete(h.budgets, nameOf(o))
		}
	case *v1.Event:
		h.events = append(h.events, o)
	}
}

// ended is the moment at which a second of the API's clock is over.
func (h *history) ended(second time.Time) time.Time { return secondEnd(second).Add(-h.apiSkew) }

// second is a moment as the API server stores it.
func (h *history) second(at time.Time) time.Time { return at.Add(h.apiSkew).Truncate(time.Second) }

// node is the node of a name now, or nil.
func (h *history) node(name string) *v1.Node {
	if versions := h.nodes[name]; len(versions) > 0 {
		return versions[len(versions)-1].node
	}
	return nil
}

// pod is the pod of a UID now, or nil.
func (h *history) pod(uid types.UID) *v1.Pod {
	if versions := h.pods[uid]; len(versions) > 0 {
		return versions[len(versions)-1].pod
	}
	return nil
}

// lastVersion is the last version of the pod of a UID, whether it is there or not, or nil if there never was one.
func (h *history) lastVersion(uid types.UID) *v1.Pod {
	for _, version := range slices.Backward(h.pods[uid]) {
		if version.pod != nil {
			return version.pod
		}
	}
	return nil
}

// versionBefore is the version of a pod before what has just happened to it.
func (h *history) versionBefore(uid types.UID) *v1.Pod {
	for _, version := range slices.Backward(h.pods[uid]) {
		if version.pod != nil && version.pod.DeletionTimestamp == nil {
			return version.pod
		}
	}
	return nil
}

// boundAt is when a pod came to its node in truth.
func (h *history) boundAt(uid types.UID) time.Time {
	for _, version := range h.pods[uid] {
		if version.pod != nil && version.pod.Spec.NodeName != "" {
			return version.at
		}
	}
	return never()
}

// everCovered says whether there ever was a budget that covers a pod.
func (h *history) everCovered(pod *v1.Pod) bool {
	return slices.ContainsFunc(h.everyBudget, func(budget *policyv1.PodDisruptionBudget) bool { return covers(budget, pod) })
}
