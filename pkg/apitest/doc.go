// Package apitest is a model of the API server, in memory, for tests.
//
// A controller under test keeps its real client, informers and queues; only the transport is replaced. The model holds
// pods, nodes, Events and ConfigMaps, and does what the real server does where the controller depends on it: resource versions,
// list and watch with field selectors and streaming lists, strategic merge patches, preconditions of deletes, graceful
// deletion, managedFields of spec.taints. It makes no system calls and starts no goroutine outside of its caller's bubble,
// so it works within testing/synctest.
//
// Tests see every request, and may answer it in the model's place or have watches lag behind.
package apitest
