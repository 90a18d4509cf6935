// Package startstore keeps, in one ConfigMap, the starts of taints that the API objects do not show (any more), so that a
// process that starts again does not begin their counts again: not-ready periods, whose taints a node lifecycle controller
// stamps again when it starts; taints without timeAdded on nodes whose list of taints has changed since; and taints whose
// timeAdded has been disproved.
//
// # Guarantees
//
//   - Nothing is written for a taint whose start its node shows. What is written is written by the leader, once a second at most.
//   - While a node is not ready, an annotation says up to when the entries were certainly so, to within half a minute. It is
//     not written otherwise.
//   - What is read is proposed to package taintstart, and counts only where the node proves it. What cannot be read or
//     understood is as if it were not there: in doubt the later time counts.
//   - The ConfigMap stays below the API's limit. Where there is too much to remember, the oldest starts are kept.
//
// The ConfigMap has to exist: nobody can be granted the creation of just one.
package startstore
