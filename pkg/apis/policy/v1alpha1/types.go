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

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TaintEvictionPolicy says how pods leave nodes with certain taints: deleted, evicted under their disruption budgets, only counted,
// or not at all. Without a policy, pods are deleted as soon as the API of taints and tolerations says that they must go.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=taintevictionpolicies,singular=taintevictionpolicy,scope=Cluster,shortName=tep
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name="Precedence",type=integer,JSONPath=`.spec.matchingPrecedence`,description="The lowest that matches applies."
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`,description="How pods go, or whether they stay."
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether the spec is in force."
// +kubebuilder:printcolumn:name="Scheduled",type=integer,JSONPath=`.status.scheduledPods`,description="Pods that this policy makes go, now or later."
// +kubebuilder:printcolumn:name="Blocked",type=integer,JSONPath=`.status.blockedPods`,description="Pods that are due and that a disruption budget holds."
// +kubebuilder:printcolumn:name="Preview",type=integer,JSONPath=`.status.previewPods`,description="Pods that mode Delete would make go."
// +kubebuilder:printcolumn:name="Kept",type=integer,JSONPath=`.status.keptPods`,description="Pods that would go without this policy."
// +kubebuilder:printcolumn:name="Nodes",type=integer,priority=1,JSONPath=`.status.nodes`,description="Nodes of all these pods."
// +kubebuilder:printcolumn:name="Expires",type=string,priority=1,JSONPath=`.spec.expireTime`,description="When the policy ceases to apply."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TaintEvictionPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the metadata of the object. Of policies with the same precedence, the name decides which comes first.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says which pods the policy applies to, and how they go.
	// +required
	Spec TaintEvictionPolicySpec `json:"spec,omitzero"`

	// status says what the policy does at the moment. The controller writes it; it may be some seconds old.
	// +optional
	Status TaintEvictionPolicyStatus `json:"status,omitzero"`
}

// TaintEvictionPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type TaintEvictionPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the policies.
	Items []TaintEvictionPolicy `json:"items"`
}

// Mode says how a pod goes.
//
// +kubebuilder:validation:Enum=Delete;Evict;Preview;Keep
type Mode string

const (
	// ModeDelete deletes pods, whatever their disruption budgets say.
	ModeDelete Mode = "Delete"
	// ModeEvict evicts pods by the eviction API, which enforces disruption budgets.
	ModeEvict Mode = "Evict"
	// ModePreview shows what ModeDelete would do, and does nothing.
	ModePreview Mode = "Preview"
	// ModeKeep makes pods stay.
	ModeKeep Mode = "Keep"
)

// TaintEvictionPolicySpec says which pods a policy applies to, and how they go. It applies to a taint of a node and a pod there if it
// matches all of: the taint (taints), the node (nodeSelector), the pod's namespace (namespaceSelector) and the pod (podSelector).
//
// +kubebuilder:validation:XValidation:rule="self.matchingPrecedence != 0 || self.mode == 'Keep'",fieldPath=".matchingPrecedence",reason=FieldValueForbidden,message="0 is for mode Keep alone: use 1 to 10000"
// +kubebuilder:validation:XValidation:rule="has(self.taints) || self.mode in ['Keep', 'Preview']",fieldPath=".taints",reason=FieldValueRequired,message="modes Delete and Evict need taints: only Keep and Preview may leave them out, and then apply to every NoExecute taint"
// +kubebuilder:validation:XValidation:rule="has(self.evict) || self.mode != 'Evict'",fieldPath=".evict",reason=FieldValueRequired,message="mode Evict needs evict: choose evict.deleteAfter, AfterSeconds or Never"
// +kubebuilder:validation:XValidation:rule="!has(self.evict) || self.mode == 'Evict'",fieldPath=".evict",reason=FieldValueForbidden,message="evict is for mode Evict alone: remove it, or set mode to Evict"
// +kubebuilder:validation:XValidation:rule="!has(self.gracePeriodSeconds) || self.mode in ['Delete', 'Evict']",fieldPath=".gracePeriodSeconds",reason=FieldValueForbidden,message="with mode Keep or Preview no pod goes: remove gracePeriodSeconds, or set mode to Delete or Evict"
// +kubebuilder:validation:XValidation:rule="!has(self.noticeSeconds) || self.mode in ['Delete', 'Evict']",fieldPath=".noticeSeconds",reason=FieldValueForbidden,message="with mode Keep or Preview no pod goes: remove noticeSeconds, or set mode to Delete or Evict"
// +kubebuilder:validation:XValidation:rule="!has(self.minTaintAgeSeconds) || self.mode != 'Keep'",fieldPath=".minTaintAgeSeconds",reason=FieldValueForbidden,message="with mode Keep no pod goes at any age of the taint: remove minTaintAgeSeconds, or set another mode"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Keep' || !has(self.taints) || self.taints.all(t, t.effect != 'NoSchedule') || (has(self.minTaintAgeSeconds) && self.minTaintAgeSeconds >= 5)",fieldPath=".minTaintAgeSeconds",reason=FieldValueRequired,message="a taint with effect NoSchedule needs minTaintAgeSeconds of 5 or more"
type TaintEvictionPolicySpec struct {
	// matchingPrecedence is a number from 0 to 10000. Where several policies match the same taint and pod, the one with the lowest
	// applies, as in a FlowSchema. Of those with the same number, those of mode Keep come first, and then the name decides, in lexical
	// order. 0 is for mode Keep alone, so that a policy that holds everything can come before all others.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MatchingPrecedence *int32 `json:"matchingPrecedence,omitempty"`

	// taints are what the policy is about: it matches a taint that one of them describes. There are at most 16. Modes Delete and Evict need
	// them. With Keep and Preview they may be left out. The policy then matches every NoExecute taint, also those that Kubernetes
	// puts on nodes that are not ready, but no NoSchedule taint.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Taints []TaintPattern `json:"taints,omitempty"`

	// nodeSelector selects nodes by their labels. If it is left out, the policy matches all nodes.
	// +optional
	NodeSelector *LabelSelector `json:"nodeSelector,omitempty"`

	// namespaceSelector selects the namespaces of pods by their labels. If it is left out, the policy matches pods of all namespaces.
	// The label kubernetes.io/metadata.name has a namespace's name.
	// +optional
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`

	// podSelector selects pods by their labels. If it is left out, the policy matches all pods.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`

	// minTaintAgeSeconds is for how long, in seconds, a taint has to be on the node before it makes any pod go: a taint that is taken
	// back earlier, because it was a mistake, does no harm. It only delays; tolerationSeconds count from the start of the taint as
	// ever. The default is 0. At least 5 is required where a taint has the effect NoSchedule, except in mode Keep, which does not
	// take this field.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	MinTaintAgeSeconds *int64 `json:"minTaintAgeSeconds,omitempty"`

	// mode says how the pods go, and has no default.
	// Delete deletes them, whatever their disruption budgets say, as without a policy.
	// Evict evicts them by the eviction API, which enforces disruption budgets; evict says for how long.
	// Preview does nothing to them. What Delete would do is counted in status and in metrics, logged, and told in Events that are
	// marked as a preview.
	// Keep does nothing to them: the taint makes them not go, as if they tolerated it for ever.
	// Where a pod must go because of another taint as well, to which another policy applies or none, it goes because of that one.
	// +required
	Mode Mode `json:"mode,omitempty"`

	// evict says for how long pods are evicted. It is required with mode Evict, and not allowed with another one.
	// +optional
	Evict EvictOptions `json:"evict,omitzero"`

	// gracePeriodSeconds is the longest time, in seconds, that pods get to shut down. It only shortens: a pod whose own
	// terminationGracePeriodSeconds are fewer keeps those. If it is left out, each pod has its own. 1 is the least, because 0 would
	// remove the pod from the API before its containers have stopped. It is not allowed with modes Keep and Preview.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	GracePeriodSeconds int64 `json:"gracePeriodSeconds,omitempty"`

	// noticeSeconds is how long before its deadline, in seconds, a pod gets an Event that announces it. Another Event withdraws it if
	// the pod need not go any more. A pod that is due at once, or sooner than that, gets none. If the field is left out, there are no
	// such Events. It is not allowed with modes Keep and Preview.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	NoticeSeconds int64 `json:"noticeSeconds,omitempty"`

	// expireTime is when the policy ceases to apply: from then on, pods go as if it did not exist. So no pod that it keeps goes
	// earlier than this. If it is left out, the policy applies until it is changed or deleted.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.getFullYear() > 0",message="must be a time in the format of RFC 3339, such as 2026-12-01T00:00:00Z"
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`
}

// TaintPattern describes taints.
//
// +kubebuilder:validation:XValidation:rule="self.effect != 'NoSchedule' || !self.key.endsWith('/*')",fieldPath=".key",reason=FieldValueForbidden,message="effect NoSchedule needs an exact key: a prefix would also match taints that are there to keep new pods away only"
// +kubebuilder:validation:XValidation:rule="self.effect != 'NoSchedule' || !(self.key.startsWith('kubernetes.io/') || self.key.contains('.kubernetes.io/'))",fieldPath=".key",reason=FieldValueForbidden,message="effect NoSchedule is not allowed for keys of kubernetes.io and its subdomains: Kubernetes marks cordoned nodes, nodes under pressure and control planes by such taints. Use a key of your own"
type TaintPattern struct {
	// key is the key of the taint, such as example.com/maintenance. A prefix and an asterisk, such as example.com/*, match every key
	// with this prefix, except those with the prefix node.kubernetes.io, which have to be named one by one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.indexOf('/') <= 253 && self != '*' && self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|[*])$')",message="must be the key of a taint, such as example.com/maintenance, or a prefix and an asterisk, such as example.com/*"
	// +kubebuilder:validation:XValidation:rule="self != 'node.kubernetes.io/*'",reason=FieldValueForbidden,message="taints of Kubernetes have to be named one by one, such as node.kubernetes.io/unreachable"
	Key string `json:"key,omitempty"`

	// value is the value of the taint. If it is left out, taints of all values match. An empty one matches taints without a value.
	// +optional
	Value *LabelValue `json:"value,omitempty"`

	// effect is the effect of the taint: NoExecute, which is the default, or NoSchedule.
	// NoSchedule makes the taint evict as if its effect were NoExecute: also pods that run already and that would stay without this
	// policy. A pod tolerates it with a toleration of either effect, and the tolerationSeconds of one with NoExecute count. Time
	// counts from the start of the taint, but not from before the policy named it. It needs an exact key that is not one of
	// kubernetes.io or its subdomains, and minTaintAgeSeconds of 5 or more. kube-controller-manager leaves such taints alone, so
	// this works where its own taint eviction controller cannot be switched off.
	// +optional
	// +default="NoExecute"
	// +kubebuilder:validation:Enum=NoExecute;NoSchedule
	Effect corev1.TaintEffect `json:"effect,omitempty"`
}

// DeleteAfter says whether a pod is deleted that could not be evicted.
//
// +kubebuilder:validation:Enum=AfterSeconds;Never
type DeleteAfter string

const (
	// AfterSeconds deletes the pod some seconds after its deadline.
	AfterSeconds DeleteAfter = "AfterSeconds"
	// Never evicts for as long as it takes.
	Never DeleteAfter = "Never"
)

// EvictOptions says for how long pods are evicted.
//
// +kubebuilder:validation:XValidation:rule="has(self.deleteAfterSeconds) || self.deleteAfter != 'AfterSeconds'",fieldPath=".deleteAfterSeconds",reason=FieldValueRequired,message="deleteAfter AfterSeconds needs deleteAfterSeconds"
// +kubebuilder:validation:XValidation:rule="!has(self.deleteAfterSeconds) || self.deleteAfter == 'AfterSeconds'",fieldPath=".deleteAfterSeconds",reason=FieldValueForbidden,message="with deleteAfter Never no pod is deleted: remove deleteAfterSeconds, or set deleteAfter to AfterSeconds"
type EvictOptions struct {
	// deleteAfter says what happens to a pod that a disruption budget holds for long, and has no default.
	// AfterSeconds deletes it deleteAfterSeconds after its deadline, whatever its budget says.
	// Never leaves it to its budget: a node is then not empty until each budget allows it.
	// +required
	DeleteAfter DeleteAfter `json:"deleteAfter,omitempty"`

	// deleteAfterSeconds is how long after its deadline, in seconds, a pod is deleted that is still there. It is required with
	// deleteAfter AfterSeconds, and not allowed with Never. Times of the API decide, so that it survives restarts of the controller.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	DeleteAfterSeconds int64 `json:"deleteAfterSeconds,omitempty"`
}
