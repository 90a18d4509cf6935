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

// Package harness is what the black-box tests are made of: a control plane that they share, the controller under test as
// a process (ours or the built-in one, by the environment), and for each test a scene of its own with a namespace, nodes
// and a watch that knows when each pod began to go.
//
// Measuring. An action, such as tainting a node, happens at some instant between its request and the answer: a moment of package timing.
// A pod went at the latest when the watch told us, so "never early" compares the arrival of that event with the time just
// before the request was sent; "not late" compares it with the time of the answer.
//
// Waiting. Nothing here sleeps to let things happen: it waits for an event of the watch, or polls, until a deadline; and
// that nothing happens is seen by watching for a bounded time.
package harness
