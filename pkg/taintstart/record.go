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
	"cmp"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// Records are the records of all nodes. All times are API times.
type Records struct {
	// ConfirmedUntil is an API time up to which all nodes are confirmed as recorded, or zero.
	ConfirmedUntil time.Time
	// Nodes are the records by node name.
	Nodes map[string]Record
}

// Record is the record of one node, with what it takes to prove that it still holds.
type Record struct {
	UID types.UID `json:"uid"`
	// ResourceVersion, Changed, NotReadySince and NotReady are those of the recorded version. An equal ResourceVersion
	// proves that nothing has changed. An equal Changed proves that the taints have not.
	ResourceVersion string             `json:"resourceVersion"`
	Changed         time.Time          `json:"changed,omitzero"`
	NotReadySince   time.Time          `json:"notReadySince,omitzero"`
	NotReady        v1.ConditionStatus `json:"notReady,omitempty"`
	// Confirmed is an API time at which this node is confirmed as recorded, if later than Records.ConfirmedUntil.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Starts are the starts that the node does not show, or shows wrongly.
	Starts []RecordedStart `json:"starts,omitempty"`
	// Periods are the not-ready periods of the node.
	Periods []RecordedPeriod `json:"periods,omitempty"`
}

// RecordedStart is the recorded start of a taint.
type RecordedStart struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	// NoSchedule is as in Taint.
	NoSchedule bool      `json:"noSchedule,omitempty"`
	Time       time.Time `json:"start"`
	// Absent is an API time at which the node was last known to be without the taint, or zero. An earlier timeAdded is
	// disproved.
	Absent time.Time `json:"absent,omitzero"`
}

// RecordedPeriod is a recorded not-ready period.
type RecordedPeriod struct {
	Value string    `json:"value,omitempty"`
	Time  time.Time `json:"start"`
	// On are the not-ready taints that are on, or were on last.
	On []RecordedStart `json:"on"`
	// LastOn is an API time at which they were still on, during an absence of both. Otherwise it is zero.
	LastOn time.Time `json:"lastOn,omitzero"`
	// MayHaveSwapped is true if one may have replaced the other after LastOn.
	MayHaveSwapped bool `json:"mayHaveSwapped,omitempty"`
}

// HasPeriods reports whether a not-ready period is recorded.
func (r Records) HasPeriods() bool {
	for name := range r.Nodes {
		if len(r.Nodes[name].Periods) > 0 {
			return true
		}
	}
	return false
}

// Unconfirmed returns the number of records that are not confirmed past the second of their last change. The time of that
// change cannot prove them.
func (r Records) Unconfirmed() (n int) {
	for name := range r.Nodes {
		record := r.Nodes[name]
		if state := record.state(r.ConfirmedUntil); !state.isConfirmed(state.confirmed) {
			n++
		}
	}
	return n
}

// empty reports whether there is nothing to record.
func (r Record) empty() bool { return len(r.Starts)+len(r.Periods) == 0 }

// Equal reports whether two records are of the same version, or of versions between which nothing relevant changed.
func (r Record) Equal(other Record) bool {
	return r.UID == other.UID && r.Changed.Equal(other.Changed) && r.NotReadySince.Equal(other.NotReadySince) && r.NotReady == other.NotReady &&
		(!r.Changed.IsZero() || r.ResourceVersion == other.ResourceVersion) &&
		slices.EqualFunc(r.Starts, other.Starts, RecordedStart.equal) &&
		slices.EqualFunc(r.Periods, other.Periods, func(a, b RecordedPeriod) bool {
			return a.Value == b.Value && a.Time.Equal(b.Time) && a.LastOn.Equal(b.LastOn) && a.MayHaveSwapped == b.MayHaveSwapped && slices.EqualFunc(a.On, b.On, RecordedStart.equal)
		})
}

func (s RecordedStart) equal(other RecordedStart) bool {
	return s.Key == other.Key && s.Value == other.Value && s.NoSchedule == other.NoSchedule && s.Time.Equal(other.Time) && s.Absent.Equal(other.Absent)
}

