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

// Package podcache provides informers of pods and nodes that keep compact objects.
//
// A cluster has many more pods than evictions, so the memory per cached pod decides what the controller costs. [Pod] and
// [Node] hold only what the rules read. API objects are converted before the informer stores them.
//
// # Guarantees
//
//   - Only pods that are bound to a node are listed and watched.
//   - A compact object shares no memory with the API object that it was made from, so that can be freed at once.
//   - Everything that packages deadline and taintstart read is kept. The time of the last change of the taints is taken
//     from managedFields before these are dropped.
//   - Lists are streamed if the API server supports it. If it refuses, or a stream delivers no object for 45 s before its
//     end, consistent lists in pages of 500 are used. If a page has expired, the list begins again. No list is read without
//     a limit, or from the API server's watch cache, where older versions ignore the limit.
//   - A list is converted while it is read. Besides the compact objects, at most one page or one object of a stream is held
//     as the API server sent it. A pod that a list shows unchanged is not stored a second time.
//   - An informer whose list makes no progress is stale after 15 s. One whose lists and watches are refused is stale after
//     90 s. Pages that an earlier, failed list read already are not progress. See [Source.Stale].
//   - Each object records when it reached us. A node also records whether there is a gap before it.
package podcache
