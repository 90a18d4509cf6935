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

// Package taintstart resolves the starts of each node's NoExecute taints and not-ready periods. Package deadline defines
// these terms.
//
// The API does not record when a taint was put on a node. kubectl taint sets no timeAdded, the node lifecycle controller
// sets it again after each restart, and a watch that was cut hides what happened meanwhile. This package resolves starts
// from the evidence that there is:
//
//   - the taint's timeAdded;
//   - the API time of the last change of spec.taints, from the managedFields entry that owns f:taints. The list is atomic,
//     so every taint that is present now was present then;
//   - the local time at which we first saw the taint.
//
// The earliest counts.
//
// # Guarantees
//
//   - A start is never before the beginning of one unbroken presence of the taint, unless timeAdded itself says so.
//   - A timeAdded from before the last version that we saw without the taint is disproved: its writer used an old copy, or
//     its clock is behind. It does not count while the presence lasts. Neither does a change of spec.taints that is no later
//     than the one that this version showed: an admission plugin added the taint in another write.
//   - While the presence is seen without a gap, a start only moves earlier. A new timeAdded does not restart a countdown.
//   - After a gap, an earlier start stands only if the object proves that the presence is unbroken. In doubt the later time
//     counts.
//   - A record counts as the version before a gap does: only if the object proves, by an equal resourceVersion or an equal
//     time of the last change, that the presence is unbroken.
//   - Memory is held only for nodes that carry NoExecute taints, or carried not-ready taints a minute ago and are not ready.
//
// # Not-ready periods
//
// A not-ready period has a start of its own. So has each not-ready taint that is on: the time at which it replaced the
// other one, or the period's start if the other one has not been on since. The period continues over an absence of both
// taints of at most 60 s during which the Ready condition was not True: a node lifecycle controller that starts removes
// both taints and puts them back. A longer absence begins a new period.
//
// The API does not date the removal of a last taint, but numbers it. So an absence is measured from the latest API time
// that is known to be before the removal's resourceVersion. Evidence for that are the time of a write that any node shows,
// and a consistent read with limit 1, which is needed when no other evidence has arrived for 20 s. Over a gap, an absence
// is measured from the latest API time up to which one unbroken watch had delivered everything; over a restart, from the
// recorded one. It ends with the change of spec.taints that brought the taints back. If more than 60 s remain possible, a
// new period begins.
package taintstart
