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
	// key is empty for an illness. The API lets no taint have an empty key, but this does not rely on that.
	key, value string
	illness    bool
}

func presenceOf(t Taint) presence {
	switch t.Key {
	case v1.TaintNodeNotReady, v1.TaintNodeUnreachable:
		// They take turns on a node that is ill: two patches, add then remove.
		return presence{value: t.Value, illness: true}
	default:
		return presence{key: t.Key, value: t.Value}
	}
}

// maxPause is how long the taints of an illness may be off while the node stays ill.
//
// A node lifecycle controller that starts takes both taints off every node, ill or not, and puts them back on the ill ones,
// usually within a second. The illness goes on, as the Ready condition shows. An absence that is longer has another reason,
// a zone in which all nodes are ill for one: then the node lifecycle controller takes them off so that nobody is evicted, and
// the count begins again when it puts them back.
const maxPause = time.Minute

// memory is what is known of one node that is tainted, or whose illness pauses.
type memory struct {
	last   Observation
	starts map[presence]time.Time
	// paused are the illnesses whose taints are off.
	paused map[presence]pause
	taints []deadline.Taint
	// seen is when the first version with these taints reached us.
	seen time.Time
	// unchanged is since when we have seen the times of the last changes as they are.
	unchanged time.Time
}

// pause is an illness that began at start, and whose taints have been off since.
type pause struct {
	start, since time.Time
}

// Tracker remembers the starts of every node's taints. It is safe for concurrent use.
//
// Every version of a node has to be given to Observe in order: a taint that went and came back between two versions that
// were observed looks unbroken.
type Tracker struct {
	lock  sync.RWMutex
	nodes map[string]*memory
	// recalled are the records of another process, of nodes that have not been observed yet.
	recalled map[string]Record
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
	if record, recalled := t.recalled[node]; before == nil && recalled {
		before, o.Gap = record.memory(), true
		delete(t.recalled, node)
	}
	if before == nil {
		before = &memory{}
	}
	now := &memory{last: o, starts: weigh(before, o), paused: pauses(before, o), seen: o.Seen, unchanged: o.Seen}
	if last := before.last; last.UID == o.UID && last.Changed.Equal(o.Changed) && last.NotReadySince.Equal(o.NotReadySince) {
		now.unchanged = before.unchanged
	}
	now.taints = withStarts(o, now.starts)
	if changed = !slices.Equal(before.taints, now.taints); !changed {
		now.seen = before.seen
	}
	if len(now.taints)+len(now.paused) > 0 {
		t.nodes[node] = now
	} else {
		delete(t.nodes, node)
	}
	return changed
}

// Forget drops a node that does not exist any more, and says whether it carried a taint.
func (t *Tracker) Forget(node string) (changed bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	before := t.nodes[node]
	delete(t.nodes, node)
	return before != nil && len(before.taints) > 0
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
	if before == nil {
		before = &memory{}
	}
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
		was, present := before.starts[p]
		start := earliest(o.Seen, endOf(taint.TimeAdded), starts[p])
		if present || !o.Changed.Before(o.Previous) {
			start = earliest(start, endOf(o.Changed))
		} // otherwise an admission plugin put it there, in a write that is not known as a change of the taints
		switch paused := before.paused[p]; {
		case present && unbroken(before.last, o, p):
			start = earliest(start, was)
		case !present && stillIll(before.last, o) && o.Seen.Sub(paused.since) <= maxPause:
			start = earliest(start, paused.start)
		}
		starts[p] = start
	}
	return starts
}

// pauses are the illnesses whose taints are off in o while the node stays ill.
func pauses(before *memory, o Observation) map[presence]pause {
	if !stillIll(before.last, o) {
		return nil
	}
	var paused map[presence]pause
	keep := func(p presence, pausing pause) {
		on := slices.ContainsFunc(o.Taints, func(taint Taint) bool { return presenceOf(taint) == p })
		if on || o.Seen.Sub(pausing.since) > maxPause {
			return
		}
		if paused == nil {
			paused = map[presence]pause{}
		}
		paused[p] = pausing
	}
	for p, start := range before.starts {
		if p.illness {
			keep(p, pause{start: start, since: o.Seen})
		}
	}
	for p, earlier := range before.paused {
		keep(p, earlier)
	}
	return paused
}

// stillIll says whether a node was not ready in a version, and is not in the next one, and was not ready in between.
func stillIll(before, now Observation) bool {
	return before.UID == now.UID && !before.NotReadySince.IsZero() && !now.NotReadySince.IsZero() &&
		(!now.Gap || unmoved(before.NotReadySince, now.NotReadySince, before.Written))
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
		return p.illness && stillIll(before, now)
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
