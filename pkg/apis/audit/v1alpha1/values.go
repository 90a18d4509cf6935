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

// Outcome is what became of an eviction.
type Outcome string

const (
	// OutcomeEvicted says that the API server accepted the deletion or the eviction of the pod.
	OutcomeEvicted Outcome = "Evicted"
	// OutcomeCancelled says that the pod was scheduled to go, and need not go any more, by what the watch showed.
	OutcomeCancelled Outcome = "Cancelled"
	// OutcomeSpared says that the pod was due, and need not go, or goes already, by the read of the node and the pod right before its eviction.
	OutcomeSpared Outcome = "Spared"
	// OutcomePreviewed says that the pod would go, but for a policy of mode Preview or a dry run. It is written when that begins, before the
	// deadline; again when what holds the pod back changes, and by each process that begins to lead.
	OutcomePreviewed Outcome = "Previewed"
)

// Reason explains an outcome.
type Reason string

const (
	// ReasonUntolerated says that no toleration of the pod tolerates the taint.
	ReasonUntolerated Reason = "Untolerated"
	// ReasonTolerationEnds says that the pod tolerates the taint for a limited time.
	ReasonTolerationEnds Reason = "TolerationEnds"

	// ReasonNoTaint says that the node carries no taint any more that evicts, or does not exist any more.
	ReasonNoTaint Reason = "NoTaint"
	// ReasonTolerated says that the pod tolerates all taints of the node for ever.
	ReasonTolerated Reason = "Tolerated"
	// ReasonHeldByPolicy says that the pod would go, but for what is in held.
	ReasonHeldByPolicy Reason = "HeldByPolicy"
	// ReasonTerminating says that the pod is being deleted already, by somebody else or by another replica.
	ReasonTerminating Reason = "Terminating"
	// ReasonGone says that the pod does not exist any more.
	ReasonGone Reason = "Gone"
	// ReasonNameReused says that the pod does not exist any more, and another pod has its name.
	ReasonNameReused Reason = "NameReused"
	// ReasonFinished says that the pod has finished. Finished pods are left alone without --evict-finished-pods.
	ReasonFinished Reason = "Finished"
	// ReasonMirrorPod says that the pod is a mirror pod, which is left alone.
	ReasonMirrorPod Reason = "MirrorPod"
)

// Mode is how a pod goes, or what holds it.
type Mode string

const (
	// ModeDelete says that the pod is deleted, whatever its disruption budgets say.
	ModeDelete Mode = "Delete"
	// ModeEvict says that the pod is evicted by the eviction API, under its disruption budgets.
	ModeEvict Mode = "Evict"
	// ModePreview says that the pod stays, and is shown.
	ModePreview Mode = "Preview"
	// ModeKeep says that the pod stays.
	ModeKeep Mode = "Keep"
)

// Source is what dates the start of a taint.
type Source string

const (
	// SourceTimeAdded is the timeAdded of the taint.
	SourceTimeAdded Source = "TimeAdded"
	// SourceManagedFields is the API server's time of the last change of spec.taints.
	SourceManagedFields Source = "ManagedFields"
	// SourceConfigMap is what an earlier process has stored (--taint-start-configmap).
	SourceConfigMap Source = "ConfigMap"
	// SourceFirstSight is when the process first saw the taint. The time is an estimate of what the API server's clock showed then.
	SourceFirstSight Source = "FirstSight"
)

// Delay is what delayed an eviction.
type Delay string

const (
	// DelayFailures says that attempts failed: the API server refused them, or could not be reached.
	DelayFailures Delay = "Failures"
	// DelayBudget says that disruption budgets did not allow the eviction, or others of the budget went first.
	DelayBudget Delay = "DisruptionBudget"
	// DelayHold says that the eviction brake or the pace of nodes held the pod.
	DelayHold Delay = "Hold"
)
