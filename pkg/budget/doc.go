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

// Package budget has evictions wait for the disruption budgets that cover their pods, without asking the API server all the time.
//
// The eviction API takes a place from a budget for each pod, and answers 429 where there is none. Most of the answer is known before: the
// status of a budget says how many disruptions it allows. So a Tracker watches budgets, and an eviction asks it for a turn:
//
//	Begin ──▶ a turn: send the eviction, then End
//	      └─▶ no turn: park the pod, then Wait ──▶ the pod is woken (Queue.Wake), and begins again
//
// # Guarantees
//
//   - At most one eviction is in flight for each budget. Others would make the API server update the same status at the same time, and it
//     waits for half a second after each conflict.
//   - No eviction is sent that the known status of its budget refuses, but for a probe: see below.
//   - After an eviction that took a place, the next one waits until the status shows that, for two seconds at most.
//   - A pod is woken when it may go: when its budget allows a disruption, changes or is deleted, or when the pod itself changes, which
//     PodChanged reports. Pods of one budget are woken one by one: those that are not ready first, because they may need no place, and then
//     in the order in which they began to wait.
//   - A pod that is woken and does not begin, because its eviction was cancelled or waits for other limits, keeps others waiting for 10 s at
//     most. Forget ends that at once.
//   - The watch may fail. So the pod that is first in line is woken as a probe when a budget has shown nothing new for a while: for 30 s, and
//     after each probe that was in vain for twice as long, up to 15 min.
//   - A budget that the watch does not show, and an answer names, is waited for in the same way.
//   - A pod that several budgets cover is not held up here: the API server refuses it, and the caller has it wait for longer and longer. It
//     is woken when a selector changes.
//   - Memory grows with budgets and with pods that wait. There are two goroutines: the informer's, and one that looks once a second for what
//     is over.
//
// # What the eviction API needs
//
// A pod that is pending, finished or terminating goes whatever its budgets say. Of one that is running and not ready, the policy
// unhealthyPodEvictionPolicy of its budget says whether it goes without a place: AlwaysAllow, or IfHealthyBudget while enough others are
// healthy. All others take one of the disruptions that are allowed, if the disruption controller has seen the latest version of the budget.
package budget
