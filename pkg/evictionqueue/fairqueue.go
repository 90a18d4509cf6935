package evictionqueue

import (
	"container/heap"
	"container/list"
	"slices"
	"time"
)

// fairQueue holds what is due and says who is next: nodes take turns, see rotation, and the namespaces within each node, as
// far as the limits of both have room.
//
// What has no room is not looked at again until it has: a node that is full is excluded from the rotation, and a flow of a
// namespace that is full is taken out of its node. So the cost of an attempt does not depend on how many of them there are.
type fairQueue struct {
	limits
	// due counts the entries.
	due        int
	nodes      map[string]*node
	namespaces map[string]*namespace
	rotation   *rotation
	// fullNodes and fullNamespaces were found without room. No more than slots are without room at a time.
	fullNodes      []*node
	fullNamespaces []*namespace
	// idle has the keys that are only remembered for their failures, the oldest in front.
	idle *list.List // of *key
}

// node is a node that has pods due or handed out.
type node struct {
	key
	flows map[string]*flow // by namespace
	// order has the flows that are not parked, the next one in front.
	order *list.List // of *flow
	// due counts its entries.
	due int
	// turn is its place in the line of the rotation. open says that it may have room: it is not full, and not all its flows are parked.
	// Then index is its place among those in the rotation.
	turn       *list.Element
	full, open bool
	index      int
}

// namespace is a namespace that has pods due or handed out.
type namespace struct {
	key
	// parked has the flows that wait for the namespace to have room.
	parked *indexedHeap[*flow]
	full   bool
}

// flow is what is due on one node in one namespace.
type flow struct {
	node      *node
	namespace *namespace
	due       *indexedHeap[*entry]
	// element is its place in the order of the node, or index that among what the namespace has parked.
	element *list.Element
	index   int
	parked  bool
}

func (n *node) moved(to int)  { n.index = to }
func (f *flow) moved(to int)  { f.index = to }
func (e *entry) moved(to int) { e.index = int32(to) }

func newFairQueue() *fairQueue {
	return &fairQueue{
		nodes: map[string]*node{}, namespaces: map[string]*namespace{}, rotation: newRotation(), idle: list.New(),
	}
}

// add puts an entry behind those of its node and namespace that go before it.
func (f *fairQueue) add(e *entry) {
	n, ns := f.node(e.node), f.namespace(e.namespace)
	fl := n.flows[e.namespace]
	if fl == nil {
		fl = &flow{node: n, namespace: ns, due: &indexedHeap[*entry]{before: inTurn}}
		n.flows[e.namespace] = fl
		if n.queued++; n.queued == 1 {
			f.rotation.join(n)
		}
		ns.queued++
		f.admit(fl)
	}
	heap.Push(fl.due, e)
	f.due++
	n.due++
	f.changed(n)
}

// node returns the node of a name, which is in use from now on.
func (f *fairQueue) node(name string) *node {
	n := f.nodes[name]
	if n == nil {
		n = &node{key: key{name: name, isNode: true}, flows: map[string]*flow{}, order: list.New()}
		f.nodes[name] = n
	}
	f.use(&n.key)
	return n
}

// namespace returns the namespace of a name, which is in use from now on.
func (f *fairQueue) namespace(name string) *namespace {
	ns := f.namespaces[name]
	if ns == nil {
		ns = &namespace{key: key{name: name}, parked: &indexedHeap[*flow]{before: func(a, b *flow) bool { return smaller(a.node, b.node) }}}
		f.namespaces[name] = ns
	}
	f.use(&ns.key)
	return ns
}

// remove takes an entry out, and what is left empty with it.
func (f *fairQueue) remove(e *entry, now time.Time) {
	fl := f.nodes[e.node].flows[e.namespace]
	heap.Remove(fl.due, int(e.index))
	f.due--
	fl.node.due--
	f.changed(fl.node)
	if fl.due.Len() > 0 {
		return
	}
	f.withdraw(fl)
	delete(fl.node.flows, e.namespace)
	if fl.node.queued--; fl.node.queued == 0 {
		f.rotation.leave(fl.node)
	}
	fl.namespace.queued--
	f.rest(&fl.node.key, now)
	f.rest(&fl.namespace.key, now)
}

// changed notes that the order of a node may have changed.
func (f *fairQueue) changed(n *node) {
	f.rotation.changed(n)
	for _, fl := range n.flows {
		if fl.parked {
			heap.Fix(fl.namespace.parked, fl.index)
		}
	}
}

// take returns the next entry whose node and namespace have room; nil where none has. The entry is in flight until release.
// There must be a free slot.
func (f *fairQueue) take(now time.Time) *entry {
	for {
		more := f.readmit()
		for n := f.rotation.next(now, f.slots); n != nil; n = f.rotation.next(now, f.slots) {
			if fl := f.next(n); fl != nil {
				return f.hand(fl, now)
			}
			f.rotation.exclude(n)
		}
		if !more {
			return nil // otherwise what was brought back may be on nodes that are full
		}
	}
}

