// Package evictionqueue holds one deadline for each pod UID and hands the pod out when it is due.
//
// The map from UID to deadline is the truth, so moving or cancelling an eviction is a change of the map. Nothing waits for
// a single deadline: the consumers share one heap and one timer each while they wait.
//
// # Guarantees
//
//   - A pod is handed out at its deadline or after it, never before, and after a failure when its backoff is over.
//   - A pod that has been handed out is not handed out again until Done, whatever is set meanwhile.
//   - A cancelled pod is not handed out, and a moved one at its new deadline.
//   - A namespace that is alone may use all slots but a reserve (a tenth, at least 4) that only others use, and a node all but
//     half of that. Where several are due, each may use what the others leave but for such a reserve of it: whoever comes
//     later finds a place, however many are slow. One whose attempts fail has a limit that shrinks to one.
//   - Among what is due and has room, nodes take turns of 0.8 s, because a node has to be read for its evictions once a second, however
//     few they are. Half of what is handed out is of the node whose turn it is, and half of the one that has the fewest pods left. So
//     each node has its turn, whatever is due on others, and a node with few pods does not wait for the turns of those with many.
//   - While other nodes have pods due that have room, a node gets no more than half of the slots. So where all attempts at a node hang, the
//     other half goes on.
//   - Of the pods on one node, what fell due in an earlier second goes first, then what has a lower priority, and then namespaces take
//     turns.
//   - What failed for a reason that lies with its namespace or the API server is tried again as soon as one of them goes
//     through: nobody waits for the end of a long backoff of its own.
//   - The failures of a node or namespace are remembered while it has pods due, and for 10 minutes after.
//   - Set, Cancel, Get and Done cost O(log n) for each namespace that has pods due on the pod's node, and what is full at the moment (no
//     more than there are slots), but O(n) when a namespace recovers. There is no goroutine and no timer for each item.
//   - The gauges are set under the lock of what they show.
package evictionqueue
