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

// Package explain says of the pods of a snapshot whether, when and why they go or went, in structs that a client prints or encodes.
//
// It is pure: a function takes a snapshot (package snapshot) and API objects, and returns the same result for the same input. Decisions are
// those of the snapshot, that is, of the code that evicts. Package explain only says them in words and numbers.
//
// # Guarantees
//
//   - Every result is an object of a kind in kubectl.taint-manager.io/v1alpha1, with JSON tags. Its times are API times. Its enumerations are
//     the constants of this package and of package deadline.
//   - What cannot be known is said to be unknown, with the reason: [Fate.AtLatest], [Fate.ModeUnknown] and the fields named Unread and Notes.
//     Nothing is guessed in its place.
//
// # To add a result
//
// A verb of the plugin has a file here that makes its result, of a type that embeds [Header], and a file in
// cmd/kubectl-taint_manager/app that reads a snapshot, calls it and prints the result. [FateOf] says what becomes of one pod: every verb
// shows pods by it, so that they agree.
package explain
