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

// Package audit writes the audit log: one line of JSON for each eviction, and for each pod that was not evicted after all.
//
// Package apis/audit/v1alpha1 has what is in a line. Package tainteviction makes the lines.
//
// # Guarantees
//
//   - No eviction waits for the log for longer than 100 ms, and few do at all: a line goes into a buffer of 4,096 lines, which one goroutine
//     writes. Where the buffer is full, because the disk is slow or nobody reads the pipe, lines wait for room that long in all. After that they are
//     dropped at once, until half of the buffer is free again. So evictions go on at full speed beside a pipe that is stuck, or slow. Beside a disk
//     that writes 20,000 lines a second or more, which all do, a burst waits as long as it takes, and loses none.
//   - What is dropped is counted, and the log of the process says so.
//   - A write that fails is tried again every second, from the byte on that was not written, so a line is whole or, if the process ends, the
//     last one of its file. A later process begins a new line.
//   - Each line is written by itself and at once, without a buffer in between. It is in the page cache of the kernel then, and survives the end
//     of the process, however that ends, but not that of the machine: nothing is synced.
//   - At the end, what is in the buffer is written for 5 s at most.
//   - Memory is bounded by the buffer.
package audit
