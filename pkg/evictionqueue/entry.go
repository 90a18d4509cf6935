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
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// entry is a scheduled pod: its deadline, its backoff, and its state. There may be a million of them, so the fields are small and
// ordered without padding: 96 bytes.
type entry struct {
	uid        types.UID
	name, node string
	// namespace is a handle because many pods share it, and so is cause.
	namespace unique.Handle[string]
	cause     unique.Handle[deadline.Cause]
	// seconds and nanoseconds are the deadline in Unix time, without a location.
	seconds int64
	// notBefore is when the backoff after the last attempt ends, in nanoseconds of Unix time.
	notBefore   int64
	nanoseconds int32
	priority    int32
	// index is the position in the heap that holds the entry.
	index int32
	// failedAttempts and rechecks are as in Item.
	failedAttempts int16
	state          state
	rechecks       uint8
}

// state says where an entry is.
type state uint8

const (
	// waiting: in the heap of those that are not due, or back off.
	waiting state = iota
	// parked: in the same heap, until Wake.
	parked
	// ready: due, and in the fair queue.
	ready
	// inFlight: handed out by Get, and in neither.
	inFlight
	// cancelled: cancelled while in flight. The entry stays until the attempt ends, so that a pod that is set again is not handed out
	// twice.
	cancelled
)

// backsOff reports whether the entry waits because its last attempt failed.
func (e *entry) backsOff() bool { return e.failedAttempts > 0 && e.rechecks == 0 && e.state != parked }

func newEntry(pod Pod) *entry {
	return &entry{uid: pod.UID, namespace: unique.Make(pod.Namespace), cause: pod.Cause, name: pod.Name, node: pod.Node, priority: pod.Priority}
}

func (e *entry) deadline() time.Time { return time.Unix(e.seconds, int64(e.nanoseconds)) }

func (e *entry) setDeadline(t time.Time) { e.seconds, e.nanoseconds = t.Unix(), int32(t.Nanosecond()) }

// readyAt returns when the entry may be handed out: at its deadline, or at the end of its backoff if that is later.
func (e *entry) readyAt() time.Time {
	deadline, notBefore := e.deadline(), time.Unix(0, e.notBefore)
	if notBefore.After(deadline) {
		return notBefore
	}
	return deadline
}

func (e *entry) item() Item {
	return Item{
		Pod:      Pod{UID: e.uid, Namespace: e.namespace.Value(), Name: e.name, Node: e.node, Priority: e.priority, Cause: e.cause},
		Deadline: e.deadline(), FailedAttempts: int(e.failedAttempts), Rechecks: int(e.rechecks),
	}
}

// sooner orders the entries that wait.
func sooner(a, b *entry) bool { return a.readyAt().Before(b.readyAt()) }

// precedes orders the entries that are due on one node: by the second of their deadline, then by priority.
func precedes(a, b *entry) bool {
	if a.seconds != b.seconds {
		return a.seconds < b.seconds
	}
	return a.priority < b.priority
}

// flowOrder orders the entries of one flow: as precedes does, then by deadline.
func flowOrder(a, b *entry) bool {
	if precedes(a, b) || precedes(b, a) {
		return precedes(a, b)
	}
	return a.nanoseconds < b.nanoseconds
}
