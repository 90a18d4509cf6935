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

// Package e2e has black-box tests: they run the built binary as a process against a real control plane, on one machine and
// as a service account with the permissions of a deployment, and look at nothing but the Kubernetes API, the endpoints that
// the binary serves and its log.
//
//	go test ./e2e/...                          the built binary
//	E2E_CONTROLLER=builtin go test ./e2e/...   kube-controller-manager's own controller, which fails many of them
//	TAINT_MANAGER_BINARY=F go test ./e2e/...   the binary F, instead of one built for the run
//	go run ./e2e/conformance/compare           the tests of the comparison table against both, as a table
//	go run ./e2e/conformance/versions          those that workloads rely on against other versions of Kubernetes, as a table
//
// Beside it are packages for other purposes:
//
//	framework     what tests and measuring programs share: a control plane, taint-manager as a process, a watch of pods
//	kind          tests on real kubelets
//	performance   what measures: storms of evictions, churn, scale
//	conformance   upstream's own cases, the comparison with the built-in controller, other versions of Kubernetes
//	demo          what "make demo" shows
//
// They import framework, which imports none of them.
//
// The tests are of four kinds. TestRow… are the rows of the comparison table: each measures, records what it saw (package
// results), and then asserts what is right. TestParity… are what the two controllers have in common. TestFault… break the
// control plane or the controller while many pods go, and end with the figures: how many had to go and are gone, and how many
// were deleted in error. The others are about what only taint-manager has. The last two are skipped for the other one.
//
// A test either shares one controller process with others, and runs at the same time as they (suite.Shared), or has the
// cluster to itself and starts its own (suite.Alone): a controller acts on all nodes, so two different ones never run at
// the same time.
package e2e
