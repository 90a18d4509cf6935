package taintstart

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// settled is how long a version must have been the last one before it is recorded. The API's second in which its change was
// made is over by then, and a watch that lags a little has brought what else happened within it.
const settled = 5 * time.Second

// Record is what a process that starts anew could not learn of a node from the API, and how it may prove that it still holds.
type Record struct {
	UID types.UID `json:"uid"`
	// Changed and NotReadySince are those of the version that was recorded: what is equal later has not been touched since.
	Changed       time.Time `json:"changed,omitzero"`
	NotReadySince time.Time `json:"notReadySince,omitzero"`
	Starts        []Start   `json:"starts"`
}

// Equal says whether two records say the same.
func (r Record) Equal(other Record) bool {
	return r.UID == other.UID && r.Changed.Equal(other.Changed) && r.NotReadySince.Equal(other.NotReadySince) &&
		slices.EqualFunc(r.Starts, other.Starts, func(a, b Start) bool {
			return a.Key == b.Key && a.Value == b.Value && a.Time.Equal(b.Time)
		})
}

// Start is when one presence began.
type Start struct {
	// Key is empty for the illness of the node.
	Key   string    `json:"key,omitempty"`
	Value string    `json:"value,omitempty"`
	Time  time.Time `json:"start"`
}

// Records are the starts that have to be written down at the moment, by node: those that the API objects do not show (any
// more), and those of illnesses while they last, because a node lifecycle controller that starts stamps their taints anew. A
// node whose version is too new keeps its record of before, if it had one.
func (t *Tracker) Records(now time.Time, before map[string]Record) map[string]Record {
	t.lock.RLock()
	defer t.lock.RUnlock()
	records := map[string]Record{}
	for name, m := range t.nodes {
		if now.Sub(m.unchanged) < settled {
			if r, recorded := before[name]; recorded && r.UID == m.last.UID {
				records[name] = r
			}
			continue
		}
		if r := m.record(); len(r.Starts) > 0 {
			records[name] = r
		}
	}
	return records
}

// Recall takes in what another process has recorded. It has to be called before Observe. A record counts for the first
// version of its node that is observed, and only where that proves it.
func (t *Tracker) Recall(records map[string]Record) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.recalled = records
}

// ForgetRecalled drops the records that no node has asked for. It has to be called when all nodes have been observed once.
func (t *Tracker) ForgetRecalled() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.recalled = nil
}

// record is what has to be written down of a node.
func (m *memory) record() Record {
	r := Record{UID: m.last.UID, Changed: m.last.Changed.UTC(), NotReadySince: m.last.NotReadySince.UTC()}
	for p, start := range m.starts {
		if p.illness || p.key != "" && !shown(m.last, p, start) {
			r.Starts = append(r.Starts, Start{p.key, p.value, start.UTC()})
		}
	}
	for p, paused := range m.paused {
		r.Starts = append(r.Starts, Start{p.key, p.value, paused.start.UTC()})
	}
	slices.SortFunc(r.Starts, func(a, b Start) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value)) })
	return r
}

// shown says whether a version shows the start of a presence, as well as the API's times can.
func shown(o Observation, p presence, start time.Time) bool {
	for _, taint := range o.Taints {
		if presenceOf(taint) != p {
			continue
		}
		if says := earliest(endOf(taint.TimeAdded), endOf(o.Changed)); !says.IsZero() && says.Sub(start) <= apiResolution {
			return true
		}
	}
	return false
}

// memory is what was known of the node, at the version that was recorded. That had been the last one for long enough to
// have been written after the second of its changes.
func (r Record) memory() *memory {
	m := &memory{
		last:   Observation{UID: r.UID, Changed: r.Changed, NotReadySince: r.NotReadySince, Written: endOf(latest(r.Changed, r.NotReadySince))},
		starts: map[presence]time.Time{},
	}
	for _, start := range r.Starts {
		if !start.Time.IsZero() {
			m.starts[presence{key: start.Key, value: start.Value, illness: start.Key == ""}] = start.Time
		}
	}
	return m
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
