package evictionqueue

import (
	"container/heap"
	"container/list"
)

// ring holds what is due and says who is next: nodes take turns, and the namespaces within each node, and none of them has
// more than its share of what is handed out.
type ring struct {
	nodes       map[string]*nodeTurn
	order       *list.List // of *nodeTurn, the next one in front
	byNode      shares
	byNamespace shares
}

// nodeTurn is what is due on one node.
type nodeTurn struct {
	element    *list.Element
	namespaces map[string]*namespaceTurn
	order      *list.List // of *namespaceTurn, the next one in front
}

// namespaceTurn is what is due on one node in one namespace.
type namespaceTurn struct {
	element *list.Element
	due     *entryHeap
}

func newRing() *ring {
	return &ring{
		nodes:       map[string]*nodeTurn{},
		order:       list.New(),
		byNode:      shares{used: map[string]*holding{}},
		byNamespace: shares{used: map[string]*holding{}},
	}
}

// widen sets the widest share of a node or namespace.
func (r *ring) widen(share int) { r.byNode.widest, r.byNamespace.widest = share, share }

// add puts an entry behind those of its node and namespace that go before it.
func (r *ring) add(e *entry) {
	node := r.nodes[e.node]
	if node == nil {
		node = &nodeTurn{namespaces: map[string]*namespaceTurn{}, order: list.New()}
		node.element = r.order.PushBack(node)
		r.nodes[e.node] = node
	}
	namespace := node.namespaces[e.namespace]
	if namespace == nil {
		namespace = &namespaceTurn{due: &entryHeap{before: inTurn}}
		namespace.element = node.order.PushBack(namespace)
		node.namespaces[e.namespace] = namespace
	}
	heap.Push(namespace.due, e)
}

// remove takes an entry out, and its node and namespace with it where nothing else is left of them.
func (r *ring) remove(e *entry) {
	node := r.nodes[e.node]
	namespace := node.namespaces[e.namespace]
	heap.Remove(namespace.due, int(e.index))
	if namespace.due.Len() == 0 {
		node.order.Remove(namespace.element)
		delete(node.namespaces, e.namespace)
	}
	if node.order.Len() == 0 {
		r.order.Remove(node.element)
		delete(r.nodes, e.node)
	}
}

// take is the next entry whose node and namespace have a share left, which it uses up until release; nil where none has.
func (r *ring) take() *entry {
	for el := r.order.Front(); el != nil; el = el.Next() {
		e := r.next(el.Value.(*nodeTurn))
		if e == nil {
			continue
		}
		r.remove(e)
		r.byNode.use(e.node)
		r.byNamespace.use(e.namespace)
		return e
	}
	return nil
}

// next is the entry of a node that is next, and sends the node and its namespace to the back; nil where it has none.
func (r *ring) next(node *nodeTurn) *entry {
	var next *entry
	for el := node.order.Front(); el != nil; el = el.Next() {
		e := el.Value.(*namespaceTurn).due.first()
		if r.byNode.exhausted(e.node) {
			return nil
		}
		if !r.byNamespace.exhausted(e.namespace) && (next == nil || ahead(e, next)) {
			next = e
		}
	}
	if next != nil {
		node.order.MoveToBack(node.namespaces[next.namespace].element)
		r.order.MoveToBack(node.element)
	}
	return next
}

// empty says whether nothing is due that has not been handed out.
func (r *ring) empty() bool { return r.order.Len() == 0 }

// release gives a share back, of an attempt that went well or not, and says whether it is the first in its namespace that
// went well after many that did not.
func (r *ring) release(pod Pod, well bool) (recovered bool) {
	r.byNode.release(pod.Node, well)
	return r.byNamespace.release(pod.Namespace, well)
}

// reset forgets who failed. It may be called when nothing is handed out.
func (r *ring) reset() {
	r.byNode.reset()
	r.byNamespace.reset()
}
