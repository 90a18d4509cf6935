// Package evictor removes one pod from its node, by a call to the API server that cannot remove another one.
//
// # How a pod goes
//
//  1. The node is read live. One read serves all evictions from that node for a moment.
//  2. PATCH pods/status adds the condition DisruptionTarget, with the pod's UID in the body. The answer is the live pod. It
//     is read instead where the condition is there already.
//  3. On the live pod and the live node it is decided once more whether the pod is due.
//  4. DELETE, with the UID and the resource version of that pod as preconditions: the decision and the delete are about the
//     same version of the same pod.
//
// # Guarantees
//
//   - The read of the node on which a DELETE is decided began at most one second before it is sent, and not before the pod
//     was known to be due: what it shows was so while the pod was due. A read that fails or takes longer evicts nobody.
//   - No other pod of the same name is touched: a mismatch of the UID ends the work.
//   - An attempt makes a bounded number of calls, each with a timeout. client-go's own retries are off, because they
//     would send an old decision later.
//   - A condition that may not be written does not save the pod.
//   - A node is read once a second at most, on average; one that was not read for a while has reads to spare, up to 30. So
//     pods of one node that fall due shortly after one another wait for up to 0.4 s, and if that goes on for long, for a second.
//   - A DELETE whose answer is lost may have taken effect. The next attempt finds the pod terminating or gone; then it is
//     not counted as ours and gets no Event.
//
// The eviction API is not used: it would enforce budgets and write another reason.
package evictor
