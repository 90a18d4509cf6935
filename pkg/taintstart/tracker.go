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
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

const (
	// confirmAfter is how long a not-ready period may go without a timeline entry before a confirmation is needed.
	confirmAfter = 20 * time.Second
	// maxWatches is the number of lists whose progress is kept. Soon after a new list all nodes belong to it.
	maxWatches = 4
)

// Tracker keeps the state of every node with NoExecute taints, or with NoSchedule taints that a policy may name. It is safe for
// concurrent use.
//
// Observe must be called for every version of a node, in order. A taint that was removed and added again between two
// observed versions looks unbroken.
type Tracker struct {
	clock *serverclock.Clock

	lock     sync.RWMutex
	nodes    map[string]*nodeState
	named    named
	timeline timeline
	watches  []watchProgress // newest last
	// restored are the records of nodes that have not been observed yet.
	restored Records
}

// NewTracker returns an empty tracker. clock converts API times. It may be nil if they are local times.
func NewTracker(clock *serverclock.Clock) *Tracker {
	return &Tracker{clock: clock, nodes: map[string]*nodeState{}}
}

// SetNamed sets the keys of the NoSchedule taints that policies have evict. Such a taint is known since it was seen, whether it was named
// then or not.
func (t *Tracker) SetNamed(keys map[string]bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.named = keys
}

// Observe takes the next version of a node. It reports whether its taints or one of their starts changed.
func (t *Tracker) Observe(node string, o Observation) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	before := t.nodes[node]
	if record, restored := t.restored.Nodes[node]; before == nil && restored {
		before, o.Gap = record.state(t.restored.ConfirmedUntil), true
		delete(t.restored.Nodes, node)
	}
	now := t.transition(before, o).next()
	t.advance(o.List, versionOf(o.ResourceVersion))
	t.timeline.add(versionOf(o.ResourceVersion), t.notInFuture(o.Written, o.Seen))
	if before != nil && slices.Equal(before.resolvedTaints(t.named), now.resolvedTaints(t.named)) {
		now.seen = before.seen
	} else {
		changed = now.tainted(t.named) || before.tainted(t.named)
	}
	if len(now.last.Taints)+len(now.periods) > 0 {
		t.nodes[node] = now
	} else {
		delete(t.nodes, node)
	}
	return changed
}

// Forget drops a node that was deleted, given its last version. It reports whether the node carried a taint.
func (t *Tracker) Forget(node string, o Observation) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.advance(o.List, versionOf(o.ResourceVersion))
	before := t.nodes[node]
	delete(t.nodes, node)
	return before.tainted(t.named)
}

// Taints returns the taints of a node that may evict, by the last version observed, in the order of the object, with their starts
// as local times.
func (t *Tracker) Taints(node string) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	return t.nodes[node].deadlineTaints(t.clock, t.named)
}

// Tainted reports whether a node carries a taint that may evict, by the last version observed.
func (t *Tracker) Tainted(node string) bool {
	t.lock.RLock()
	defer t.lock.RUnlock()
	return t.nodes[node].tainted(t.named)
}

// Nodes returns the names of the nodes that carry a taint that may evict.
func (t *Tracker) Nodes() []string {
	t.lock.RLock()
	defer t.lock.RUnlock()
	names := make([]string, 0, len(t.nodes))
	for name, n := range t.nodes {
		if n.tainted(t.named) {
			names = append(names, name)
		}
	}
	return names
}

// ObservedAt returns the local time at which the taints of a node became what Taints returns, or zero if it has none. A
// consistent read that begins later is at least as recent.
func (t *Tracker) ObservedAt(node string) time.Time {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if n := t.nodes[node]; n != nil {
		return n.seen
	}
	return time.Time{}
}

// Resolve returns the taints of a version that was read live, with their starts. It does not change the state. There is a
// gap between this version and the last one observed, unless they are the same.
func (t *Tracker) Resolve(node string, o Observation) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	before := t.nodes[node]
	if before != nil {
		o = o.After(before.last)
	}
	o.Gap = true
	return t.transition(before, o).next().deadlineTaints(t.clock, t.named)
}

// NodeReceived records that a list, or the watch after it, delivered a version of a node. A node that has not changed since
// the list before is not observed again. When the list is complete, the node is known to be unchanged.
func (t *Tracker) NodeReceived(node, resourceVersion string, list uint64) {
	t.lock.Lock()
	defer t.lock.Unlock()
	n := t.nodes[node]
	switch {
	case n == nil || n.last.ResourceVersion != resourceVersion:
	case t.progress(list).observed > 0:
		n.last.List = list
	default:
		n.unchangedIn = list
	}
}

// ListCompleted records that a consistent list, which was sent at a local time, is complete and has a resourceVersion.
func (t *Tracker) ListCompleted(list uint64, sent time.Time, resourceVersion string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.timeline.add(versionOf(resourceVersion), t.clock.Earliest(sent))
	t.advance(list, versionOf(resourceVersion)) // its nodes are of that version, whenever they are observed
	for _, n := range t.nodes {
		if n.unchangedIn == list && list != n.last.List {
			n.last.List = list
		}
	}
}

