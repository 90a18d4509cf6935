// Package taintstart knows since when a node has carried each of its NoExecute taints.
//
// Countdowns of tolerationSeconds begin when a taint was put on the node, and the API does not simply say when that was:
// `kubectl taint` sets no timeAdded, the node lifecycle controller sets it anew after each restart of its own, and a watch
// that was cut hides what happened meanwhile. This package weighs the evidence that there is:
//
//   - the taint's own timeAdded;
//   - the API server's time of the last change of spec.taints, from the managedFields entry that owns f:taints: the list is
//     atomic, so at that time every taint that is there now was there;
//   - the moment at which we saw the taint first.
//
// The earliest counts. Times of the API are cut to the second and count as the second's end; our own are exact.
//
// # Guarantees
//
//   - A start is never before the beginning of one unbroken presence of the taint's key, value and effect, unless timeAdded
//     itself says so. Another value is another taint.
//   - While the presence is seen without a gap, a start only ever moves to the earlier side: stamping timeAdded anew does not
//     begin a count again.
//   - node.kubernetes.io/not-ready and node.kubernetes.io/unreachable take turns while a node is ill; they are one illness
//     with one start. The illness goes on while its taints are off for up to a minute, if the Ready condition is not True
//     meanwhile: a node lifecycle controller that starts takes them off and puts them back.
//   - After a gap (a relist, a node that was deleted and made anew, a live read that is ahead of the watch) an older start
//     stands only where the object proves that the presence is unbroken; in doubt the later time counts.
//   - What the API objects do not show can be recorded, for a process that starts anew. A record counts as the version before
//     a gap does: only where the object proves that what it tells of is unbroken.
//   - Memory is held for nodes that carry NoExecute taints, or did a minute ago and are ill, and for no others.
//
// # Limits
//
// The API server makes managedFields before admission. A taint that a mutating admission plugin adds in a write of another
// field is dated by the change of the taints before it; that is noticed where the version without the taint was seen, and
// not after a restart.
package taintstart
