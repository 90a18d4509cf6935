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
//   - Of the pods that are handed out at the same time, no node and no namespace has more than its share, and one whose
//     attempts fail has a share that shrinks to one: those that are blocked do not hold up the others.
//   - Among what is due, nodes take turns, so that no node waits for another's pods. Of the pods on one node, what fell due
//     in an earlier second goes first, then what has a lower priority, and then namespaces take turns.
//   - What failed for a reason that lies with its namespace or the API server is tried again as soon as one of them goes
//     through: nobody waits for the end of a long backoff of its own.
//   - Set, Cancel and Done cost O(log n), but for O(n) when a namespace recovers, and Get O(log n) too, but for nodes that are due and have no share left and for the
//     namespaces of the node whose turn it is: it passes them one by one. There is no goroutine and no timer for each item.
package evictionqueue
