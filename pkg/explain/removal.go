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

package explain

import (
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Removal says who removed a pod, or asked for it, as far as the pod and Events about it tell.
type Removal struct {
	// By is who it was, in words. Ours is true for taint-manager.
	By   string `json:"by"`
	Ours bool   `json:"ours,omitempty"`
	// At is when it said so, and From what says so: the condition DisruptionTarget, an Event, or the status of the pod.
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
	// Message is what it said.
	Message string `json:"message,omitempty"`
}

// remover is who uses a reason. An Event also names its reporter.
type remover struct{ reason, reporter, by string }

// byCondition are the reasons of the condition DisruptionTarget in Kubernetes. The built-in controller and taint-manager have the same one,
// by contract.
func byCondition() []remover {
	return []remover{
		{reason: "DeletionByTaintManager", by: "taint-manager, or the taint eviction controller of kube-controller-manager: a NoExecute taint"},
		{reason: "DeletionByDeviceTaintManager", by: "the device taint eviction controller: a taint on a device that the pod uses"},
		{reason: "EvictionByEvictionAPI", by: "a client of the eviction API, such as kubectl drain, an autoscaler, or taint-manager by a policy of mode Evict"},
		{reason: v1.PodReasonPreemptionByScheduler, by: "kube-scheduler: a pod of higher priority needed the room"},
		{reason: v1.PodReasonTerminationByKubelet, by: "the kubelet: the node ran short of a resource, or was shut down"},
		{reason: "DeletionByPodGC", by: "pod garbage collection: the node of the pod is gone or out of service"},
	}
}

// byEvent are the reasons of Events.
func byEvent() []remover {
	return []remover{
		{"TaintManagerEviction", "taint-manager", "taint-manager: a taint"},
		{"TaintManagerEviction", "", "the taint eviction controller of kube-controller-manager: a NoExecute taint"},
		{"DeviceTaintManagerEviction", "", "the device taint eviction controller: a taint on a device that the pod uses"},
		{"Preempted", "", "kube-scheduler: a pod of higher priority needed the room"},
		{"Preempting", "kubelet", "the kubelet: a critical pod needed the room"},
		{"Evicted", "kubelet", "the kubelet: the node ran short of a resource"},
	}
}

// RemovalOf returns who removed a pod, or asks for it. pod is nil if it is gone. It returns nil if nobody is known.
func RemovalOf(pod *v1.Pod, events []Event) *Removal {
	cancelled := map[string]bool{} // by reason
	for _, event := range events { // the last first
		if strings.HasPrefix(event.Message, "Cancelling deletion") { // what came before does not hold any more
			cancelled[event.Reason] = true
		}
		for _, who := range byEvent() {
			if event.Reason == who.reason && (who.reporter == "" || who.reporter == event.Reporter) && !cancelled[event.Reason] {
				return &Removal{
					By: who.by, Ours: who.reporter == "taint-manager", At: event.Last, From: "Event", Reason: event.Reason, Message: event.Message,
				}
			}
		}
	}
	if pod == nil {
		return nil
	}
	i := slices.IndexFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
		return c.Type == v1.DisruptionTarget && c.Status == v1.ConditionTrue
	})
	if i < 0 {
		return nil
	}
	condition := &pod.Status.Conditions[i]
	removal := &Removal{
		By: "unknown", At: condition.LastTransitionTime.UTC(), From: "condition DisruptionTarget", Reason: condition.Reason, Message: condition.Message,
	}
	for _, who := range byCondition() {
		if who.reason == condition.Reason {
			removal.By = who.by
		}
	}
	return removal
}
