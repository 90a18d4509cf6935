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

// Package policy reads TaintEvictionPolicies, and makes of them what package deadline decides by.
//
// # Guarantees
//
//   - Policies apply in one order: the lowest matchingPrecedence first, at equal precedence those of mode Keep first, then by name.
//   - A change of a policy is known as soon as the watch delivers it. Source.Changed tells.
//   - A version that cannot be decoded, or is not valid, does not take the place of one that was accepted. If none was, a policy takes its
//     place that keeps the pods on nodes with its taints, whatever it selects; or with all NoExecute taints, if its taints cannot be read. The
//     API server validates by the CustomResourceDefinition, which may be of another version than this program.
//   - A policy that is deleted is gone, whoever deleted it. Another one of the same name has nothing of it.
//   - Discovery says whether there are policies. Where the API server serves none, there are none; it is asked again every 10 s. Where it
//     cannot be asked, or where policies may not be listed, nothing is known: HasSynced is false until they have been read once, and after
//     that the policies that were read last apply. Where policies come to be served that may not be listed, or cannot be, a policy without a name
//     stands for them that keeps all pods, and HasSynced is false, until they are read or not served any more.
//   - Policies and namespaces are listed as they are at that moment, and not by streaming lists: a proxy that keeps the bookmark to itself
//     that ends one does not keep a replica from being ready.
//   - The labels of namespaces are read once a policy selects by them. A namespace whose labels are not known yet does not match another
//     policy by accident: deadline.Decide keeps its pods.
//   - The status of policies has one writer, the holder of the Lease. A Tally counts the pods that policies have to do with, and no others.
package policy
