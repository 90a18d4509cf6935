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

// Package brake tells a mistake from a disaster: it holds evictions while too many nodes have pods to evict at the same time, and it limits
// how fast nodes begin to evict.
//
// One wrong taint on all nodes empties a cluster in seconds. The brake does not know what is a mistake. It knows how many nodes evict, and
// holds when they are more than the operator expects, so that there is time to take the taint off. It lets go by itself.
//
// It is pure apart from its clock: it reads no API object, writes nothing, and has no goroutine but the one that calls [Brake.Run]. The
// caller tells it what it knows of nodes, and asks it before each eviction.
//
// # Terms
//
//   - Cause: a taint that pods of a node are due for. A taint whose key the operator ignores is never a cause, and evictions for it are never
//     held: the node lifecycle controller paces the not-ready taints itself, and pods must leave a zone that has failed.
//   - A node counts while it has a cause that is younger than the window. The age of a cause is that of its taint, or the time since a policy
//     changed, was deleted or expired by which the pods became due, whichever is less. A cause begins when the first pod is due, and ends with
//     its taint. So a node from which all pods have been evicted counts as before, and not only those that are left to be evicted; and pods that
//     are due a window after the taint, or the change, do not make a node count.
//   - Limit: how many nodes may count. It is a number, or a share of all nodes, rounded down; a share is at least one less than a minimum of
//     nodes, since a share of a small cluster is few.
//   - Cooldown: how long the brake stays on after no more nodes count than the limit.
//
// # Guarantees
//
//   - While more nodes count than the limit, and for the cooldown after that, nothing may begin that is not ignored.
//   - Before the brake goes on, evictions begin on no more nodes that count than the limit, even where the caller asks without telling: to
//     ask is to tell.
//   - The brake ends by itself, no later than a window and a cooldown after the last taint came on or policy changed.
//   - Taints that are older than the window never count. So nodes with a permanent taint do not, in this process and the next: the age of a
//     taint comes from the API.
//   - A node without pods that are due does not count. So nodes that come up with a start-up taint do not.
//   - Each call costs O(log n) for n nodes that have causes, and O(1) for a pod of a node that is known; [Brake.Status] costs O(n log n).
//     Nodes without causes take no memory.
//
// # More replicas, and restarts
//
// A replica that stands by is told the same as the leader, and comes to the same answer. What is one per cluster has one writer: only the
// leader stores [State], and where nodes are paced, only the leader lets a node begin.
//
// A restart must not make more go than would have gone without it. What a process does not know of the one before it, it takes from the API,
// and in doubt it holds:
//
//   - A node may have been emptied, or its first pods evicted. So it counts after a restart if its taint came on before the process began, and
//     at least a window after the node itself did: not if it came up with the taint. The caller decides that by [Node.Created].
//   - The cooldown, and that pods were due because of a policy, cannot be seen in the API. [State] has them, and [Brake.Restore] takes them.
//     A node that was emptied because of a policy, and whose taint is older than the window, is forgotten. So is that a policy changed by which pods
//     become due only after the restart.
//   - A policy may change, or go with all others, while no process runs. So the leader stores the policies, too, and a policy that has changed
//     meanwhile counts from the start of the next process; see package policy.
//   - There is nothing to spend of the pace yet, neither after a start nor after another replica led.
package brake
