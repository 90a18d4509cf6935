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

// Package v1alpha1 has the API of policies: the custom resource TaintEvictionPolicy, which says how pods leave nodes with certain
// taints, and which pods stay.
//
// The CustomResourceDefinition is generated from these types. The API server validates by it, so an object that it has accepted
// obeys every rule that the comments state. It may be older than the rules of today.
//
// Two rules hold for all policies. No policy makes a pod go earlier than without one, but for taints that one names with the
// effect NoSchedule. And for a pod and a taint, one policy at a time applies: see TaintEvictionPolicySpec.MatchingPrecedence.
//
// +kubebuilder:object:generate=true
// +groupName=policy.taint-manager.io
package v1alpha1
