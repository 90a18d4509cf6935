// Package taintstart knows since when a node has carried each of its NoExecute taints.
//
// Countdowns of tolerationSeconds begin when a taint was put on the node, and the API does not simply say when that was:
// `kubectl taint` sets no timeAdded, the node lifecycle controller sets it again after each restart of its own, and a watch
// that was cut hides what happened meanwhile. This package resolves starts from the evidence that there is:
//
//   - the taint's own timeAdded;
//   - the API server's time of the last change of spec.taints, from the managedFields entry that owns f:taints: the list is
//     atomic, so at that time every taint that is there now was there;
//   - the moment at which we saw the taint first.
//
// The earliest counts. Times of the API are cut to the second and count as the second's end, on the API server's clock (see
// package serverclock); our own are exact.
//
// # Guarantees
//
//   - A start is never before the beginning of one unbroken taintState of the taint's key, value and effect, unless timeAdded
//     itself says so. Another value is another taint.
//   - A timeAdded from before the last version that we saw without the taint is disproved, and does not count, for as long as
//     the taintState lasts: a writer has put back an old one, or its clock is behind. Nor does a change of spec.taints that is
//     no later than the one that this version showed: an admission plugin has added the taint in another write.
//   - While the taintState is seen without a gap, a start only ever moves to the earlier side: stamping timeAdded again does not
//     begin a count again.
//   - After a gap (a relist, a node that was deleted and made again, a live read that is ahead of the watch) an older start
//     stands only where the object proves that the taintState is unbroken; in doubt the later time counts.
//   - What the API objects do not show can be recorded, for a process that starts again. A record counts as the version before
//     a gap does: only where the object proves that what it tells of is unbroken, by an equal resourceVersion or an equal time
//     of the last change.
//   - Memory is held for nodes that carry NoExecute taints, or did a minute ago and are not ready, and for no others.
//
// # Not-ready periods
//
// node.kubernetes.io/not-ready and node.kubernetes.io/unreachable take turns while a node is not ready. The period has a start
// of its own. Each of the two that is on has one too: when it came on in place of the other, or the period's start where the
// other has not been on since. The period goes on over an absence of both taints of at most 60 s with the Ready condition not
// True: a node lifecycle controller that starts takes them off and puts them back. A longer absence begins a new one.
//
// The API does not date the removal of a last taint, but it numbers it. So an absence is measured from the last time that is
// known to be before the removal's resourceVersion: the time of a write that any node shows, or of a consistent read of limit
// 1, which is wanted where nothing else has told the time for 20 s. Over a gap it is measured from the last such time up to
// which everything had been observed, by the events and bookmarks of one unbroken watch; over a restart, from the one that
// was recorded. It ends with the change of spec.taints that brought the taints back. Where that leaves more than 60 s open,
// a new period begins.
package taintstart
