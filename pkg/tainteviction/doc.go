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

// Package tainteviction is the controller: it watches pods and nodes, schedules the evictions that the rules of package deadline ask for,
// and has package evictor carry them out.
//
// # From a pod event to its DELETE
//
// Each arrow is a call or a queue, and all of them point down: nothing below calls back into what is above it. The result of an attempt is
// returned to evict, which puts the pod back into taintEvictionQueue.
//
//	informer
//	   │ event
//	   ▼
//	podChanged, nodeUpdated     handlers.go: the taint tracker observes the node
//	   │ podUpdateQueue, nodeUpdateQueue
//	   ▼
//	evaluate                    evaluate.go: deadline.Decide on the caches
//	   ├─▶ evictor.Brake.Tell    the eviction brake counts nodes with pods that are due
//	   │ taintEvictionQueue (pod UID → deadline)
//	   ▼
//	evict                       evict.go: one attempt; its result sets the next one and the concurrency limit
//	   ├─▶ evictor.Brake.Ask     brake.go: a pod may be held by the eviction brake or the pace of nodes
//	   ├─▶ budget.Tracker.Begin  budgets.go: a pod that is to be evicted, and not deleted, may have to wait for its budget
//	   │ evictor.Evict
//	   ▼
//	evictVersion                evictor/attempt.go:
//	   ├─▶ read the node, deadline.Decide
//	   ├─▶ PATCH the condition DisruptionTarget, which returns the live pod
//	   ├─▶ read the node if the last read is too old, deadline.Decide on the live pod
//	   └─▶ DELETE
//
// # Concurrency
//
// Event handlers pass every version of a node to the taint tracker, in order, and add keys to the two update queues. Workers take the
// keys and evaluate pods. An evaluation reads the latest pod and the latest taints, and sets or cancels the deadline of the pod, all while
// it holds a lock for the UID of the pod. So the last evaluation has seen the latest state, and the schedule converges to what the rules
// say, whichever worker was faster.
//
// One goroutine takes due pods from the eviction queue, and each attempt has a goroutine of its own. There are as many as the concurrency
// limit allows, which evictor.ConcurrencyLimiter sets.
//
// Evaluations read nodes from the taint tracker, not from the informer's store: the two may differ for a moment, and the starts belong to
// the tracker's version.
//
// The eviction brake is told of a pod before the queue can hand it out, and of the whole node after all of its pods. It is asked on the
// caches, so that nothing is read for a pod that is held, and again on what an attempt reads. A pod that is held is parked. It is woken when the
// brake goes off or its node may begin, and when what it is due for changes.
//
// # Guarantees
//
//   - Work is keyed by UID. Another pod of the same name is another pod.
//   - Each change of a node's taints or a pod's tolerations moves the deadline at once, to the earlier or the later side.
//   - A failed eviction is retried, with a backoff of at most 30 s, for as long as the pod is due.
//   - A replica that does not lead does all of this except evicting, so that it takes over with its deadlines known. It may assist while a
//     leader does not evict what is due: with a low concurrency limit at first, and without writing what has a single writer.
//   - No other controller is needed: the pod informer has its own index by node.
package tainteviction
