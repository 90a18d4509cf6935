package taintstart

import (
	"cmp"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Records are what a process that starts again could not learn from the API. All times are the API server's.
type Records struct {
	// ConfirmedUntil is a time up to which the nodes were certainly as they are recorded; zero where it is not known.
	ConfirmedUntil time.Time
	// Nodes are the records by the name of the node.
	Nodes map[string]Record
}

// Record is what has to be remembered of a node, and how it may prove that it still holds.
type Record struct {
	UID types.UID `json:"uid"`
	// ResourceVersion, Changed, NotReadySince and NotReady are those of the version that was recorded. An equal ResourceVersion proves
	// that nothing has changed, and an equal Changed that the taints have not.
	ResourceVersion string             `json:"resourceVersion"`
	Changed         time.Time          `json:"changed,omitzero"`
	NotReadySince   time.Time          `json:"notReadySince,omitzero"`
	NotReady        v1.ConditionStatus `json:"notReady,omitempty"`
	// Confirmed is a time at which the node was certainly as it is recorded, where that is later than what is known of all.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Starts are those of taints that the node does not show, or shows wrongly.
	Starts []RecordedStart `json:"starts,omitempty"`
	// Periods are the not-ready periods of the node, while they last.
	Periods []RecordedPeriod `json:"periods,omitempty"`
}

// RecordedStart is when the taintState of a taint began.
type RecordedStart struct {
	Key   string    `json:"key"`
	Value string    `json:"value,omitempty"`
	Time  time.Time `json:"start"`
	// Absent is until when the node was known to be without the taint; zero where no version without it was seen. A timeAdded of
	// before is disproved.
	Absent time.Time `json:"absent,omitzero"`
}

// RecordedPeriod is when a not-ready period began.
type RecordedPeriod struct {
	Value string    `json:"value,omitempty"`
	Time  time.Time `json:"start"`
	// On are the node-condition taints that are on, or were on last.
	On []RecordedStart `json:"on"`
	// LastOn is a time at which they were on, where both are off; otherwise zero.
	LastOn time.Time `json:"lastOn,omitzero"`
	// MayHaveSwapped says that they may have taken turns after that.
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

// Unconfirmed returns how many nodes may have changed once more within the seconds of their last changes, by what is recorded:
// such a record cannot be proven by the times of those changes.
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

// Equal reports whether two records are of the same version, or of versions between which nothing changed that matters.
func (r Record) Equal(other Record) bool {
	return r.UID == other.UID && r.Changed.Equal(other.Changed) && r.NotReadySince.Equal(other.NotReadySince) && r.NotReady == other.NotReady &&
		(!r.Changed.IsZero() || r.ResourceVersion == other.ResourceVersion) &&
		slices.EqualFunc(r.Starts, other.Starts, RecordedStart.equal) &&
		slices.EqualFunc(r.Periods, other.Periods, func(a, b RecordedPeriod) bool {
			return a.Value == b.Value && a.Time.Equal(b.Time) && a.LastOn.Equal(b.LastOn) && a.MayHaveSwapped == b.MayHaveSwapped && slices.EqualFunc(a.On, b.On, RecordedStart.equal)
		})
}

func (s RecordedStart) equal(other RecordedStart) bool {
	return s.Key == other.Key && s.Value == other.Value && s.Time.Equal(other.Time) && s.Absent.Equal(other.Absent)
}

// Records returns what has to be written down at the moment: the starts that the API objects do not show (any more), and
// not-ready periods while they last, because a node lifecycle controller that starts stamps their taints again.
func (t *Tracker) Records() Records {
	t.lock.RLock()
	defer t.lock.RUnlock()
	records := Records{Nodes: map[string]Record{}}
	for name, n := range t.nodes {
		r := n.record()
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

// Restore takes in what another process has recorded. It has to be called before Observe. A record counts for the first
// version of its node that is observed, and only where that proves it.
func (t *Tracker) Restore(records Records) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.restored = records
}

// DropRestored drops the records that no node has asked for. It has to be called when all nodes have been observed once.
func (t *Tracker) DropRestored() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.restored = Records{}
}

// record returns what has to be written down of a node.
func (n *nodeState) record() Record {
	o := n.last
	r := Record{
		UID: o.UID, ResourceVersion: o.ResourceVersion, Changed: o.Changed, NotReadySince: o.NotReadySince, NotReady: o.NotReady,
		Confirmed: latest(o.Written, n.confirmed),
	}
	for _, taint := range o.Taints {
		id := identity{taint.Key, taint.Value}
		if p, known := n.taints[id]; known && !shown(o, taint, p.start) {
			r.Starts = append(r.Starts, p.record(id))
		}
	}
	slices.SortFunc(r.Starts, func(a, b RecordedStart) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value)) })
	for value, p := range n.periods {
		recorded := RecordedPeriod{Value: value, Time: p.start.serverTime(), LastOn: p.lastOn, MayHaveSwapped: p.mayHaveSwapped}
		for _, key := range slices.Sorted(maps.Keys(p.on)) {
			recorded.On = append(recorded.On, p.on[key].record(identity{key, value}))
		}
		r.Periods = append(r.Periods, recorded)
	}
	slices.SortFunc(r.Periods, func(a, b RecordedPeriod) int { return cmp.Compare(a.Value, b.Value) })
	return r
}

// shown reports whether a process that starts again finds the start of a taint in its node: the same time of the API where that
// counts, and one that is not before the taint was seen first, nor much later.
func shown(o Observation, taint Taint, start Start) bool {
	says := earliest(endOf(taint.TimeAdded), endOf(o.Changed))
	same := start.Server.IsZero() || says.Equal(start.Server)
	return !says.IsZero() && same && within(start.serverTime(), says, apiResolution)
}

// state returns what was known of the node at the version that was recorded.
func (r Record) state(confirmed time.Time) *nodeState {
	n := &nodeState{
		last: Observation{
			UID: r.UID, ResourceVersion: r.ResourceVersion, Changed: r.Changed, NotReadySince: r.NotReadySince, NotReady: r.NotReady,
		},
		confirmed: latest(confirmed, r.Confirmed),
		taints:    map[identity]taintState{}, periods: map[string]*period{},
	}
	for _, s := range r.Starts {
		n.taints[identity{s.Key, s.Value}] = s.state()
	}
	for _, recorded := range r.Periods {
		p := &period{
			start: Start{Server: recorded.Time}, on: map[string]taintState{},
			absent: !recorded.LastOn.IsZero(), lastOn: recorded.LastOn, mayHaveSwapped: recorded.MayHaveSwapped,
		}
		for _, s := range recorded.On {
			p.on[s.Key] = s.state()
		}
		n.periods[recorded.Value] = p
	}
	return n
}

// record returns what has to be written down of a taintState.
func (p taintState) record(id identity) RecordedStart {
	return RecordedStart{id.key, id.value, p.start.serverTime(), p.absent.UTC()}
}

// taintState returns what a record says.
func (s RecordedStart) state() taintState {
	return taintState{start: Start{Server: s.Time}, absent: s.Absent}
}
