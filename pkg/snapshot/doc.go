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

// Package snapshot holds what a client has read of a cluster at one moment, and decides about its pods as taint-manager would that starts at
// that moment: by the same packages, from the same evidence.
//
// [Reader.Read] reads it, with read permissions only and in pages of 500; [New] makes one of objects that were read otherwise. Nothing in a
// snapshot changes after that, and it is safe for concurrent use.
//
// # Guarantees
//
//   - Decisions come from policy.Rules, starts of taints from taintstart.Tracker and the records in the ConfigMap. There is no second
//     implementation of a rule here.
//   - What could not be read is in [Snapshot.Unread], with what cannot be known because of that. Nothing is assumed in its place.
//   - What only the process of the controller knows is not here: when it first saw a taint that neither the API nor the ConfigMap dates, a
//     version of a policy that it had accepted before one that is not valid, and whether its brake would hold a pod. [Evidence.Known] is
//     false for such a start.
//   - Pods are compact, as those of the controller. Of a whole list, no more than one page is held as the API server sent it.
//   - Times in a snapshot are local, as they are in the controller; [Snapshot.API] converts to API times, for display.
package snapshot
