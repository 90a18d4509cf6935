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

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

const (
	// ConditionAccepted is True if the spec is in force. It is False if the controller cannot use the spec; the last one that it could
	// use stays in force.
	ConditionAccepted = "Accepted"
	// ConditionEvictionInProgress is True while there are pods that the policy makes go, now or later, and False when there are none.
	ConditionEvictionInProgress = "EvictionInProgress"
)

// TaintEvictionPolicyStatus says what a policy does at the moment. It has counts, and no names: the names are in Events and in the log.
//
// +kubebuilder:validation:MinProperties=1
type TaintEvictionPolicyStatus struct {
	// conditions are Accepted and EvictionInProgress.
	// Accepted is True if the spec is in force, and False if the controller cannot use it; the last one that it could use stays in
	// force.
	// EvictionInProgress is True while there are pods that the policy makes go, now or later, and False when there are none.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the policy that the status is about. If metadata.generation is greater, the controller
	// has not seen the latest spec yet.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// scheduledPods is the number of pods that the policy makes go: those that are due and still there, and those that have a deadline.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ScheduledPods *int32 `json:"scheduledPods,omitempty"`

	// blockedPods is the number of scheduled pods that are due and that a disruption budget holds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BlockedPods *int32 `json:"blockedPods,omitempty"`

	// previewPods is the number of pods that mode Delete would make go, now or later, where the mode is Preview.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PreviewPods *int32 `json:"previewPods,omitempty"`

	// keptPods is the number of pods that would go without this policy, now or later, where the mode is Keep.
	// +optional
	// +kubebuilder:validation:Minimum=0
	KeptPods *int32 `json:"keptPods,omitempty"`

	// nodes is the number of nodes that the pods counted here are on.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Nodes *int32 `json:"nodes,omitempty"`
}
