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

// Package doctor says what is wrong with the set-up of taint-manager in a cluster, or with what it needs, and what to do.
//
// It is pure: [Examine] takes what was read of a cluster, and returns the same findings for the same input.
//
// # Guarantees
//
//   - Every check reports at least one finding: what is wrong, or that nothing is ([OK]), or that it could not be checked ([Unknown]) and why.
//     Nothing is guessed from what could not be read.
//   - An [Error] means that taint-manager does not do what it promises. A [Warning] means that it does, and something else will hurt. [Info] is
//     for what is worth knowing, and may be meant.
//   - Findings say what was seen, with the objects, and what to do.
//
// # To add a check
//
// A check is a function from a *[Cluster] to findings, in a file here that is named after what it is about, and a line in checks. What it reads
// that is not in [Cluster] yet is added there and in the plugin's reader. Its test shows the finding, and that there is none without the fault.
package doctor
