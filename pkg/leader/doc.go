// Package leader lets one of several replicas lead: leader election by a Lease, as of client-go, and a watch of that Lease.
//
// # Guarantees
//
//   - A replica leads only while it holds the Lease, and holds the Lease until its evictions in flight have ended. Then it
//     releases it.
//   - A Lease that was released is taken at once by one of those who stand by, not at the next look at it.
//   - A Lease that is not renewed any more is taken when it ends, counted from the last renewal that anybody could see.
//   - A replica that loses the Lease stands for election again, with its caches warm.
//   - A replica that is stale, by what it says of itself, gives the Lease up, and does not stand for election until it sees again.
//   - While the Lease goes on and its holder is silent, one standby acts in its place: when two renewals are missing by the watch and
//     by a read of the Lease, and something is overdue. It stops when the Lease is renewed, released or taken, or cannot be read.
//   - Times of other machines are compared with each other only, never with the own clock.
//
// The Lease fences nothing: for a moment two replicas may lead. What they do must bear that.
package leader