// hand takes the first entry of a flow out, and sends the namespace to the back of its node's.
func (f *fairQueue) hand(fl *flow, now time.Time) *entry {
	fl.node.order.MoveToBack(fl.element)
	f.rotation.handed(fl.node)
	f.inFlight++
	fl.node.inFlight++
	fl.namespace.inFlight++
	e := fl.due.first()
	f.remove(e, now)
	return e
}

// next returns the flow of a node that is next; nil where the node, or all its namespaces, have no room.
func (f *fairQueue) next(n *node) (next *flow) {
	if f.room(&n.key) <= 0 {
		n.full = true
		f.fullNodes = append(f.fullNodes, n)
		return nil
	}
	for el := n.order.Front(); el != nil; {
		fl := el.Value.(*flow)
		el = el.Next()
		switch {
		case f.room(&fl.namespace.key) <= 0:
			f.park(fl)
		case next == nil || ahead(fl.due.first(), next.due.first()):
			next = fl
		}
	}
	return next
}

// readmit brings back the nodes that have room again, and as many flows of a namespace as it has room for, and that of the node whose
// turn it is. It reports whether there were any.
func (f *fairQueue) readmit() (more bool) {
	f.fullNodes = slices.DeleteFunc(f.fullNodes, func(n *node) bool {
		if n.full = f.room(&n.key) <= 0; !n.full && n.order.Len() > 0 {
			f.rotation.admit(n)
			more = true
		}
		return !n.full
	})
	f.fullNamespaces = slices.DeleteFunc(f.fullNamespaces, func(ns *namespace) bool {
		room := f.room(&ns.key)
		if fl := f.rotation.inTurn(ns.name); fl != nil && fl.parked && room > 0 {
			f.unpark(fl)
			more = true
		}
		for ; room > 0 && ns.parked.Len() > 0; room-- {
			f.unpark(ns.parked.first())
			more = true
		}
		ns.full = ns.parked.Len() > 0
		return !ns.full
	})
	return more
}

// unpark brings a flow back.
func (f *fairQueue) unpark(fl *flow) {
	f.withdraw(fl)
	f.admit(fl)
}

// admit puts a flow into the order of its node.
func (f *fairQueue) admit(fl *flow) {
	n := fl.node
	fl.parked = false
	fl.element = n.order.PushBack(fl)
	if !n.full {
		f.rotation.admit(n)
	}
}

// park has a flow wait until its namespace has room.
func (f *fairQueue) park(fl *flow) {
	fl.node.order.Remove(fl.element)
	fl.parked = true
	ns := fl.namespace
	heap.Push(ns.parked, fl)
	if !ns.full {
		ns.full = true
		f.fullNamespaces = append(f.fullNamespaces, ns)
	}
}

// withdraw takes a flow from where it is.
func (f *fairQueue) withdraw(fl *flow) {
	if fl.parked {
		heap.Remove(fl.namespace.parked, fl.index)
		return
	}
	fl.node.order.Remove(fl.element)
	if fl.node.order.Len() == 0 {
		f.rotation.exclude(fl.node)
	}
}

// empty reports whether nothing is due that has not been handed out.
func (f *fairQueue) empty() bool { return f.due == 0 }

// release ends what take began, and reports whether the attempt is the first in its namespace that succeeded after many that
// failed.
func (f *fairQueue) release(pod Pod, failed bool, now time.Time) (recovered bool) {
	n, ns := f.nodes[pod.Node], f.namespaces[pod.Namespace]
	f.inFlight--
	n.inFlight--
	ns.inFlight--
	f.ended(&n.key, failed)
	f.changed(n)
	recovered = f.ended(&ns.key, failed)
	f.rest(&n.key, now)
	f.rest(&ns.key, now)
	return recovered
}

// use keeps a key from being forgotten.
func (f *fairQueue) use(k *key) {
	if k.idle != nil {
		f.idle.Remove(k.idle)
		k.idle = nil
	}
}

// rest drops a key that has nothing due or in flight, at once or, where it had failures, after some time.
func (f *fairQueue) rest(k *key, now time.Time) {
	switch {
	case k.queued > 0 || k.inFlight > 0:
	case k.remembered():
		k.idle, k.idleSince = f.idle.PushBack(k), now
	default:
		f.drop(k)
	}
}

func (f *fairQueue) drop(k *key) {
	if k.isNode {
		delete(f.nodes, k.name)
	} else {
		delete(f.namespaces, k.name)
	}
}

// forget drops what has only been remembered for long enough.
func (f *fairQueue) forget(now time.Time) {
	for f.idle.Len() > 0 {
		k := f.idle.Front().Value.(*key)
		if now.Sub(k.idleSince) < forgetAfter {
			return
		}
		f.idle.Remove(k.idle)
		f.drop(k)
	}
}
