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
	// confirmAfter is after how long without a timelineEntry another one is wanted while nodes are not ready.
	confirmAfter = 20 * time.Second
	// maxWatches is of how many lists it is known how far they were observed: all nodes belong to the newest one soon after it.
	maxWatches = 4
)

// Tracker remembers the starts of every node's taints. It is safe for concurrent use.
//
// Every version of a node has to be given to Observe in order: a taint that went and came back between two versions that
// were observed looks unbroken.
type Tracker struct {
	clock *serverclock.Clock

	lock     sync.RWMutex
	nodes    map[string]*nodeState
	timeline timeline
	watches  []watchProgress // the newest one last
	// restored are the records of another process, of nodes that have not been observed yet.
	restored Records
}

// NewTracker returns a tracker that knows no node. clock converts the API's times; nil where they are local times.
func NewTracker(clock *serverclock.Clock) *Tracker {
	return &Tracker{clock: clock, nodes: map[string]*nodeState{}}
}

// Observe takes in the next version of a node, and reports whether its taints or one of their starts changed.
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
	if before != nil && slices.Equal(before.resolvedTaints(), now.resolvedTaints()) {
		now.seen = before.seen
	} else {
		changed = len(now.last.Taints) > 0 || (before != nil && len(before.last.Taints) > 0)
	}
	if len(now.last.Taints)+len(now.periods) > 0 {
		t.nodes[node] = now
	} else {
		delete(t.nodes, node)
	}
	return changed
}

// Forget drops a node that does not exist any more, at the version of its end, and reports whether it carried a taint.
func (t *Tracker) Forget(node string, o Observation) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.advance(o.List, versionOf(o.ResourceVersion))
	before := t.nodes[node]
	delete(t.nodes, node)
	return before != nil && len(before.last.Taints) > 0
}

// Taints returns the NoExecute taints of a node by the last version observed, in the order of the object, with their starts
// on the local clock; none for a node that is unknown.
func (t *Tracker) Taints(node string) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	return t.nodes[node].deadlineTaints(t.clock)
}

// Tainted reports whether a node carries a NoExecute taint by the last version observed.
func (t *Tracker) Tainted(node string) bool {
	t.lock.RLock()
	defer t.lock.RUnlock()
	n := t.nodes[node]
	return n != nil && len(n.last.Taints) > 0
}

// Nodes returns the names of the nodes that carry a NoExecute taint.
func (t *Tracker) Nodes() []string {
	t.lock.RLock()
	defer t.lock.RUnlock()
	names := make([]string, 0, len(t.nodes))
	for name, n := range t.nodes {
		if len(n.last.Taints) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Seen returns when the taints of a node became what Taints says, to our eyes; zero where it has none. A consistent read
// that begins later is not behind them.
func (t *Tracker) ObservedAt(node string) time.Time {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if n := t.nodes[node]; n != nil {
		return n.seen
	}
	return time.Time{}
}

// Resolve dates the taints of a version that came by another way than the versions given to Observe, a live read. It
// remembers nothing of it. Where the version is not the last one observed, a gap lies between the two.
func (t *Tracker) Resolve(node string, o Observation) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	before := t.nodes[node]
	if before != nil {
		o = o.After(before.last)
	}
	o.Gap = true
	return t.transition(before, o).next().deadlineTaints(t.clock)
}

// Read takes in that a list of a number, or the watch after it, has a node in a version. A node that has not changed since the
// list before is not observed again, but when the list is complete it is known to be as it was.
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

// Listed takes in that a consistent list, which was sent at a local time, has a resourceVersion. It is complete.
func (t *Tracker) ListCompleted(list uint64, sent time.Time, resourceVersion string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.timeline.add(versionOf(resourceVersion), t.clock.Earliest(sent))
	t.advance(list, versionOf(resourceVersion)) // what it has of a node is of that version, whenever that is observed
	for _, n := range t.nodes {
		if n.unchangedIn == list && list != n.last.List {
			n.last.List = list
		}
	}
}

// Bookmark takes in that the watch after a list has observed a resourceVersion, right after the event of another one.
func (t *Tracker) BookmarkReceived(list uint64, after, observed string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	s := t.progress(list)
	s.pending = append(s.pending, bookmark{versionOf(after), versionOf(observed)})
	s.observe(0)
}

// Confirm takes in that a consistent read of nodes, which was sent at a local time, had a resourceVersion.
func (t *Tracker) Confirm(sent time.Time, resourceVersion string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.timeline.add(versionOf(resourceVersion), t.clock.Earliest(sent))
}

// Prune drops the not-ready periods whose taints have been off for too long.
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

// NeedsConfirmation reports whether a call of Confirm would help at a local time: a not-ready period may have to be carried
// over an absence of its taints, and nothing else has told the time for a while.
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

// Unconfirmed returns the nodes, so many at most, of which a call of ConfirmNode would help at a local time: what has to be
// remembered of them could not be proven otherwise after a gap or a restart.
func (t *Tracker) Unconfirmed(now time.Time, most int) (names []string) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	server := t.clock.Earliest(now)
	for name, n := range t.nodes {
		if len(names) == most {
			break
		}
		if !n.isConfirmed(t.confirmedUntil(n)) && !server.Before(n.confirmableFrom()) && !n.record().empty() {
			names = append(names, name)
		}
	}
	return names
}

// ConfirmNode takes in that a consistent read of a node, which was sent at a local time, had a resourceVersion.
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

// past returns a time of the API, or zero where that had not come yet at a local moment: then it is of a clock that has been set
// since, and says nothing of what came after it.
func (t *Tracker) notInFuture(api, now time.Time) time.Time {
	if api.After(t.clock.Latest(now)) {
		return time.Time{}
	}
	return api
}

// confirmedUntil returns the latest time of the API server's clock at which a node is known to have been as it was observed last.
func (t *Tracker) confirmedUntil(n *nodeState) time.Time {
	return latest(latest(t.notInFuture(n.last.Written, n.last.Seen), n.confirmed), t.observedUntil(n.last.List))
}

// observedUntil returns a time of the API server's clock up to which all that happened has been observed, of what a list
// brought, or the watch after it.
func (t *Tracker) observedUntil(list uint64) time.Time {
	for i := range t.watches {
		if t.watches[i].list == list {
			return t.timeline.lowerBound(t.watches[i].observed)
		}
	}
	return time.Time{}
}

// reach takes in that a version has been observed.
func (t *Tracker) advance(list, version uint64) { t.progress(list).observe(version) }

// stream returns what is known of a list, which may be new.
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
