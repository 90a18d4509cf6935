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

// Package evictor evicts one pod, with calls to the API server that cannot delete another one.
//
// # Steps of an attempt
//
//  1. The node is read live. Evictions from the same node share a read for a moment. On that read it is decided whether the pod is due.
//  2. PATCH pods/status adds the condition DisruptionTarget, with the UID of the pod in the body. The answer is the live pod. If the cache
//     has the condition already, the pod is read instead, and patched only if the live condition is not True with our reason.
//  3. It is decided again, on the live pod and a fresh read of the node.
//  4. DELETE, with the UID and the resourceVersion of that pod as preconditions: the decision and the DELETE are about the same version of
//     the same pod. A 409 does not say which of the two differs, so the pod is read, and all steps are repeated.
//  5. After four such answers the pod changes more often than a DELETE of one version takes. Node and pod are read at the same time, it is
//     decided on both, and the DELETE has the UID alone as its precondition.
//
// An attempt needs nothing from its caller but the pod: a decision reads the taint tracker, the rules and the eviction queue, which are all
// below this package.
//
// # What errors mean
//
// All of that is in errors.go. The result of an attempt says whether the API server is overloaded or could not be reached, and when to
// retry. The caller applies it.
//
// A condition that cannot be written does not save the pod. The pod is then read, decided on, and deleted without the condition:
//
//   - at once after an answer 400, 403, 404, 422, or any other 4xx that is not below: the write is rejected;
//   - after three answers 500, 502, 504, or any other 5xx that is not below: something that the API server calls is broken;
//   - after a minute of 401, 408, 409, 429 or 503, or of no answers: an overloaded server must not cost Jobs the condition.
//
// A 422 on metadata.uid is none of these: another pod has the name.
//
// # Guarantees
//
//   - The read of the node on which a DELETE is decided was answered at most one second before the DELETE is sent, and began when the pod was
//     already known to be due: the node was as read while the pod was due. A read that fails evicts no pod; a slow one evicts later. If the
//     DELETE has no resourceVersion, the read of the pod was answered in that second too.
//   - No other pod of the same name is deleted: a mismatch of the UID ends the attempt.
//   - An attempt makes a bounded number of calls. Each may take longer than the 60 s that the API server works on a call at most, webhooks
//     included, and ends when the attempt is cancelled. client-go's own retries are off, because they would send an old decision later.
//   - A node is read once a second at most, on average, and never twice at the same time. A node that was not read for a while has a burst of
//     30 reads. So pods of one node that fall due shortly after one another wait for up to 0.4 s; if that goes on for long, for a second;
//     and where reads are slow, for the duration of two reads.
//   - Failures to write conditions are kept only for pods at which that failed in the last minutes.
//   - The number of attempts in flight adapts: see ConcurrencyLimiter. An overloaded API server halves it.
//   - A DELETE whose answer is lost may have taken effect. The next attempt finds the pod terminating or gone; it is not counted as ours
//     then, and gets no Event.
//
// The eviction API is not used: it would enforce budgets and write another reason.
package evictor
