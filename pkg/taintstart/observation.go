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

// Taint is a NoExecute taint as the node object shows it.
type Taint struct {
	Key, Value string
	// TimeAdded is in whole seconds, zero where the API object has none.
	TimeAdded time.Time
}

// Observation is what one version of a node says about its NoExecute taints, and when and how we came to see it.
type Observation struct {
	UID             types.UID
	ResourceVersion string
	// Taints are those with the effect NoExecute, in the order of the object. The API refuses a node that has one twice; of such
	// the earliest timeAdded counts.
	Taints []Taint
	// Changed is the API server's time of the last change of spec.taints, in whole seconds; zero where it is unknown.
	// It may be later than the change, where its writer has since changed other fields. It may be earlier only where an
	// admission plugin changed the taints in another's write: managedFields are made before it.
	Changed time.Time
	// Written is the API server's time of the last write that this version shows, in whole seconds; zero where unknown.
	Written time.Time
	// NotReadySince is the transition time of the Ready condition, in whole seconds, and NotReady its status, False or Unknown;
	// zero while Ready is True or missing. The kubelet writes the one and the node lifecycle controller the other, each by a
	// clock of its own.
	NotReadySince time.Time
	NotReady      v1.ConditionStatus
	// Seen is when this version observed us, on the local clock.
	Seen time.Time
	// List numbers the list that this version came with, or that was made before the watch that brought it. Within one list
	// no version has escaped us.
	List uint64
	// Gap says that changes between the version seen before and this one may have escaped us.
	Gap bool
	// Continues says that a version of the same node was seen before this one. BeforeWritten and BeforeChanged are what Written
	// and Changed were in it.
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

// Observe returns what a node says, and keeps no reference to it. seen is on the local clock, and list is 0 for a read that is
// no part of a list or watch.
func Observe(node *v1.Node, seen time.Time, list uint64) Observation {
	o := Observation{UID: node.UID, ResourceVersion: node.ResourceVersion, Seen: seen, List: list}
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect != v1.TaintEffectNoExecute {
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
		o.Taints = append(o.Taints, Taint{Key: taint.Key, Value: taint.Value, TimeAdded: added})
	}
	o.Changed, o.Written = writeTimes(node.ManagedFields)
	ready := slices.IndexFunc(node.Status.Conditions, func(c v1.NodeCondition) bool { return c.Type == v1.NodeReady })
	if ready >= 0 && node.Status.Conditions[ready].Status != v1.ConditionTrue {
		o.NotReadySince = node.Status.Conditions[ready].LastTransitionTime.UTC()
		o.NotReady = node.Status.Conditions[ready].Status
	}
	return o
}

// index returns where a taint is in the observation, or -1.
func (o *Observation) index(taint *v1.Taint) int {
	return slices.IndexFunc(o.Taints, func(t Taint) bool { return t.Key == taint.Key && t.Value == taint.Value })
}

// writeTimes returns the time at which the taints were last changed, and the time of the last write of any field.
//
// The list is atomic, so a change of it leaves one owner. Server-side apply may make two agree on one value; then the later
// time is taken.
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

// ownsTaints reports whether a set of fields has f:spec.f:taints. What cannot be read owns nothing: less evidence is later.
func ownsTaints(fields *metav1.FieldsV1) bool {
	const taints = "f:taints"
	if fields == nil || !strings.Contains(fields.GetRawString(), taints) {
		return false // most sets end here, without being parsed
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
