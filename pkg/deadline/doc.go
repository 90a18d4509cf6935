// Package deadline decides whether, when and why a pod must leave a node that carries NoExecute taints.
//
// It is pure: [Decide] reads API objects and the evidence that it is given, never a clock, the network or a log, and gives
// the same answer for the same input. The controller, the live check right before a delete and the tests all call it, so
// there is one statement of the rules in this project.
//
// # Guarantees
//
//   - A decision is never earlier than the rules of the Kubernetes API allow: a toleration counts only for the taint that
//     it tolerates, and its seconds count from the later of the taint's start and the pod's binding.
//   - Arithmetic saturates: tolerationSeconds of any size neither wraps round nor panics. A deadline that the API could not
//     express (past the year 9999) is no deadline.
//   - A toleration or taint that cannot be understood (an unknown operator, a number that is none) tolerates nothing and
//     harms nothing else.
//
// # Rules
//
// For each NoExecute taint, the first toleration in spec order that tolerates it counts, and a longer one behind it has no
// effect, as in the built-in controller. No toleration: due at once. tolerationSeconds unset: this taint never evicts the
// pod. Zero or negative: due at once. The pod's deadline is the earliest over all taints, and the decision names the taint
// and the toleration that it comes from.
//
// node.kubernetes.io/not-ready and node.kubernetes.io/unreachable take turns while a node is not ready. For each of them
// that is on, with the seconds s(K) that the pod tolerates it and s(other) that it tolerates the other one, the start of
// the not-ready period and own, when K came on in place of the other, the deadline is
//
//	max(period + s(K), min(own + s(K), period + max(s(K), s(other))))
//
// with each start no earlier than the binding. So with equal seconds a swap changes nothing; who tolerates the earlier
// taint for ever has all of s(K) from the swap; and nobody gains more than the longer of the two.
//
// The semantics of a single toleration are those of the API: see
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ and, for the operators Gt and Lt, KEP-5471.
package deadline
