// Package podcache has the compact objects that informers keep of pods and nodes, and the informers that keep them.
//
// A cluster has many more pods than evictions, so what is kept of each pod decides what the controller costs. Objects are
// distilled before the informer stores them: [Pod] and [Node] hold what the rules read, and nothing more.
//
// # Guarantees
//
//   - Only pods that are bound to a node are listed and watched.
//   - A distilled object shares no memory with the API object that it came from, so that one can be freed at once.
//   - Nothing that package deadline or package taintstart reads is lost: the time of the last change of the taints is
//     taken from managedFields before these are dropped.
//   - Lists are streamed where the API server can do that. Where it refuses, whatever the reason, or where that does not come to an end
//     within 45 s without another object, they are consistent lists in pages of 500; a page that has expired begins the list again in
//     pages. No list is read without a limit, or from the API server's cache, where older ones know no limit.
//   - However a list is read, it is distilled while it is read. Beside the distilled objects, no more is held than one page, or one
//     object of a stream, as the API server sent it. A pod that a list shows as it was is not kept a second time.
//   - An informer whose list makes no progress says so after 15 s, and one that is refused lists and watches after 90 s: see
//     [Source.Stale]. Pages that were read before, by a list that failed, are no progress.
//   - Each object knows when it reached us; a node knows too whether changes of it may have escaped us before.
package podcache
