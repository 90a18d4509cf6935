package evictionqueue

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// entry is a pod, when it is due, and where it is. There may be very many of them, so it is made of small fields
// in an order that leaves no holes: 96 bytes.
type entry struct {
	uid                   types.UID
	namespace, name, node string
	// The deadline is kept without its location.
	seconds int64
	// notBefore is when the backoff after the last failure ends, in nanoseconds of Unix time.
	notBefore   int64
	nanoseconds int32
	priority    int32
	// index is the entry's position in the heap that it is in.
	index    int32
	failures int16
	place    place
	// rechecks counts the attempts that did not fail since the last one that did.
	rechecks uint8
}

// place is the heap that an entry is in, if any.
type place uint8

const (
	waiting place = iota
	ready
	handedOut
	// cancelled is an entry that was cancelled while it was handed out. It stays until Done, so that the pod is not handed
	// out twice when it is set again.
	cancelled
)

// failing reports whether the last attempt failed.
func (e *entry) failing() bool { return e.failures > 0 && e.rechecks == 0 }

func newEntry(pod Pod) *entry {
	return &entry{uid: pod.UID, namespace: pod.Namespace, name: pod.Name, node: pod.Node, priority: pod.Priority}
}

func (e *entry) deadline() time.Time { return time.Unix(e.seconds, int64(e.nanoseconds)) }

func (e *entry) setDeadline(t time.Time) { e.seconds, e.nanoseconds = t.Unix(), int32(t.Nanosecond()) }

// at is the moment at which the entry may be handed out.
func (e *entry) at() time.Time {
	deadline, notBefore := e.deadline(), time.Unix(0, e.notBefore)
	if notBefore.After(deadline) {
		return notBefore
	}
	return deadline
}

func (e *entry) item() Item {
	return Item{
		Pod:      Pod{UID: e.uid, Namespace: e.namespace, Name: e.name, Node: e.node, Priority: e.priority},
		Deadline: e.deadline(), Failures: int(e.failures), Rechecks: int(e.rechecks),
	}
}

// sooner is the order of those that wait.
func sooner(a, b *entry) bool { return a.at().Before(b.at()) }

// ahead is the order among those that are due on one node. What fell due in the same second counts as due at the same moment.
func ahead(a, b *entry) bool {
	if a.seconds != b.seconds {
		return a.seconds < b.seconds
	}
	return a.priority < b.priority
}

// inTurn is ahead, and of those that are level the one that was due first.
func inTurn(a, b *entry) bool {
	if ahead(a, b) || ahead(b, a) {
		return ahead(a, b)
	}
	return a.nanoseconds < b.nanoseconds
}
