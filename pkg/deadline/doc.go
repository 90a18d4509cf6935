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

// Package deadline decides whether, when and why a pod must leave a node that carries NoExecute taints.
//
// It is pure: [Decide] reads API objects and evidence, never a clock, the network or a log. It returns the same answer for
// the same input. The controller, the check right before a delete and the tests all call it.
//
// # Terms
//
// All packages use these terms:
//
//   - Taint: a taint with the effect NoExecute. Its identity is key, value and effect. A taint with another value is
//     another taint.
//   - Start of a taint: the earliest known time of its unbroken presence on the node.
//   - Not-ready taints: node.kubernetes.io/not-ready and node.kubernetes.io/unreachable. The node lifecycle controller
//     swaps one for the other while a node is not ready.
//   - Not-ready period: the time in which a node is not ready and carries a not-ready taint. It spans swaps, and absences
//     of at most 60 s. The node lifecycle controller gives its taints no value. Taints of another value have a period of
//     their own.
//   - Absence: a time in which a node does not carry a taint that it carried before.
//   - Binding: when the pod came to its node. It is the later of the pod's creation and the transition time of
//     PodScheduled=True, and no later than when we first saw the pod bound. For a pod that is made with a nodeName, the
//     kubelet writes PodScheduled, by the clock of its node.
//   - Deadline: the time from which the pod must go. From then on the pod is due.
//   - API time: a time on the API server's clock. Objects carry whole seconds; a second counts as its end. Local times are
//     on the steady clock of package serverclock.
//   - Gap: a point at which changes of a node may have been missed, such as a relist, a restart or a live read.
//   - Confirmation: evidence that a node was still as it was last seen, at an API time.
//   - Record: what is stored of a node for the next process: the starts that the API objects do not show.
//
// # Guarantees
//
//   - A decision is never earlier than the rules of the Kubernetes API allow. A toleration counts only for taints that it
//     tolerates. Its seconds count from the later of the taint's start and the pod's binding.
//   - Arithmetic saturates: no tolerationSeconds overflows or panics. A deadline that the API cannot express (after the
//     year 9999) is no deadline.
//   - A toleration or taint that cannot be parsed (an unknown operator, a value that is not a number) tolerates nothing and
//     has no effect on others.
//
// # Rules
//
// For each taint, the first toleration in spec order that tolerates it counts, as in the built-in controller. Without a
// toleration, or with zero or negative seconds, the pod is due at once. Without tolerationSeconds, this taint never evicts
// the pod. The pod's deadline is the earliest over all taints. The decision names the taint and the toleration that it
// comes from.
//
// Left alone, always: mirror pods, pods that are being deleted, and pods on a node that does not exist. Left alone unless asked
// (see [Rules]): pods that have finished, which are those that are Succeeded, and those that are Failed after a container has
// started. A pod that its kubelet rejected is Failed without that, and goes.
//
// For not-ready taints another formula gives the deadline. Let K be the taint that is on, s(K) the seconds that the pod
// tolerates it, s(other) the seconds that it tolerates the other not-ready taint, period the start of the not-ready period,
// and own the time at which K replaced the other one. Then the deadline is
//
//	max(period + s(K), min(own + s(K), period + max(s(K), s(other))))
//
// where period and own are no earlier than the binding. With equal seconds a swap changes nothing. A pod that tolerates the
// earlier taint for ever has all of s(K) from the swap. No pod gains more than the longer of the two.
//
// The semantics of a single toleration are those of the API: see
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ and, for the operators Gt and Lt, KEP-5471.
package deadline
