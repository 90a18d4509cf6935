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

package brake

import (
	"cmp"
	"container/heap"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// cause is a taint that pods of a node are due for. It counts from a time until it is older than the window.
type cause struct {
	taint deadline.Taint
	// from is when the first pod is due.
	from time.Time
	// changed is when a policy made pods due. It is zero if none did.
	changed time.Time
}

// until returns when the cause ceases to count.
func (c *cause) until(window time.Duration) time.Time {
	return later(c.taint.Start, c.changed).Add(window)
}

// countsAt reports whether the cause counts at a time.
func (c *cause) countsAt(t time.Time, window time.Duration) bool {
	return !t.Before(c.from) && t.Before(c.until(window))
}

// sameTaint reports whether two taints are one, whatever is known of its start.
func sameTaint(a, b deadline.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && cmp.Or(a.Effect, v1.TaintEffectNoExecute) == cmp.Or(b.Effect, v1.TaintEffectNoExecute)
}

// find returns the cause of a taint, or nil.
func find(causes []cause, taint deadline.Taint) *cause {
	for i := range causes {
		if sameTaint(causes[i].taint, taint) {
			return &causes[i]
		}
	}
	return nil
}

// node is a node that has causes.
type node struct {
	name   string
	causes []cause
	counts bool
	// next is when that may change by itself. It is zero for never, and then the node is not in the heap.
	next  time.Time
	index int
}

// countsAt reports whether the node counts at a time.
func (n *node) countsAt(t time.Time, window time.Duration) bool {
	for i := range n.causes {
		if n.causes[i].countsAt(t, window) {
			return true
		}
	}
	return false
}

// changesAfter returns the first time after t at which a cause begins or ceases to count, or zero.
func (n *node) changesAfter(t time.Time, window time.Duration) (next time.Time) {
	for i := range n.causes {
		from, until := n.causes[i].from, n.causes[i].until(window)
		if !from.Before(until) {
			continue // too old before it begins
		}
		for _, change := range []time.Time{from, until} {
			if change.After(t) && (next.IsZero() || change.Before(next)) {
				next = change
			}
		}
	}
	return next
}

// endsAfter returns when a node that counts at a time ceases to, if nothing is told.
func (n *node) endsAfter(t time.Time, window time.Duration) time.Time {
	for n.countsAt(t, window) {
		t = n.changesAfter(t, window)
	}
	return t
}

// tally counts nodes.
type tally struct {
	window time.Duration
	nodes  map[string]*node
	timed  timeline
	// counting is how many nodes count.
	counting int
}

func newTally(window time.Duration) *tally { return &tally{window: window, nodes: map[string]*node{}} }

// set gives a node its causes, at a time. Without causes it is forgotten.
func (t *tally) set(name string, causes []cause, now time.Time) {
	n := t.nodes[name]
	switch {
	case n == nil && len(causes) == 0:
		return
	case n == nil:
		n = &node{name: name, index: -1}
		t.nodes[name] = n
	case len(causes) == 0:
		delete(t.nodes, name)
	}
	n.causes = causes
	t.refresh(n, now)
}

// refresh brings the count of a node up to date.
func (t *tally) refresh(n *node, now time.Time) {
	if counts := n.countsAt(now, t.window); counts != n.counts {
		n.counts = counts
		if counts {
			t.counting++
		} else {
			t.counting--
		}
	}
	n.next = n.changesAfter(now, t.window)
	switch {
	case n.next.IsZero() && n.index >= 0:
		heap.Remove(&t.timed, n.index)
	case n.next.IsZero():
	case n.index >= 0:
		heap.Fix(&t.timed, n.index)
	default:
		heap.Push(&t.timed, n)
	}
}

// next returns when a node next begins or ceases to count by itself, or zero.
func (t *tally) next() time.Time {
	if len(t.timed) == 0 {
		return time.Time{}
	}
	return t.timed[0].next
}

// advance counts what has changed by itself up to a time.
func (t *tally) advance(to time.Time) {
	for next := t.next(); !next.IsZero() && !next.After(to); next = t.next() {
		t.refresh(t.timed[0], to)
	}
}

// timeline is a heap of nodes by the time of their next change.
type timeline []*node

func (t timeline) Len() int           { return len(t) }
func (t timeline) Less(i, j int) bool { return t[i].next.Before(t[j].next) }

func (t timeline) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push implements heap.Interface.
func (t *timeline) Push(x any) {
	n := x.(*node)
	n.index = len(*t)
	*t = append(*t, n)
}

// Pop implements heap.Interface.
func (t *timeline) Pop() any {
	last := len(*t) - 1
	n := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	n.index = -1
	return n
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
