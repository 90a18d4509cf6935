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

// Package controlplane runs a real Kubernetes control plane as child processes of a test or of a developer's shell:
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, which plays the kubelets. It needs the Go
// toolchain and nothing else: no container engine, no root.
//
// What it guarantees:
//
//   - The servers are unmodified upstream programs of the versions pinned in the nested module "servers", or those
//     that $KUBEBUILDER_ASSETS holds. They are built once for each state of that module and kept in the user's cache
//     directory; a program in the cache is always complete, and two test binaries never build at the same time.
//   - VersionAssets makes the same of another released version of Kubernetes: in a module made from that version's own
//     go.mod, with the newest Go and the same etcd.
//   - Authentication and authorization are those of a cluster: each part has a client certificate of its own with the
//     identity that RBAC's bootstrap policy expects, admission plugins are the defaults, requests are subject to
//     priority and fairness. What is tested gets a service account and exactly the rules it is given.
//   - The built-in taint-eviction-controller is off unless a test asks for it.
//   - All listeners and all traffic are on the loopback interface. Traffic to etcd is plain HTTP there.
//   - Ports, certificates, keys and data outlive a restart of a part. Ports lie outside of the range from which the
//     kernel serves outgoing connections, so that nobody takes the port of a part that is down.
//   - Start returns when every part that was asked for answers its health check and the objects every cluster has are
//     there, or with an error that quotes the end of the failing part's log. After an error nothing is left running.
//   - Stop ends every process and removes every file. The same happens on SIGINT and SIGTERM. Should the process die
//     without that (a panic, a test timeout, SIGKILL), the kernel kills the children and a helper removes the files.
//
// It does not guarantee durability: etcd does not sync to disk, so data survives a killed part and not a killed
// machine.
package controlplane
