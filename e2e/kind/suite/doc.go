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

// Package suite is the end-to-end tests on a kind cluster, with real kubelets: run it by make e2e, which makes the cluster
// and deploys us. Its tests have the build tag kind, so that "go test ./..." leaves them out.
//
// Measuring. An action, such as tainting a node, happens at some instant between its request and the answer: a moment. A
// pod went at the latest when the watch told us, so "never early" compares the arrival of that event with the time just
// before the request; "not late" compares it with the time of the answer.
//
// Sharing. Tests that only taint workers and watch their own pods run at the same time: each has a namespace and a taint
// key of its own, and its pods tolerate the keys of all others. Tests that kill a worker, restart our Deployment or change
// the control plane run alone; they leave everything as they found it, also when they fail.
//
// TestWalkthrough has a cluster for itself, because it begins where nobody has installed us yet.
//
// Waiting. Nothing sleeps to let things happen: tests wait for an event of a watch, or poll, until a deadline; and that
// nothing happens is seen by watching for a bounded time.
package suite
