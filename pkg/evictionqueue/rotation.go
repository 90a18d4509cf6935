package evictionqueue

import (
	"container/heap"
	"container/list"
	"time"
)

// turn is how long a node is the first of the line. It is a little less than a read of the node serves evictions from it.
const turn = 800 * time.Millisecond

// fewFailures in a row on a node say nothing about the node.
const fewFailures = 2

// rotation says which node is next. For as long as evictions from a node go on it has to be read once a second, however few they are.
// So two nodes are served at a time:
//
//   - the first of the line, which goes to the end of it after a turn, or when nothing is due on it any more. So each node has
//     a turn, whatever comes.
//   - of the others the one with the fewest pods left, unless attempts on it fail. So a few pods do not wait for all turns of nodes that
//     have many.
//
// Pods of the two are handed out alternately. But a node that holds half of the slots lets the other one go first: where all attempts on a
// node hang, it holds no more while others have pods due.
type rotation struct {
	// line has the nodes on which pods are due, and front is the first of it until its turn ends; nil for none.
	line  *list.List // of *node
	front *node
	ends  time.Time
	// open has the nodes of the line that may have room.
	open *indexedHeap[*node]
	// lastFront says that the last pod that was handed out was one of front.
	lastFront bool
}

func newRotation() *rotation {
	return &rotation{line: list.New(), open: &indexedHeap[*node]{before: smaller}}
}

// smaller is the order of nodes by the pods that are left of them, with those last on which attempts fail.
func smaller(a, b *node) bool {
	if x, y := max(fewFailures, a.failures), max(fewFailures, b.failures); x != y {
		return x < y
	}
	return a.due+a.inFlight < b.due+b.inFlight
}

// join puts a node at the end of the line.
func (r *rotation) join(n *node) { n.turn = r.line.PushBack(n) }

// leave takes a node out of the line.
func (r *rotation) leave(n *node) {
	r.line.Remove(n.turn)
	if n == r.front {
		r.front = nil
	}
}

// admit notes that a node may have room.
func (r *rotation) admit(n *node) {
	if !n.open {
		n.open = true
		heap.Push(r.open, n)
	}
}

// exclude notes that a node has no room.
func (r *rotation) exclude(n *node) {
	if n.open {
		n.open = false
		heap.Remove(r.open, n.index)
	}
}

// changed notes that the order of a node may have changed.
func (r *rotation) changed(n *node) {
	if n.open {
		heap.Fix(r.open, n.index)
	}
}

// next returns the node that is next, with so many slots; nil where none has room.
func (r *rotation) next(now time.Time, slots int) *node {
	if r.front != nil && !now.Before(r.ends) {
		r.line.MoveToBack(r.front.turn)
		r.front = nil
	}
	if r.front == nil && r.line.Len() > 0 {
		r.front, r.ends = r.line.Front().Value.(*node), now.Add(turn)
	}
	other := r.other()
	switch {
	case r.front == nil || !r.front.open:
		return other
	case other == nil:
		return r.front
	}
	useFront := !r.lastFront
	if half := holdsHalf(other, slots); half != holdsHalf(r.front, slots) {
		useFront = half
	}
	if useFront {
		return r.front
	}
	return other
}

func holdsHalf(n *node, slots int) bool { return 2*n.inFlight >= slots }

// other returns the node that is next of those that may have room, but front; nil for none.
func (r *rotation) other() *node {
	for i, n := range r.open.items {
		if n != r.front {
			// The second one of a heap is among the two that follow the first.
			if i == 1 && len(r.open.items) > 2 && smaller(r.open.items[2], n) {
				n = r.open.items[2]
			}
			return n
		}
	}
	return nil
}

// handed notes that a pod of a node was handed out.
func (r *rotation) handed(n *node) { r.lastFront = n == r.front }

// inTurn returns what is due in a namespace on the node whose turn it is, or nil.
func (r *rotation) inTurn(namespace string) *flow {
	if r.front == nil {
		return nil
	}
	return r.front.flows[namespace]
}
