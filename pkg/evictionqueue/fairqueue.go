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
	"slices"
	"time"
)

// fairQueue holds the pods that are due and selects the next one: nodes take turns (see rotation), and so do the namespaces on each
// node, within the limits of both.
//
// A node or namespace without room is not considered again until it has room: a full node is excluded from the rotation, and a flow of
// a full namespace is parked. So the cost of an attempt does not depend on how many there are.
type fairQueue struct {
	limits
	// due counts the entries.
	due        int
	nodes      map[string]*node
	namespaces map[string]*namespace
	rotation   *rotation
	// fullNodes and fullNamespaces were found without room. There are never more than the concurrency limit.
	fullNodes      []*node
	fullNamespaces []*namespace
	// idle has the keys that are kept only for their failures, the oldest first.
	idle *list.List // of *key
}

// node is a node that has pods due or in flight.
type node struct {
	key
	flows map[string]*flow // by namespace
	// order has the flows that are not parked, the next one first.
	order *list.List // of *flow
	// due counts its entries.
	due int
	// inLine is its element in the line of the rotation. open says that it may have room: it is not full, and has a flow that is not
	// parked. Then index is its position among the open nodes.
	inLine     *list.Element
	full, open bool
	index      int
}

// namespace is a namespace that has pods due or in flight.
type namespace struct {
	key
	// parked has the flows that wait until the namespace has room.
	parked *indexedHeap[*flow]
	full   bool
}

// flow is what is due in one namespace on one node.
type flow struct {
	node      *node
	namespace *namespace
	due       *indexedHeap[*entry]
	// element is its element in the order of the node, or, while parked, index its position among the parked flows of the namespace.
	element *list.Element
	index   int
	parked  bool
}

func (n *node) setIndex(i int)  { n.index = i }
func (f *flow) setIndex(i int)  { f.index = i }
func (e *entry) setIndex(i int) { e.index = int32(i) }

func newFairQueue() *fairQueue {
	return &fairQueue{
		nodes: map[string]*node{}, namespaces: map[string]*namespace{}, rotation: newRotation(), idle: list.New(),
	}
}

// add adds an entry that is due.
func (f *fairQueue) add(e *entry) {
	n, ns := f.node(e.node), f.namespace(e.namespace.Value())
	fl := n.flows[e.namespace.Value()]
	if fl == nil {
		fl = &flow{node: n, namespace: ns, due: &indexedHeap[*entry]{less: flowOrder}}
		n.flows[e.namespace.Value()] = fl
		if n.queued++; n.queued == 1 {
			f.rotation.join(n)
		}
		ns.queued++
		f.admit(fl)
	}
	heap.Push(fl.due, e)
	f.due++
	n.due++
	f.fix(n)
}

// node returns the node of a name, made if there is none, and not idle any more.
func (f *fairQueue) node(name string) *node {
	n := f.nodes[name]
	if n == nil {
		n = &node{key: key{name: name, isNode: true}, flows: map[string]*flow{}, order: list.New()}
		f.nodes[name] = n
	}
	f.keep(&n.key)
	return n
}

// namespace returns the namespace of a name, made if there is none, and not idle any more.
func (f *fairQueue) namespace(name string) *namespace {
	ns := f.namespaces[name]
	if ns == nil {
		ns = &namespace{key: key{name: name}, parked: &indexedHeap[*flow]{less: func(a, b *flow) bool { return smaller(a.node, b.node) }}}
		f.namespaces[name] = ns
	}
	f.keep(&ns.key)
	return ns
}

// remove removes an entry, and its flow if that is empty.
func (f *fairQueue) remove(e *entry, now time.Time) {
	fl := f.nodes[e.node].flows[e.namespace.Value()]
	heap.Remove(fl.due, int(e.index))
	f.due--
	fl.node.due--
	f.fix(fl.node)
	if fl.due.Len() > 0 {
		return
	}
	f.withdraw(fl)
	delete(fl.node.flows, e.namespace.Value())
	if fl.node.queued--; fl.node.queued == 0 {
		f.rotation.leave(fl.node)
	}
	fl.namespace.queued--
	f.release(&fl.node.key, now)
	f.release(&fl.namespace.key, now)
}

