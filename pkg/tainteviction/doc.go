// Package tainteviction is the controller: it watches pods and nodes, works out which pods must go and when, and has them
// evicted.
//
//	informers ──events──▶ nodeUpdateQueue ─┐
//	                      podUpdateQueue ──┴▶ evaluate ──▶ deadline.Decide ──▶ taintEvictionQueue ──▶ evict ──▶ API
//	                                                          ▲                (pod UID → deadline)     │
//	                                         taint starts ────┘                ◀── retry, with backoff ─┘
//
// # Concurrency
//
// Event handlers give every version of a node to the taint tracker, in order, and put names into the two update queues.
// Workers take names out and evaluate pods. To evaluate is to read the latest pod and the latest taints and to set or cancel
// the pod's deadline, all while holding a lock for that pod's UID: whoever evaluates last has seen the latest state, so what
// is scheduled converges to what the rules say, whichever worker was faster.
//
// One goroutine takes due pods out of the eviction queue, and each attempt has one of its own: as many as the concurrency limit
// allows at the moment, which evictor.ConcurrencyLimiter sets.
//
// The taint tracker, not the informer's store, is what evaluation reads of nodes: the two may differ for a moment, and the
// starts belong to the tracker's version.
//
// # Guarantees
//
//   - Work is keyed by UID. A pod that took another one's name is another pod.
//   - Each change of a node's taints or a pod's tolerations moves the deadline at once, to the earlier or the later side.
//   - A failed eviction is tried again, with a backoff of at most 30 s, for as long as the pod is due.
//   - A replica that does not lead does all of this but evict, so that it takes over with its deadlines known. It may assist
//     while a leader does not evict what is due: with few slots at first, and without a write of what has one writer.
//   - No other controller is needed: the index of pods by node is our own.
package tainteviction
