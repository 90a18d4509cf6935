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

// Package evictionqueue holds one deadline per pod UID and hands a pod out when it is due.
//
// The map from UID to deadline is the truth, so moving or cancelling an eviction is a change of the map. There is no goroutine and no
// timer per pod: the callers of Get share one heap, and have one timer each while they wait.
//
// An item is in flight from Get until Done (nothing is left to do), Recheck (look again later), Retry (the attempt failed) or Park (the pod
// waits for something else).
//
// # Guarantees
//
//   - A pod is handed out at its deadline or later, never before; after a failed attempt, not before its backoff is over.
//   - A pod in flight is not handed out again until its attempt has ended, whatever is set meanwhile.
//   - A cancelled pod is not handed out, and a moved pod is handed out at its new deadline.
//   - No more pods are in flight than the concurrency limit allows.
//   - A namespace that is alone may use the concurrency limit except for a reserve (a tenth, at least 4), a node except for half of that
//     reserve. Where several namespaces or nodes have pods due, each may use what the others leave, except for such a reserve of it. So
//     one that comes later can start, however many are slow.
//   - Each node and each namespace has a limit of its own after failures. A failed attempt halves it, down to one; any
//     other attempt doubles it, until there is none.
//   - Among the pods that are due and have room, nodes take turns of 0.8 s, because a node has to be read once a second for its evictions,
//     however few they are. Half of what is handed out is of the node whose turn it is, and half of the node with the fewest pods left. So
//     each node gets its turn, whatever is due on others, and a node with few pods does not wait for the turns of nodes with many.
//   - While other nodes have pods due and room, a node gets no more than half of the concurrency limit. So where all attempts on a node
//     hang, the other half goes on.
//   - On one node, the pods that fell due in an earlier second go first, then those of lower priority, and then namespaces take turns.
//   - When an attempt succeeds in a namespace after five or more failed in a row, the backoffs of all failed pods of that namespace are
//     reset.
//   - A parked pod takes no room, and does not count as due. Wake has it handed out; it does not end a backoff after a failure.
//   - The failures of a node or namespace are kept while it has pods due, and for 10 minutes after.
//   - Set, Cancel, Get, Wake and the end of an attempt cost O(log n) for each namespace that has pods due on the pod's node and for what is full
//     at the moment (no more than the concurrency limit). The reset of backoffs costs O(n).
//   - The gauge is set under the lock of the number that it shows.
package evictionqueue
