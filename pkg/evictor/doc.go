// Package evictor removes one pod from its node, by a call to the API server that cannot remove another one.
//
// # How a pod goes
//
//  1. The node is read live. One read serves all evictions from that node for a moment.
//  2. PATCH pods/status adds the condition DisruptionTarget, with the pod's UID in the body. The answer is the live pod. Where the
//     condition is there already by the cache, the pod is read instead, and written to if the live condition is not True with our reason.
//  3. On the live pod and the live node it is decided once more whether the pod is due.
//  4. DELETE, with the UID and the resource version of that pod as preconditions: the decision and the delete are about the
//     same version of the same pod. A 409 does not say which of the two differs: the pod is read, and all is done again.
//  5. After four such answers the pod changes more often than a DELETE of one version takes. Node and pod are read at the same time,
//     it is decided on both, and the DELETE has the UID alone as precondition.
//
// # A condition that cannot be written
//
// It does not save the pod, which is then read, decided on, and deleted without the condition. That is so
//
//   - at once after an answer 400, 403, 404, 422 or any other 4xx that is not below: the write is not wanted;
//   - after three answers 500, 502, 504 or any other 5xx that is not below: something that the API server asks is broken;
//   - after a minute of 401, 408, 409, 429 or 503, or of no answer at all: an overloaded server must not cost Jobs the condition.
//
// A 422 on metadata.uid is none of these: another pod has the name.
//
// # Guarantees
//
//   - The read of the node on which a DELETE is decided was answered at most one second before it is sent, and began when the pod was
//     known to be due already: what it shows was so while the pod was due. A read that fails evicts nobody; one that is
//     slow evicts later. Where the DELETE has no resource version, the read of the pod was answered in that second too.
//   - No other pod of the same name is touched: a mismatch of the UID ends the work.
//   - An attempt makes a bounded number of calls. Each waits for longer than the 60 s that the API server works on it at most,
//     webhooks included, and ends when the attempt is cancelled. client-go's own retries are off, because they would send an old
//     decision later.
//   - A node is read once a second at most, on average, and never twice at the same time; one that was not read for a while has
//     reads to spare, up to 30. So pods of one node that fall due shortly after one another wait for up to 0.4 s, and if that goes
//     on for long, for a second; and where reads are slow, for two of them.
//   - What is remembered of conditions that could not be written is of pods at which that failed in the last minutes.
//   - How many attempts go on at the same time adapts: see ConcurrencyLimiter. An API server that has too much to do sees half as
//     many at once.
//   - A DELETE whose answer is lost may have taken effect. The next attempt finds the pod terminating or gone; then it is
//     not counted as ours and gets no Event.
//
// The eviction API is not used: it would enforce budgets and write another reason.
package evictor
