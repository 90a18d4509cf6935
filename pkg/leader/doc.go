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

// Package leader elects one of several replicas as the leader: client-go's leader election with a Lease, and a watch of that
// Lease.
//
// # Guarantees
//
//   - A replica leads only while it holds the Lease. It holds the Lease until its evictions in flight have ended, and then
//     releases it.
//   - A standby takes a released Lease at once, not at its next retry.
//   - A standby takes a Lease that is no longer renewed as soon as it expires, counted from the last renewal that the standby
//     saw.
//   - A replica that loses the Lease stands for election again, with warm caches.
//   - A replica whose caches are stale releases the Lease, and does not stand for election until they are up to date.
//   - If the holder is silent while the Lease is valid, one standby acts in its place. The holder is silent when two renewals
//     are missing, by the watch and by a read of the Lease. The standby acts only if pods are overdue. It stops when the
//     Lease is renewed, released or taken, or cannot be read.
//   - Times of other machines are compared only with each other, never with the own clock.
//
// The Lease is no fence: for a moment two replicas may lead. Whatever they do must tolerate that.
package leader