// BookmarkReceived records that the watch after a list has reached a resourceVersion, right after the event with the other
// one.
func (t *Tracker) BookmarkReceived(list uint64, after, observed string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	s := t.progress(list)
	s.pending = append(s.pending, bookmark{versionOf(after), versionOf(observed)})
	s.observe(0)
}

// Confirm records that a consistent read of nodes, which was sent at a local time, had a resourceVersion.
func (t *Tracker) Confirm(sent time.Time, resourceVersion string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.timeline.add(versionOf(resourceVersion), t.clock.Earliest(sent))
}

// Prune drops the not-ready periods whose absence is too long.
func (t *Tracker) Prune() {
	t.lock.Lock()
	defer t.lock.Unlock()
	for name, n := range t.nodes {
		stillOff := t.observedUntil(n.last.List)
		maps.DeleteFunc(n.periods, func(_ string, p *period) bool { return p.expired(stillOff) })
		if len(n.last.Taints)+len(n.periods) == 0 {
			delete(t.nodes, name)
		}
	}
}

// NeedsConfirmation reports whether Confirm should be called at a local time: there is a not-ready period, and no other
// evidence of the time has arrived for a while.
func (t *Tracker) NeedsConfirmation(now time.Time) bool {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if last := t.timeline.last(); !last.IsZero() && t.clock.Earliest(now).Sub(last) < confirmAfter {
		return false
	}
	for _, n := range t.nodes {
		if len(n.periods) > 0 {
			return true
		}
	}
	return false
}

// Unconfirmed returns up to limit nodes for which ConfirmNode should be called at a local time. Without it,
// their records could not be proven after a gap or a restart.
func (t *Tracker) Unconfirmed(now time.Time, limit int) (names []string) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	server := t.clock.Earliest(now)
	for name, n := range t.nodes {
		if len(names) == limit {
			break
		}
		if !n.isConfirmed(t.confirmedUntil(n)) && !server.Before(n.confirmableFrom()) && !n.record(t.named).empty() {
			names = append(names, name)
		}
	}
	return names
}

// ConfirmNode records that a consistent read of a node, which was sent at a local time, had a resourceVersion.
func (t *Tracker) ConfirmNode(node string, sent time.Time, resourceVersion string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if n := t.nodes[node]; n != nil && n.last.ResourceVersion == resourceVersion {
		n.confirmed = latest(n.confirmed, t.clock.Earliest(sent).UTC())
	}
}

// transition returns the step from a state, which may be nil, to the next version.
func (t *Tracker) transition(before *nodeState, o Observation) transition {
	if before == nil || before.last.UID != o.UID {
		before = &nodeState{}
	}
	o.BeforeWritten = t.notInFuture(o.BeforeWritten, o.Seen)
	confirmed := latest(t.notInFuture(before.last.Written, o.Seen), t.notInFuture(before.confirmed, o.Seen))
	if o.Gap {
		confirmed = latest(confirmed, t.observedUntil(before.last.List))
	} else {
		confirmed = latest(confirmed, t.timeline.lowerBound(max(1, versionOf(o.ResourceVersion))-1))
	}
	return transition{before: before, o: o, clock: t.clock, confirmed: confirmed}
}

// notInFuture returns an API time, or zero if it was in the future at a local time: then it is from a clock that was set
// since.
func (t *Tracker) notInFuture(api, now time.Time) time.Time {
	if api.After(t.clock.Latest(now)) {
		return time.Time{}
	}
	return api
}

// confirmedUntil returns the latest API time up to which the state of a node is confirmed.
func (t *Tracker) confirmedUntil(n *nodeState) time.Time {
	return latest(latest(t.notInFuture(n.last.Written, n.last.Seen), n.confirmed), t.observedUntil(n.last.List))
}

// observedUntil returns the API time up to which everything that a list and its watch delivered has been observed, or zero.
func (t *Tracker) observedUntil(list uint64) time.Time {
	for i := range t.watches {
		if t.watches[i].list == list {
			return t.timeline.lowerBound(t.watches[i].observed)
		}
	}
	return time.Time{}
}

// advance records that a version has been observed.
func (t *Tracker) advance(list, version uint64) { t.progress(list).observe(version) }

// progress returns the progress of a list. It is added if it is new.
func (t *Tracker) progress(list uint64) *watchProgress {
	for i := range t.watches {
		if t.watches[i].list == list {
			return &t.watches[i]
		}
	}
	if len(t.watches) == maxWatches {
		t.watches = slices.Delete(t.watches, 0, 1)
	}
	t.watches = append(t.watches, watchProgress{list: list})
	return &t.watches[len(t.watches)-1]
}
