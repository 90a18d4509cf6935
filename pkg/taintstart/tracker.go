package taintstart

import (
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// apiResolution is the unit of the API's times. They are cut to it, so the moment itself lies up to one unit later.
const apiResolution = time.Second

// presence identifies what has one start: a key and value, or the illness of a node with a value.
type presence struct {
	key, value string
}

func presenceOf(t Taint) presence {
	switch t.Key {
	case v1.TaintNodeNotReady, v1.TaintNodeUnreachable:
		// They take turns on a node that is ill: two patches, add then remove. A key is never empty in the API.
		return presence{value: t.Value}
	default:
		return presence{key: t.Key, value: t.Value}
	}
}

// memory is what is known of one tainted node.
type memory struct {
	last   Observation
	starts map[presence]time.Time
	taints []deadline.Taint
	// seen is when the first version with these taints reached us.
	seen time.Time
}

// Tracker remembers the starts of every node's taints. It is safe for concurrent use.
//
// Every version of a node has to be given to Observe in order: a taint that went and came back between two versions that
// were observed looks unbroken.
type Tracker struct {
	lock  sync.RWMutex
	nodes map[string]*memory
}

// NewTracker returns a tracker that knows no node.
func NewTracker() *Tracker {
	return &Tracker{nodes: map[string]*memory{}}
}

// Observe takes in the next version of a node, and says whether its taints or one of their starts changed.
func (t *Tracker) Observe(node string, o Observation) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	before := t.nodes[node]
	if len(o.Taints) == 0 {
		delete(t.nodes, node)
		return before != nil
	}
	starts := weigh(before, o)
	now := &memory{last: o, starts: starts, taints: withStarts(o, starts), seen: o.Seen}
	t.nodes[node] = now
	if before != nil && slices.Equal(before.taints, now.taints) {
		now.seen = before.seen
		return false
	}
	return true
}

// Forget drops a node that does not exist any more, and says whether it carried a taint.
func (t *Tracker) Forget(node string) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	_, changed = t.nodes[node]
	delete(t.nodes, node)
	return changed
}

// Taints are the NoExecute taints of a node by the last version observed, in the order of the object; none for a node that
// is unknown. The caller must not change them.
func (t *Tracker) Taints(node string) []deadline.Taint {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if m := t.nodes[node]; m != nil {
		return m.taints
	}
	return nil
}

// Seen is when the taints of a node became what Taints says, to our eyes; zero where it has none. A consistent read that
// begins later is not behind them.
func (t *Tracker) Seen(node string) time.Time {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if m := t.nodes[node]; m != nil {
		return m.seen
	}
	return time.Time{}
}

// Resolve dates the taints of a version that came by another way than the versions given to Observe, a live read. It
// remembers nothing of it. Where the version is not the last one observed, a gap lies between the two.
func (t *Tracker) Resolve(node string, o Observation) []deadline.Taint {
	o.Gap = true
	t.lock.RLock()
	before := t.nodes[node]
	t.lock.RUnlock()
	return withStarts(o, weigh(before, o))
}

// withStarts pairs the taints of a version with their starts.
func withStarts(o Observation, starts map[presence]time.Time) []deadline.Taint {
	var taints []deadline.Taint
	for _, taint := range o.Taints {
		taints = append(taints, deadline.Taint{Key: taint.Key, Value: taint.Value, Start: starts[presenceOf(taint)]})
	}
	return taints
}

// weigh dates every presence in o: by the evidence that o holds, and by the memory where it proves to be unbroken since.
func weigh(before *memory, o Observation) map[presence]time.Time {
	starts := make(map[presence]time.Time, len(o.Taints))
	for _, taint := range o.Taints {
		p := presenceOf(taint)
		start := earliest(o.Seen, endOf(taint.TimeAdded), endOf(o.Changed), starts[p])
		if before != nil && unbroken(before.last, o, p) {
			start = earliest(start, before.starts[p])
		}
		starts[p] = start
	}
	return starts
}

// unbroken says whether what was present in a version is proven to have been present up to the next one without a break,
// provided that it is in both.
func unbroken(before, now Observation, p presence) bool {
	switch {
	case before.UID != now.UID:
		return false // another node of the same name
	case !now.Gap, before.ResourceVersion == now.ResourceVersion:
		return true
	case unmoved(before.Changed, now.Changed, before.Written):
		return true
	default:
		return p.key == "" && unmoved(before.NotReadySince, now.NotReadySince, before.Written)
	}
}

// unmoved says whether nothing can have happened between two versions that show the same time of the last change. The
// older version must have been written after the second of that change was over: within it there may have been others.
func unmoved(before, now, written time.Time) bool {
	return !now.IsZero() && now.Equal(before) && !written.Before(endOf(now))
}

// endOf is the end of the API's second that t stands for, or zero where there is no time.
func endOf(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(apiResolution)
}

// earliest is the earliest of some times that is not zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