// fix restores the orders that a node is in after its counts changed.
func (f *fairQueue) fix(n *node) {
	f.rotation.fix(n)
	for _, fl := range n.flows {
		if fl.parked {
			heap.Fix(fl.namespace.parked, fl.index)
		}
	}
}

// take removes and returns the next entry whose node and namespace have room; nil if none has. The entry counts as in flight until
// attemptEnded. The caller makes sure that the concurrency limit is not reached.
func (f *fairQueue) take(now time.Time) *entry {
	for {
		more := f.readmit()
		for n := f.rotation.next(now, f.limit); n != nil; n = f.rotation.next(now, f.limit) {
			if fl := f.nextFlow(n); fl != nil {
				return f.dispatch(fl, now)
			}
			f.rotation.exclude(n)
		}
		if !more {
			return nil // else the readmitted ones may have been on nodes that are full
		}
	}
}

// dispatch removes the first entry of a flow, and moves the flow to the end of the order of its node.
func (f *fairQueue) dispatch(fl *flow, now time.Time) *entry {
	fl.node.order.MoveToBack(fl.element)
	f.rotation.dispatched(fl.node)
	f.inFlight++
	fl.node.inFlight++
	fl.namespace.inFlight++
	e := fl.due.first()
	f.remove(e, now)
	return e
}

// nextFlow returns the next flow of a node; nil if the node, or each of its namespaces, has no room.
func (f *fairQueue) nextFlow(n *node) (next *flow) {
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
		case next == nil || precedes(fl.due.first(), next.due.first()):
			next = fl
		}
	}
	return next
}

// readmit readmits the nodes that have room again, and of each namespace as many flows as it has room for, that on the front of the
// rotation first. It reports whether there were any.
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
		if fl := f.rotation.frontFlow(ns.name); fl != nil && fl.parked && room > 0 {
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

// admit adds a flow to the order of its node.
func (f *fairQueue) admit(fl *flow) {
	n := fl.node
	fl.parked = false
	fl.element = n.order.PushBack(fl)
	if !n.full {
		f.rotation.admit(n)
	}
}

// park moves a flow from the order of its node to the parked flows of its namespace, which has no room.
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

// unpark moves a parked flow back to the order of its node.
func (f *fairQueue) unpark(fl *flow) {
	f.withdraw(fl)
	f.admit(fl)
}

// withdraw removes a flow from where it is: parked, or in the order of its node.
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

// empty reports whether nothing is due.
func (f *fairQueue) empty() bool { return f.due == 0 }

// attemptEnded ends what take began, and reports whether the namespace has recovered.
func (f *fairQueue) attemptEnded(pod Pod, failed bool, now time.Time) (recovered bool) {
	n, ns := f.nodes[pod.Node], f.namespaces[pod.Namespace]
	f.inFlight--
	n.inFlight--
	ns.inFlight--
	f.limits.attemptEnded(&n.key, failed)
	f.fix(n)
	recovered = f.limits.attemptEnded(&ns.key, failed)
	f.release(&n.key, now)
	f.release(&ns.key, now)
	return recovered
}

// returned ends what take began, without an attempt.
func (f *fairQueue) returned(pod Pod, now time.Time) {
	n, ns := f.nodes[pod.Node], f.namespaces[pod.Namespace]
	f.inFlight--
	n.inFlight--
	ns.inFlight--
	f.fix(n)
	f.release(&n.key, now)
	f.release(&ns.key, now)
}

// keep marks a key as not idle.
func (f *fairQueue) keep(k *key) {
	if k.idle != nil {
		f.idle.Remove(k.idle)
		k.idle = nil
	}
}

// release drops a key that has nothing due or in flight, or, if it has failures, marks it as idle.
func (f *fairQueue) release(k *key, now time.Time) {
	switch {
	case k.queued > 0 || k.inFlight > 0:
	case k.hasFailures():
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

// dropIdle drops the keys that have been idle for long enough.
func (f *fairQueue) dropIdle(now time.Time) {
	for f.idle.Len() > 0 {
		k := f.idle.Front().Value.(*key)
		if now.Sub(k.idleSince) < forgetAfter {
			return
		}
		f.idle.Remove(k.idle)
		f.drop(k)
	}
}
