package taintstart

import (
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// identity is what makes a taint the same one: changing the value makes another. The effect is always NoExecute.
type identity struct{ key, value string }

// taintState is what is known of a taint while it is on a node.
type taintState struct {
	start Start
	// absent is when the node was last known to be without the taint, on the API server's clock. A timeAdded from before is
	// disproved, and stays so.
	absent time.Time
	// changed is the last change of the taints that the node showed then.
	changed time.Time
}

// before returns what is known of the node without the taint.
func (p taintState) before() absence { return absence{changed: p.changed, until: p.absent} }

// nodeState is what is known of one node that has NoExecute taints, or had node-condition taints a moment ago.
type nodeState struct {
	last Observation
	// confirmed is a time of the API server's clock at which this was certainly the state of the node, as far as a read of the
	// node alone, or another process, has told; zero where none has.
	confirmed time.Time

	// unchangedIn is a list that is not complete yet and has the node as it was.
	unchangedIn uint64

	taints map[identity]taintState
	// periods are the not-ready periods, by the value of their taints.
	periods map[string]*period
	// seen is when the first version with these taints observed us.
	seen time.Time
}

// resolvedTaint is what decisions read of a taint; it is compared to find changes.
type resolvedTaint struct {
	identity
	start, period Start
}

// resolvedTaints returns what decisions read of a node, in the order of the object.
func (n *nodeState) resolvedTaints() []resolvedTaint {
	states := make([]resolvedTaint, 0, len(n.last.Taints))
	for _, taint := range n.last.Taints {
		state := resolvedTaint{identity: identity{taint.Key, taint.Value}}
		if isNotReadyTaint(taint.Key) {
			period := n.periods[taint.Value]
			state.start, state.period = period.on[taint.Key].start, period.start
		} else {
			state.start = n.taints[state.identity].start
		}
		states = append(states, state)
	}
	return states
}

// deadlineTaints returns the taints of a node with their starts on the local clock.
func (n *nodeState) deadlineTaints(clock *serverclock.Clock) []deadline.Taint {
	if n == nil || len(n.last.Taints) == 0 {
		return nil
	}
	taints := make([]deadline.Taint, 0, len(n.last.Taints))
	for _, state := range n.resolvedTaints() {
		taints = append(taints, deadline.Taint{
			Key: state.key, Value: state.value, Start: state.start.Local(clock), Period: state.period.Local(clock),
		})
	}
	return taints
}

// settled reports whether this was still the state when the seconds of its last changes were over, where that is known up to a
// time. Within them there may have been others, so until then it cannot be told from a later state of the same times.
func (n *nodeState) isConfirmed(confirmed time.Time) bool {
	return !confirmed.Before(n.confirmableFrom())
}

// settles returns when those seconds are over.
func (n *nodeState) confirmableFrom() time.Time {
	return latest(endOf(n.last.Changed), endOf(n.last.NotReadySince))
}

// isNotReadyTaint reports whether a key is one of those that the node lifecycle controller puts on a node that is not ready.
func isNotReadyTaint(key string) bool {
	return key == v1.TaintNodeNotReady || key == v1.TaintNodeUnreachable
}

// transition is a step from the state of a node to the next version of it.
type transition struct {
	before *nodeState
	o      Observation
	clock  *serverclock.Clock
	// confirmed is the latest time of the API server's clock at which the node is known to have been as before.
	confirmed time.Time
}

// next returns the state after the transition.
func (t transition) next() *nodeState {
	now := &nodeState{last: t.o, taints: make(map[identity]taintState, len(t.o.Taints)), seen: t.o.Seen}
	unchanged := t.taintsUnchanged()
	for _, taint := range t.o.Taints {
		if id := (identity{taint.Key, taint.Value}); !isNotReadyTaint(taint.Key) {
			was, present := t.before.taints[id]
			now.taints[id] = t.nextTaint(taint, was, present, unchanged)
		}
	}
	now.periods = t.periods(unchanged)
	return now
}

// taintState returns what is known of a taint that is on the node now.
func (t transition) nextTaint(taint Taint, was taintState, present, unchanged bool) taintState {
	switch {
	case !present:
		return t.added(taint)
	case unchanged || !t.o.Gap:
		return t.carryOver(taint, was)
	default:
		// Whether it was there all the time is not known: if not, it came even later than it did before.
		return t.addedAfter(taint, was.before())
	}
}

// fresh returns a taintState that has just begun.
func (t transition) added(taint Taint) taintState {
	return t.addedAfter(taint, t.absence())
}

// since returns a taintState that began after an absence, as this version dates it.
func (t transition) addedAfter(taint Taint, before absence) taintState {
	return taintState{start: startOf(t.o, taint, before, t.clock), absent: before.until, changed: before.changed}
}

// kept returns a taintState that goes on. What this version says counts where it is earlier than what was known: a timeAdded
// that is not disproved, or a later change of the list, where the versions observed us late.
func (t transition) carryOver(taint Taint, was taintState) taintState {
	was.start = was.start.merge(seenAt(t.o.Seen, t.clock)) // one that another process has recorded was not seen by this one
	says := time.Time{}
	if certainlyAfter(taint.TimeAdded, was.absent) {
		says = endOf(taint.TimeAdded)
	}
	if t.o.Changed.After(t.before.last.Changed) {
		says = earliest(says, endOf(t.o.Changed))
	}
	if says.Before(t.clock.Latest(was.start.Local(t.clock))) { // it may be earlier, when more is known of the API server's clock
		was.start.Server = earliest(was.start.Server, says)
	}
	return was
}

// absence returns until when the node is known to have been without a taint that it has now and had not before.
func (t transition) absence() absence {
	if !t.o.Continues {
		return absence{}
	}
	return absence{changed: t.o.BeforeChanged, until: latest(t.o.BeforeWritten, t.confirmed)}
}

// taintsUnchanged reports whether spec.taints is proven not to have changed between the two versions.
func (t transition) taintsUnchanged() bool {
	before := t.before.last
	return before.UID == t.o.UID && (before.ResourceVersion == t.o.ResourceVersion || provenUnchanged(before.Changed, t.o.Changed, t.confirmed))
}

// provenUnchanged reports whether nothing can have happened between two versions that show the same time of a last change. The
// older version must still have been the state when the second of that change was over: within it there may have been others.
func provenUnchanged(before, now, confirmed time.Time) bool {
	return !now.IsZero() && now.Equal(before) && !confirmed.Before(endOf(now))
}
