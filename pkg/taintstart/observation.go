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
	"encoding/json"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Taint is a taint as the node object shows it.
type Taint struct {
	Key, Value string
	// NoSchedule is true for a taint with this effect, which evicts only where a policy names it. Otherwise the effect is NoExecute.
	NoSchedule bool
	// TimeAdded is in whole seconds. It is zero if the API object has none.
	TimeAdded time.Time
}

// Observation holds what one version of a node says about its taints, and when and how we received it. API times are in whole
// seconds, and zero if unknown.
type Observation struct {
	UID             types.UID
	ResourceVersion string
	// Taints are the NoExecute taints, and the NoSchedule taints that a policy may name, in the order of the object. The API
	// rejects duplicates; of such, the earliest timeAdded counts.
	Taints []Taint
	// Changed is the API time of the last change of spec.taints. It may be later than the change, if its writer has since
	// changed other fields. It is earlier only if an admission plugin changed the taints in another client's write, because
	// managedFields are computed before.
	Changed time.Time
	// Written is the API time of the last write that this version shows.
	Written time.Time
	// NotReadySince is the transition time of the Ready condition, and NotReady its status, False or Unknown. Both are zero
	// while Ready is True or missing. The kubelet writes False and the node lifecycle controller writes Unknown, each by
	// its own clock.
	NotReadySince time.Time
	NotReady      v1.ConditionStatus
	// Seen is when this version reached us, as a local time.
	Seen time.Time
	// List numbers the list that delivered this version, or that preceded the watch that did. Within one list no version is
	// missed.
	List uint64
	// Gap is true if there is a gap between the version seen before and this one.
	Gap bool
	// Continues is true if a version of the same node was seen before this one. BeforeWritten and BeforeChanged are its
	// Written and Changed.
	Continues                    bool
	BeforeWritten, BeforeChanged time.Time
}

// After returns the observation, given the one before it of the same name.
func (o Observation) After(before Observation) Observation {
	o.Gap = o.List != before.List
	if o.UID == before.UID {
		o.Continues, o.BeforeWritten, o.BeforeChanged = true, before.Written, before.Changed
	}
	return o
}

// Observe returns what a node says. It keeps no reference to the node. seen is a local time. list is 0 for a read that is
// not part of a list or watch.
func Observe(node *v1.Node, seen time.Time, list uint64) Observation {
	o := Observation{UID: node.UID, ResourceVersion: node.ResourceVersion, Seen: seen, List: list}
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect != v1.TaintEffectNoExecute && !mayBeNamed(taint) {
			continue
		}
		added := time.Time{}
		if taint.TimeAdded != nil {
			added = taint.TimeAdded.UTC()
		}
		if i := o.index(taint); i >= 0 {
			o.Taints[i].TimeAdded = earliest(o.Taints[i].TimeAdded, added)
			continue
		}
		o.Taints = append(o.Taints, Taint{Key: taint.Key, Value: taint.Value, NoSchedule: taint.Effect == v1.TaintEffectNoSchedule, TimeAdded: added})
	}
	o.Changed, o.Written = writeTimes(node.ManagedFields)
	ready := slices.IndexFunc(node.Status.Conditions, func(c v1.NodeCondition) bool { return c.Type == v1.NodeReady })
	if ready >= 0 && node.Status.Conditions[ready].Status != v1.ConditionTrue {
		o.NotReadySince = node.Status.Conditions[ready].LastTransitionTime.UTC()
		o.NotReady = node.Status.Conditions[ready].Status
	}
	return o
}

// mayBeNamed reports whether a policy may have a NoSchedule taint evict. Kubernetes has such taints of its own, for nodes that are
// cordoned, under pressure or for the control plane. No policy may name these.
func mayBeNamed(taint *v1.Taint) bool {
	return taint.Effect == v1.TaintEffectNoSchedule &&
		!strings.HasPrefix(taint.Key, "kubernetes.io/") && !strings.Contains(taint.Key, ".kubernetes.io/")
}

// index returns the index of a taint in the observation, or -1.
func (o *Observation) index(taint *v1.Taint) int {
	return slices.IndexFunc(o.Taints, func(t Taint) bool {
		return t.Key == taint.Key && t.Value == taint.Value && t.NoSchedule == (taint.Effect == v1.TaintEffectNoSchedule)
	})
}

// writeTimes returns the time of the last change of the taints and the time of the last write of any field.
//
// The list of taints is atomic, so a change leaves one owner. With server-side apply two managers may own the same value;
// then the later time counts.
func writeTimes(entries []metav1.ManagedFieldsEntry) (changed, written time.Time) {
	for i := range entries {
		entry := &entries[i]
		if entry.Time == nil {
			continue
		}
		if entry.Time.After(written) {
			written = entry.Time.UTC()
		}
		if entry.Subresource == "" && entry.Time.After(changed) && ownsTaints(entry.FieldsV1) {
			changed = entry.Time.UTC()
		}
	}
	return changed, written
}

// ownsTaints reports whether a set of fields contains f:spec.f:taints. A set that cannot be parsed owns nothing, which errs
// to the later side.
func ownsTaints(fields *metav1.FieldsV1) bool {
	const taints = "f:taints"
	if fields == nil || !strings.Contains(fields.GetRawString(), taints) {
		return false // the common case, without parsing
	}
	var set struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if err := json.Unmarshal(fields.GetRawBytes(), &set); err != nil {
		return false
	}
	_, owned := set.Spec[taints]
	return owned
}
