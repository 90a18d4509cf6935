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
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// identity is the identity of a taint.
type identity struct {
	key, value string
	// noSchedule tells the effect: NoSchedule or NoExecute.
	noSchedule bool
}

func (t Taint) identity() identity { return identity{t.Key, t.Value, t.NoSchedule} }

// taintState is the state of a taint that is on a node.
type taintState struct {
	start Start
	// absent is the API time at which the node was last known to be without the taint. An earlier timeAdded is disproved.
	absent time.Time
	// changed is the last change of the taints that the node showed then.
	changed time.Time
}

// before returns the absence before the taint was added.
func (p taintState) before() absence { return absence{changed: p.changed, until: p.absent} }

// nodeState is the state of a node that has taints or a not-ready period.
type nodeState struct {
	last Observation
	// confirmed is an API time up to which this state is confirmed by a read of this node, or by its record. It is zero if
	// there is none.
	confirmed time.Time
	// unchangedIn is a list that is not complete yet and shows the node unchanged.
	unchangedIn uint64
	taints      map[identity]taintState
	// periods are the not-ready periods, by the value of their taints.
	periods map[string]*period
	// seen is when the first version with these taints reached us.
	seen time.Time
}

// resolvedTaint is what decisions read of a taint. Comparing it finds changes.
type resolvedTaint struct {
	identity
	start, period Start
}

// resolvedTaints returns what decisions read of the taints of a node that may evict, in the order of the object.
func (n *nodeState) resolvedTaints(named named) []resolvedTaint {
	states := make([]resolvedTaint, 0, len(n.last.Taints))
	for _, taint := range n.last.Taints {
		if !named.evicts(taint.identity()) {
			continue
		}
		state := resolvedTaint{identity: taint.identity()}
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

// named are the keys of the NoSchedule taints that policies have evict.
type named map[string]bool

// evicts reports whether a taint may evict.
func (n named) evicts(taint identity) bool { return !taint.noSchedule || n[taint.key] }

// tainted reports whether the node carries a taint that may evict.
func (n *nodeState) tainted(named named) bool {
	return n != nil && slices.ContainsFunc(n.last.Taints, func(t Taint) bool { return named.evicts(t.identity()) })
}

// deadlineTaints returns the taints of a node that may evict, with their starts as local times.
func (n *nodeState) deadlineTaints(clock *serverclock.Clock, named named) []deadline.Taint {
	if !n.tainted(named) {
		return nil
	}
	taints := make([]deadline.Taint, 0, len(n.last.Taints))
	for _, state := range n.resolvedTaints(named) {
		taint := deadline.Taint{
			Key: state.key, Value: state.value, Start: state.start.Local(clock), Period: state.period.Local(clock), Evidence: state.evidence(clock),
		}
		if state.noSchedule {
			taint.Effect = v1.TaintEffectNoSchedule
		}
		taints = append(taints, taint)
	}
	return taints
}

// evidence returns what dates the taint.
func (r resolvedTaint) evidence(clock *serverclock.Clock) *deadline.Evidence {
	evidence := &deadline.Evidence{Start: r.start.dated(clock)}
	if r.period != (Start{}) {
		evidence.Period = r.period.dated(clock)
	}
	return evidence
}

// isConfirmed reports whether the state is confirmed past the second of its last change, given the API time up to which it
// is confirmed. Within that second there may be another change with the same time.
func (n *nodeState) isConfirmed(confirmed time.Time) bool {
	return !confirmed.Before(n.confirmableFrom())
}

// confirmableFrom returns the end of the second of the last change.
func (n *nodeState) confirmableFrom() time.Time {
	return latest(endOf(n.last.Changed), endOf(n.last.NotReadySince))
}

// isNotReadyTaint reports whether a key is that of a not-ready taint.
func isNotReadyTaint(key string) bool {
	return key == v1.TaintNodeNotReady || key == v1.TaintNodeUnreachable
}

// transition is the step from the state of a node to its next version.
type transition struct {
	before *nodeState
	o      Observation
	clock  *serverclock.Clock
	// confirmed is the latest API time at which the node is known to have been as before.
	confirmed time.Time
}

// next returns the state after the transition.
func (t transition) next() *nodeState {
	now := &nodeState{last: t.o, taints: make(map[identity]taintState, len(t.o.Taints)), seen: t.o.Seen}
	unchanged := t.taintsUnchanged()
	for _, taint := range t.o.Taints {
		if id := taint.identity(); !isNotReadyTaint(taint.Key) {
			was, present := t.before.taints[id]
			now.taints[id] = t.nextTaint(taint, was, present, unchanged)
		}
	}
	now.periods = t.periods(unchanged)
	return now
}

// nextTaint returns the state of a taint that is on the node now.
func (t transition) nextTaint(taint Taint, was taintState, present, unchanged bool) taintState {
	switch {
	case !present:
		return t.added(taint)
	case unchanged || !t.o.Gap:
		return t.carryOver(taint, was)
	default:
		// It may have been off meanwhile. Then it was added even later than before.
		return t.addedAfter(taint, was.before())
	}
}

// added returns the state of a taint that was just added.
func (t transition) added(taint Taint) taintState {
	return t.addedAfter(taint, t.absence())
}

// addedAfter returns the state of a taint that was added after an absence, as this version dates it.
func (t transition) addedAfter(taint Taint, before absence) taintState {
	return taintState{start: startOf(t.o, taint, before, t.clock), absent: before.until, changed: before.changed}
}

// carryOver returns the state of a taint that stayed on. Evidence of this version counts if it is earlier than what is
// known: a timeAdded that is not disproved, or a later change of the list if versions reached us late.
func (t transition) carryOver(taint Taint, was taintState) taintState {
	was.start = was.start.merge(seenAt(t.o.Seen, t.clock)) // a restored start was not seen by this process
	says := Start{}
	if certainlyAfter(taint.TimeAdded, was.absent) {
		says = says.shownAt(endOf(taint.TimeAdded), deadline.ByTimeAdded)
	}
	if t.o.Changed.After(t.before.last.Changed) {
		says = says.shownAt(endOf(t.o.Changed), deadline.ByLastChange)
	}
	if says.Server.Before(t.clock.Latest(was.start.Local(t.clock))) { // it may prove earlier once the bound of the clock is narrower
		was.start = was.start.merge(says)
	}
	return was
}

// absence returns the absence before this version, for a taint that is new in it.
func (t transition) absence() absence {
	if !t.o.Continues {
		return absence{}
	}
	return absence{changed: t.o.BeforeChanged, until: latest(t.o.BeforeWritten, t.confirmed)}
}

// taintsUnchanged reports whether spec.taints is proven unchanged between the two versions.
func (t transition) taintsUnchanged() bool {
	before := t.before.last
	return before.UID == t.o.UID && (before.ResourceVersion == t.o.ResourceVersion || provenUnchanged(before.Changed, t.o.Changed, t.confirmed))
}

// provenUnchanged reports whether two versions with the same time of a last change have no change in between. The older
// version must be confirmed past that second: within it there may be another change.
func provenUnchanged(before, now, confirmed time.Time) bool {
	return !now.IsZero() && now.Equal(before) && !confirmed.Before(endOf(now))
}
