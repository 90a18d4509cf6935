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
	"encoding/json"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// WorkloadFacts are what one should know of a pod before it goes.
type WorkloadFacts struct {
	// Controller is what makes the pod again, as Kind/name. Without one, nothing does.
	Controller string `json:"controller,omitempty"`
	// LocalData are volumes whose data goes with the pod or stays on its node.
	LocalData []string `json:"localData,omitempty"`
	// Replacement says whether another pod like it would find room on another node, and On the node that was found.
	Replacement Replacement `json:"replacement,omitempty"`
	On          string      `json:"on,omitempty"`
}

// Replacement says whether a pod finds room elsewhere. It is an estimate, by requests, taints, node selector and node affinity alone.
type Replacement string

const (
	// Fits says that there is room on another node.
	Fits Replacement = "Fits"
	// NoRoom says that no other node has room, or may have the pod.
	NoRoom Replacement = "NoRoom"
	// NoReplacement says that nothing makes the pod again, or it is made for its node only: a bare pod, or one of a DaemonSet.
	NoReplacement Replacement = "None"
)

// Workloads is what is read of pods beside what decisions read. Add takes nodes, then pods.
type Workloads struct {
	// planned are the nodes whose pods are described.
	planned map[string]bool
	// pods are by UID. Those that have all in common, as most of a ReplicaSet, share a workload.
	pods      map[types.UID]*workload
	workloads map[string]*workload
	shapes    map[string]*shape
	rooms     []*room
	byNode    map[string]*room
	// noRoom says that room is not known.
	noRoom bool
	// LocalClaims are the PersistentVolumeClaims whose volume is on one node.
	LocalClaims map[types.NamespacedName]bool
}

type workload struct {
	controller string
	daemon     bool
	local      []string
	claims     []types.NamespacedName
	shape      *shape
}

// shape is what scheduling reads of a pod. The pods of a ReplicaSet share one.
type shape struct {
	requests    amounts
	affinity    nodeaffinity.RequiredNodeAffinity
	tolerations []v1.Toleration
	// candidates are the nodes that may have such a pod, once known.
	candidates []*room
	looked     bool
}

// room is what a node has left.
type room struct {
	node *v1.Node // its name, labels and taints
	left amounts
}

// NewWorkloads returns workloads of pods on some nodes.
func NewWorkloads(nodes []string) *Workloads {
	w := &Workloads{planned: map[string]bool{}, pods: map[types.UID]*workload{}, workloads: map[string]*workload{}, shapes: map[string]*shape{}, byNode: map[string]*room{}}
	for _, node := range nodes {
		w.planned[node] = true
	}
	return w
}

// Add takes a node or a pod as the API has it, and keeps no reference to it.
func (w *Workloads) Add(object runtime.Object) {
	switch object := object.(type) {
	case *v1.Node:
		w.addNode(object)
	case *v1.Pod:
		w.addPod(object)
	}
}

func (w *Workloads) addNode(node *v1.Node) {
	kept := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels}}
	kept.Spec.Taints, kept.Spec.Unschedulable = node.Spec.Taints, node.Spec.Unschedulable
	r := &room{node: kept, left: amountsOf(node.Status.Allocatable)}
	w.rooms = append(w.rooms, r)
	w.byNode[node.Name] = r
}

func (w *Workloads) addPod(pod *v1.Pod) {
	if pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
		return
	}
	requests := amountsOf(resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true}))
	requests[v1.ResourcePods] = 1
	if on := w.byNode[pod.Spec.NodeName]; on != nil {
		on.left.subtract(requests)
	}
	if !w.planned[pod.Spec.NodeName] {
		return
	}
	one := &workload{shape: w.shape(pod, requests)}
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		one.controller, one.daemon = owner.Kind+"/"+owner.Name, owner.Kind == "DaemonSet"
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		switch {
		case volume.EmptyDir != nil && volume.EmptyDir.Medium != v1.StorageMediumMemory:
			one.local = append(one.local, "emptyDir "+volume.Name)
		case volume.HostPath != nil:
			one.local = append(one.local, "hostPath "+volume.HostPath.Path)
		case volume.PersistentVolumeClaim != nil:
			one.claims = append(one.claims, types.NamespacedName{Namespace: pod.Namespace, Name: volume.PersistentVolumeClaim.ClaimName})
		}
	}
	w.pods[pod.UID] = w.share(one)
}

// share returns the workload that is as another one, for both.
func (w *Workloads) share(one *workload) *workload {
	key := fmt.Sprintf("%p %s %q %q", one.shape, one.controller, one.local, one.claims)
	if known := w.workloads[key]; known != nil {
		return known
	}
	w.workloads[key] = one
	return one
}

// IgnoreRoom has nothing said about room on other nodes: it is not known, where not all nodes and pods were added.
func (w *Workloads) IgnoreRoom() { w.noRoom = true }

// HasClaims reports whether a pod has a PersistentVolumeClaim, so that LocalClaims are needed.
func (w *Workloads) HasClaims() bool {
	for _, one := range w.pods {
		if len(one.claims) > 0 {
			return true
		}
	}
	return false
}

// shape returns the shape of a pod.
func (w *Workloads) shape(pod *v1.Pod, requests amounts) *shape {
	var required *v1.NodeSelector
	if pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil {
		required = pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	key, err := json.Marshal([]any{requests, pod.Spec.NodeSelector, required, pod.Spec.Tolerations})
	if known := w.shapes[string(key)]; err == nil && known != nil {
		return known
	}
	s := &shape{requests: requests, tolerations: slices.Clone(pod.Spec.Tolerations), affinity: nodeaffinity.GetRequiredNodeAffinity(pod)}
	w.shapes[string(key)] = s
	return s
}

// amounts are amounts of resources: of CPU in thousandths.
type amounts map[v1.ResourceName]int64

func amountsOf(list v1.ResourceList) amounts {
	all := make(amounts, len(list))
	for name, quantity := range list {
		if all[name] = quantity.Value(); name == v1.ResourceCPU {
			all[name] = quantity.MilliValue()
		}
	}
	return all
}

func (a amounts) subtract(b amounts) {
	for name, amount := range b {
		a[name] -= amount
	}
}

// holds reports whether there is as much of each resource.
func (a amounts) holds(b amounts) bool {
	for name, amount := range b {
		if amount > 0 && a[name] < amount {
			return false
		}
	}
	return true
}
