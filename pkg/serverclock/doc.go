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

// Package serverclock relates API times to local times.
//
// Comparing API times with the wall clock of this machine would make evictions early if that clock is ahead, and late if it
// is behind or is set. So no decision reads the wall clock. Local times are on a steady clock, to which API times are
// converted:
//
//   - [NewSteady] returns the steady clock: the wall clock when the process started, advanced by the monotonic clock.
//     Setting the wall clock does not move it.
//   - [Clock] estimates how far the API server's clock is ahead of the steady one, within a bound, from the Date header of
//     responses.
//
// # Guarantees
//
//   - The API server's clock lies within the bound, if its rate differs from ours by at most 200 parts per million and it is
//     not set. Each response bounds it from both sides: it was sent between the request and its arrival, and Date is
//     truncated to the second.
//   - In doubt the later time counts: [Clock.Local] returns the latest local time at which the API server's clock can have
//     shown a time, and [Clock.Earliest] the earliest that it can show at a local time.
//   - Several API servers may have different clocks, and a clock may be set. Responses that contradict the estimate are kept
//     as another clock for ten minutes. The clock that is furthest behind counts.
//   - Until a response had a Date, the two clocks are assumed equal.
package serverclock
