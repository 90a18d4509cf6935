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

// Package apitest is a model of the API server, in memory, for tests.
//
// A controller under test keeps its real client, informers and queues; only the transport is replaced. The model holds
// pods, nodes, Events, ConfigMaps, Leases, namespaces, PodDisruptionBudgets and TaintEvictionPolicies with their discovery, and does what the real server does where the controller depends on
// it: resource versions, lists in pages and from a stale watch cache, watches with field selectors, streaming lists, bookmarks and
// timeouts, JSON and protobuf, objects and their metadata alone, strategic and JSON merge patches, preconditions of deletes, graceful deletion, evictions under disruption budgets,
// managedFields of spec.taints, and the Date of answers by a clock of its own. It makes no system calls and starts no goroutine outside of
// its caller's bubble, so it works within testing/synctest.
//
// What is not in it are controllers and kubelets. ReconcileBudgets does what the disruption controller does, when a test calls it.
//
// Tests see every request, and may answer it in the model's place, have watches lag behind, or break them.
//
// Package e2e/conformance/model makes the same requests to the model and to a real API server, and compares the answers.
package apitest
