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

// Package startstore stores records (see package deadline) in one ConfigMap, so that a process that restarts does not restart
// countdowns. A record holds what the API objects do not show: not-ready periods, because a node lifecycle controller that
// starts sets the timeAdded of their taints again; starts of taints without timeAdded on nodes whose list of taints has
// changed since; and starts of taints whose timeAdded is disproved.
//
// # Guarantees
//
//   - Nothing is written for a taint whose start its node shows. Only the leader writes, once a second at most.
//   - Further annotations are written when they change. So what else is one per cluster has the same writer.
//   - While there is a not-ready period, an annotation holds the API time up to which the records are confirmed, to within
//     half a minute. It is not updated otherwise.
//   - Records that are read count only if package taintstart proves them by the node. What cannot be read or parsed is
//     ignored: in doubt the later time counts.
//   - The ConfigMap stays below the size limit of the API. If there is not enough room, the oldest starts are kept.
//
// The ConfigMap must exist, because the permission to create cannot be restricted to one name.
package startstore
