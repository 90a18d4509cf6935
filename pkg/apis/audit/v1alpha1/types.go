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
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// APIVersion is the apiVersion of the lines of this version.
	APIVersion = "audit.taint-manager.io/v1alpha1"
	// Kind is the kind of a line.
	Kind = "EvictionRecord"
)

// EvictionRecord is a line of the audit log: what became of the eviction of one pod, and everything that decided it.
//
// All times are of the API server's clock, as far as it is known. The API stores whole seconds, and the end of a second counts.
type EvictionRecord struct {
	metav1.TypeMeta `json:",inline"`

	// time is when it was known what became of the eviction.
	Time Time `json:"time"`
	// outcome is what became of the eviction.
	Outcome Outcome `json:"outcome"`
	// reason explains the outcome: why the pod had to go if it was evicted, and otherwise why not.
	Reason Reason `json:"reason"`
	// pod is the pod.
	Pod PodReference `json:"pod"`
	// owner is the owner of the pod that is its controller. It is absent where there is none, and where the pod was not read for this line:
	// of Cancelled and Previewed, and of Spared where the node was enough to decide.
	Owner *OwnerReference `json:"owner,omitempty"`
	// node is the node that the pod is bound to.
	Node string `json:"node"`

	// taint is the taint that the pod had to go for. It is absent where that was not known any more.
	Taint *Taint `json:"taint,omitempty"`
	// toleration is the toleration that tolerated the taint for a limited time. It is absent where none did.
	Toleration *v1.Toleration `json:"toleration,omitempty"`
	// policy is the policy by which the pod had to go. It is absent where none applied.
	Policy string `json:"policy,omitempty"`
	// mode is how the pod had to go, or Preview. It is absent where taint is.
	Mode Mode `json:"mode,omitempty"`
	// binding is when the pod came to its node. No toleration counts from before. It is absent where the pod was gone.
	Binding Time `json:"binding,omitzero"`
	// deadline is since when the pod had to go, or from when. It is absent where taint is.
	Deadline Time `json:"deadline,omitzero"`
	// held is what holds the pod back from going because of taints of its node: policies, or a dry run.
	// It is absent where nothing does.
	Held []Hold `json:"held,omitempty"`

	// latenessSeconds is the time from the deadline to the outcome, in seconds. It is absent unless the outcome is Evicted.
	LatenessSeconds *float64 `json:"latenessSeconds,omitempty"`
	// attempts is how many attempts were made. Each reads the node and the pod, and may end before it sends a DELETE or an eviction. 0 is
	// none: what the watch showed was enough.
	Attempts int32 `json:"attempts"`
	// delayedBy is what delayed the eviction. It is absent where nothing did.
	DelayedBy []Delay `json:"delayedBy,omitempty"`
	// gracePeriodSeconds is the grace period that a policy gave the pod. It is absent where the pod has its own.
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
	// conditionWritten is true if the pod had the condition DisruptionTarget of this reason (DeletionByTaintManager) when it was read last. It
	// is not written in mode Evict: the API server writes a condition of its own.
	ConditionWritten bool `json:"conditionWritten"`
	// budgetOverridden is true if the pod was deleted whatever its disruption budgets say, because its policy of mode Evict says so after a time
	// (deleteAfterSeconds).
	BudgetOverridden bool `json:"budgetOverridden"`
	// unversioned is true if the pod was deleted in whatever version it was, because it changed too often.
	Unversioned bool `json:"unversioned"`
	// answerLost is true if an earlier attempt sent a DELETE or an eviction, and no answer arrived that says what became of it. If the pod goes
	// then, that may be why.
	AnswerLost bool `json:"answerLost"`

	// dryRun is true if the process evicts nothing, because of --dry-run.
	DryRun bool `json:"dryRun"`
	// instance is the process that wrote the line. Where replicas elect a leader, it is the identity in the Lease.
	Instance string `json:"instance"`
	// leader is true if that process had the Lease. Otherwise it acted in the place of a leader that was silent.
	Leader bool `json:"leader"`
}

// PodReference names a pod.
type PodReference struct {
	// namespace is metadata.namespace.
	Namespace string `json:"namespace"`
	// name is metadata.name.
	Name string `json:"name"`
	// uid is metadata.uid. It is the identity of the pod: others may have had its name.
	UID types.UID `json:"uid"`
}

// OwnerReference names the owner of a pod.
type OwnerReference struct {
	// apiVersion is that of the owner.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the owner.
	Kind string `json:"kind"`
	// name is metadata.name of the owner.
	Name string `json:"name"`
	// uid is metadata.uid of the owner.
	UID types.UID `json:"uid"`
}

// Taint is a taint of the node, and since when it counts.
type Taint struct {
	// key is the key of the taint.
	Key string `json:"key"`
	// value is the value of the taint. It is absent where that is empty.
	Value string `json:"value,omitempty"`
	// effect is NoExecute, or NoSchedule for a taint that a policy has evict.
	Effect v1.TaintEffect `json:"effect"`
	// start is since when the taint counts. For node.kubernetes.io/not-ready and node.kubernetes.io/unreachable it is since when it was on in
	// place of the other one.
	Start Time `json:"start,omitzero"`
	// startFrom is what dates the start.
	StartFrom Source `json:"startFrom,omitempty"`
	// notReadyPeriod is the start of the not-ready period. It is absent for all but these two taints.
	NotReadyPeriod Time `json:"notReadyPeriod,omitzero"`
	// notReadyPeriodFrom is what dates the not-ready period.
	NotReadyPeriodFrom Source `json:"notReadyPeriodFrom,omitempty"`
}

// Hold is what holds a pod back from going because of a taint.
type Hold struct {
	// policy is the policy that holds the pod. It is absent where a dry run does.
	Policy string `json:"policy,omitempty"`
	// mode is Keep or Preview.
	Mode Mode `json:"mode"`
	// taint is the taint because of which the pod would go, as key=value:effect.
	Taint string `json:"taint"`
	// from is when the pod would go.
	From Time `json:"from"`
}