// Records returns what must be stored now: the starts that the API objects do not show, and not-ready periods while they
// last, because a node lifecycle controller that starts sets their timeAdded again.
func (t *Tracker) Records() Records {
	t.lock.RLock()
	defer t.lock.RUnlock()
	records := Records{Nodes: map[string]Record{}}
	for name, n := range t.nodes {
		r := n.record(t.named)
		if r.empty() {
			continue
		}
		if until := t.observedUntil(n.last.List).UTC(); len(records.Nodes) == 0 || until.Before(records.ConfirmedUntil) {
			records.ConfirmedUntil = until
		}
		records.Nodes[name] = r
	}
	return records
}

// Restore takes the records that another process stored. It must be called before Observe. A record is used for the first
// version of its node that is observed, and only if that version proves it.
func (t *Tracker) Restore(records Records) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.restored = records
}

// DropRestored drops the records that no node has used. It must be called when all nodes have been observed once.
func (t *Tracker) DropRestored() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.restored = Records{}
}

// record returns the record of a node. NoSchedule taints that no policy has evict are not recorded.
func (n *nodeState) record(named named) Record {
	o := n.last
	r := Record{
		UID: o.UID, ResourceVersion: o.ResourceVersion, Changed: o.Changed, NotReadySince: o.NotReadySince, NotReady: o.NotReady,
		Confirmed: latest(o.Written, n.confirmed),
	}
	for _, taint := range o.Taints {
		id := taint.identity()
		if p, known := n.taints[id]; known && named.evicts(id) && !shown(o, taint, p.start) {
			r.Starts = append(r.Starts, p.record(id))
		}
	}
	slices.SortFunc(r.Starts, func(a, b RecordedStart) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value), a.Time.Compare(b.Time))
	})
	for value, p := range n.periods {
		recorded := RecordedPeriod{Value: value, Time: p.start.serverTime(), LastOn: p.lastOn, MayHaveSwapped: p.mayHaveSwapped}
		for _, key := range slices.Sorted(maps.Keys(p.on)) {
			recorded.On = append(recorded.On, p.on[key].record(identity{key: key, value: value}))
		}
		r.Periods = append(r.Periods, recorded)
	}
	slices.SortFunc(r.Periods, func(a, b RecordedPeriod) int { return cmp.Compare(a.Value, b.Value) })
	return r
}

// shown reports whether a new process would resolve the same start from the node object: the same API time if that counts,
// and one that is neither before the taint was first seen nor much later.
func shown(o Observation, taint Taint, start Start) bool {
	says := earliest(endOf(taint.TimeAdded), endOf(o.Changed))
	same := start.Server.IsZero() || says.Equal(start.Server)
	return !says.IsZero() && same && within(start.serverTime(), says, apiResolution)
}

// state returns the node state that was recorded.
func (r Record) state(confirmed time.Time) *nodeState {
	n := &nodeState{
		last: Observation{
			UID: r.UID, ResourceVersion: r.ResourceVersion, Changed: r.Changed, NotReadySince: r.NotReadySince, NotReady: r.NotReady,
		},
		confirmed: latest(confirmed, r.Confirmed),
		taints:    map[identity]taintState{}, periods: map[string]*period{},
	}
	for _, s := range r.Starts {
		n.taints[identity{s.Key, s.Value, s.NoSchedule}] = s.state()
	}
	for _, recorded := range r.Periods {
		p := &period{
			start: Start{Server: recorded.Time, By: deadline.ByRecord}, on: map[string]taintState{},
			absent: !recorded.LastOn.IsZero(), lastOn: recorded.LastOn, mayHaveSwapped: recorded.MayHaveSwapped,
		}
		for _, s := range recorded.On {
			p.on[s.Key] = s.state()
		}
		n.periods[recorded.Value] = p
	}
	return n
}

// record returns the record of a taint.
func (p taintState) record(id identity) RecordedStart {
	return RecordedStart{id.key, id.value, id.noSchedule, p.start.serverTime(), p.absent.UTC()}
}

// state returns the taint state that was recorded.
func (s RecordedStart) state() taintState {
	return taintState{start: Start{Server: s.Time, By: deadline.ByRecord}, absent: s.Absent}
}
