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

package evictionqueue

import (
	"container/heap"
	"container/list"
	"time"
)

// quantum is how long a node stays first in the rotation. It is a little shorter than the time for which one read of a node serves
// evictions from it.
const quantum = 800 * time.Millisecond

// fewFailures in a row on a node do not move it back in the order.
const fewFailures = 2

// rotation selects the node to evict from next. While evictions from a node go on, the node has to be read once a second, however few
// they are. So two nodes are served at a time:
//
//   - the front: the first node of a round robin. It goes to the end after a quantum, or when nothing is due on it any more. So each
//     node gets its quantum, whatever is due elsewhere.
//   - of the other nodes, the one with the fewest pods left, unless attempts on it fail. So a node with few pods does not wait for
//     the quanta of nodes with many.
//
// Pods of the two are handed out alternately. A node that holds half of the concurrency limit lets the other one go first: where all
// attempts on a node hang, it holds no more than half while other nodes have pods due.
type rotation struct {
	// line is the round robin of all nodes on which pods are due. front is the first of it, until frontEnds; nil for none.
	line      *list.List // of *node
	front     *node
	frontEnds time.Time
	// open has the nodes of the line that may have room.
	open *indexedHeap[*node]
	// lastWasFront says that the last pod handed out was on the front.
	lastWasFront bool
}

func newRotation() *rotation {
	return &rotation{line: list.New(), open: &indexedHeap[*node]{less: smaller}}
}

// smaller orders nodes by the number of pods left, with nodes on which attempts fail last.
func smaller(a, b *node) bool {
	if x, y := max(fewFailures, a.failures), max(fewFailures, b.failures); x != y {
		return x < y
	}
	return a.due+a.inFlight < b.due+b.inFlight
}

// join adds a node at the end of the line.
func (r *rotation) join(n *node) { n.inLine = r.line.PushBack(n) }

// leave removes a node from the line.
func (r *rotation) leave(n *node) {
	r.line.Remove(n.inLine)
	if n == r.front {
		r.front = nil
	}
}

// admit marks a node as one that may have room.
func (r *rotation) admit(n *node) {
	if !n.open {
		n.open = true
		heap.Push(r.open, n)
	}
}

// exclude marks a node as one without room.
func (r *rotation) exclude(n *node) {
	if n.open {
		n.open = false
		heap.Remove(r.open, n.index)
	}
}

// fix restores the order after the counts of a node changed.
func (r *rotation) fix(n *node) {
	if n.open {
		heap.Fix(r.open, n.index)
	}
}

// next returns the node to evict from next under a concurrency limit; nil if none has room.
func (r *rotation) next(now time.Time, limit int) *node {
	if r.front != nil && !now.Before(r.frontEnds) {
		r.line.MoveToBack(r.front.inLine)
		r.front = nil
	}
	if r.front == nil && r.line.Len() > 0 {
		r.front, r.frontEnds = r.line.Front().Value.(*node), now.Add(quantum)
	}
	other := r.smallestOther()
	switch {
	case r.front == nil || !r.front.open:
		return other
	case other == nil:
		return r.front
	}
	useFront := !r.lastWasFront
	if half := holdsHalf(other, limit); half != holdsHalf(r.front, limit) {
		useFront = half
	}
	if useFront {
		return r.front
	}
	return other
}

// holdsHalf reports whether a node holds half of a concurrency limit.
func holdsHalf(n *node, limit int) bool { return 2*n.inFlight >= limit }

// smallestOther returns the first node, in the order of smaller, that may have room and is not the front; nil for none.
func (r *rotation) smallestOther() *node {
	for i, n := range r.open.items {
		if n != r.front {
			// The second item in order is one of the two below the root.
			if i == 1 && len(r.open.items) > 2 && smaller(r.open.items[2], n) {
				n = r.open.items[2]
			}
			return n
		}
	}
	return nil
}

// dispatched notes that a pod on a node is handed out.
func (r *rotation) dispatched(n *node) { r.lastWasFront = n == r.front }

// frontFlow returns the flow of a namespace on the front, or nil.
func (r *rotation) frontFlow(namespace string) *flow {
	if r.front == nil {
		return nil
	}
	return r.front.flows[namespace]
}
