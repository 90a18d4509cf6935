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
//  1. The node is read live. Evictions from the same node share a read for a moment. On that read it is decided whether the pod is due, and
//     how it goes: it is deleted, unless a policy has it evicted.
//  2. PATCH pods/status adds the condition DisruptionTarget, with the UID of the pod in the body. The answer is the live pod. If the cache
//     has the condition already, the pod is read instead, and patched only if the live condition is not True with our reason.
//  3. It is decided again, on the live pod and a fresh read of the node.
//  4. DELETE, with the UID and the resourceVersion of that pod as preconditions: the decision and the DELETE are about the same version of
//     the same pod. A 409 does not say which of the two differs, so the pod is read, and all steps are repeated.
//  5. After four such answers the pod changes more often than a DELETE of one version takes. Node and pod are read at the same time, it is
//     decided on both, and the DELETE has the UID alone as its precondition.
//
// A pod that is to be evicted goes the same way, with two differences. In step 2 it is read and not patched: the API server writes a condition
// of its own, and the disruption controller takes that back if the eviction comes to nothing. In steps 4 and 5 the call is POST
// pods/eviction, with the same preconditions in its deleteOptions. The API server looks at these after it took a place from the budget, so
// a 409 costs a place until the disruption controller gives it back, which takes two minutes.
//
// If the way in which a pod goes has changed since the read of the node began, the node is read again: a pod is deleted only on a read that
// began when it was to be deleted, and not while it was to be evicted.
//
// A policy may shorten the grace period of the pod, never lengthen it.
//
// The last thing that each decision asks is whether the eviction brake lets the pod go. If it does not, it is decided once more on the taints
// alone that the brake ignores, so that failover goes on; and if the pod is not due by those, the attempt ends with the outcome Held. So a
// pod that is held gets no PATCH and no DELETE, but for one that is held between the two, which keeps the condition.
//
// An attempt needs nothing from its caller but the pod: a decision reads the taint tracker, the rules and the eviction queue, which are all
// below this package. Whether an eviction should wait for a budget is decided before the attempt: see package budget.
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
// # What the eviction API answers
//
//	answer                                   outcome               then
//	201                                      Evicted               done
//	404                                      Gone                  done
//	409 about the pod                        none                  read the pod, decide again; after four, without the resourceVersion
//	409 or 404 about the budget,             BudgetConflict        others update its status, or it was deleted: wait
//	504 "couldn't update PodDisruptionBudget"
//	429, cause DisruptionBudget              Blocked               wait for the budget
//	the same, with Retry-After               BudgetUnreconciled    again after that time: the budget has not been counted yet
//	429 "admission webhook …"                InProgress            wait: the pod goes by other means, such as a live migration
//	429 otherwise                            Error, Overloaded     fewer attempts at the same time
//	403, cause NamespaceTerminating          NamespaceTerminating  wait: the pod goes with its namespace
//	403, cause DisruptionBudget              BudgetInvalid         as Blocked, and say so: the status of the budget is broken
//	403 otherwise                            Error                 say so: a permission is missing, or a policy denies
//	500 "more than one PodDisruptionBudget"  BudgetInvalid         as Blocked, and say so: the pod has several budgets
//	anything else                            Error                 retry
//
// A result names the budget where the answer does: in the message of the cause, or in the details. All but Error are no failures.
//
// An eviction has the annotations taint-manager.io/requested-by and taint-manager.io/reason (the taint and the policy). They are for admission
// webhooks, which may have the pod go by other means, and for audit logs of the level Request. The API server stores no evictions.
//
// # Guarantees
//
//   - The read of the node on which a DELETE or an eviction is decided was answered at most one second before that is sent, and began when the
//     pod was already known to be due: the node was as read while the pod was due. A read that fails evicts no pod; a slow one evicts later.
//     If the call has no resourceVersion, the read of the pod was answered in that second too.
//   - No other pod of the same name is deleted: a mismatch of the UID ends the attempt.
//   - An attempt makes a bounded number of calls. Each may take longer than the 60 s that the API server works on a call at most, webhooks
//     included, and ends when the attempt is cancelled. client-go's own retries are off, because they would send an old decision later.
//   - A node is read once a second at most, on average, and never twice at the same time. A node that was not read for a while has a burst of
//     30 reads. So pods of one node that fall due shortly after one another wait for up to 0.4 s; if that goes on for long, for a second;
//     and where reads are slow, for the duration of two reads.
//   - Failures to write conditions are kept only for pods at which that failed in the last minutes.
//   - The number of attempts in flight adapts: see ConcurrencyLimiter. An overloaded API server halves it.
//   - A DELETE or an eviction whose answer is lost may have taken effect. The next attempt finds the pod terminating or gone; it is not counted
//     as ours then, and gets no Event.
//   - The eviction API is not used unless a policy asks for it: it enforces budgets and writes another reason.
package evictor
