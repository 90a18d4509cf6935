// Package apitest is a model of the API server, in memory, for tests.
//
// A controller under test keeps its real client, informers and queues; only the transport is replaced. The model holds
// pods, nodes, Events, ConfigMaps and Leases, and does what the real server does where the controller depends on it: resource
// versions, lists in pages and from a stale watch cache, watches with field selectors, streaming lists, bookmarks and
// timeouts, JSON and protobuf, strategic merge patches, preconditions of deletes, graceful deletion, managedFields of spec.taints,
// and the Date of answers by a clock of its own. It makes no system calls and starts no goroutine outside of its caller's
// bubble, so it works within testing/synctest.
//
// Tests see every request, and may answer it in the model's place, have watches lag behind, or break them.
//
// Package e2e/conformance/model makes the same requests to the model and to a real API server, and compares the answers.
package apitest
