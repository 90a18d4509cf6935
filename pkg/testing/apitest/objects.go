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

package apitest

import (
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// Object is what the model stores: a *v1.Pod, *v1.Node, *v1.Event, *v1.ConfigMap, *v1.Namespace, *coordinationv1.Lease,
// *policyv1.PodDisruptionBudget or *v1alpha1.TaintEvictionPolicy.
type Object = object

// Put makes an object, or replaces the one of its name. An object without UID gets a new one. The model keeps it.
func (s *Server) Put(o Object) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if o.GetUID() == "" {
		o.SetUID(s.newUID(strings.ToLower(kinds[resourceOf(o)])))
	}
	s.store(resourceOf(o), generated(s.objects[resourceOf(o)][keyOf(o)], o))
}

// Remove takes an object away, by its kind, namespace and name.
func (s *Server) Remove(o Object) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if current := s.objects[resourceOf(o)][keyOf(o)]; current != nil {
		s.remove(resourceOf(o), current)
	}
}

func resourceOf(o Object) string {
	switch o.(type) {
	case *v1.Pod:
		return "pods"
	case *v1.Node:
		return "nodes"
	case *v1.ConfigMap:
		return "configmaps"
	case *coordinationv1.Lease:
		return "leases"
	case *policyv1.PodDisruptionBudget:
		return "poddisruptionbudgets"
	case *v1.Namespace:
		return "namespaces"
	case *v1alpha1.TaintEvictionPolicy:
		return policies
	default:
		return "events"
	}
}

// AddNode makes a node that is ready.
func (s *Server) AddNode(name string, taints ...v1.Taint) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.store("nodes", s.own(&v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: s.newUID("node")},
		Spec:       v1.NodeSpec{Taints: taints},
		Status: v1.NodeStatus{Conditions: []v1.NodeCondition{
			{Type: v1.NodeReady, Status: v1.ConditionTrue, LastTransitionTime: s.stamp()},
		}},
	}))
}

// Taint replaces the taints of a node, as kubectl does. The model notes the time in managedFields, cut to the second.
func (s *Server) Taint(name string, taints ...v1.Taint) {
	s.UpdateNode(name, func(node *v1.Node) {
		node.Spec.Taints = taints
		s.own(node)
	})
}

// UpdateNode changes a node.
func (s *Server) UpdateNode(name string, change func(*v1.Node)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	node := s.objects["nodes"]["/"+name].DeepCopyObject().(*v1.Node)
	change(node)
	s.store("nodes", node)
}

// stamp is the time as the API stores it.
func (s *Server) stamp() metav1.Time { return metav1.NewTime(s.Now()).Rfc3339Copy() }

// own notes in managedFields that the taints of a node were changed now.
func (s *Server) own(node *v1.Node) *v1.Node {
	node.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: "kubectl-taint", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:taints":{}}}`), Time: ptr.To(s.stamp()),
	}}
	return node
}

// RemoveNode deletes a node.
func (s *Server) RemoveNode(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.remove("nodes", s.objects["nodes"]["/"+name])
}

// AddPod makes a pod in the namespace "default" that is bound to a node, and returns its UID.
func (s *Server) AddPod(name, node string, change ...func(*v1.Pod)) types.UID {
	s.lock.Lock()
	defer s.lock.Unlock()
	now := s.stamp()
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: s.newUID("pod"), Generation: 1, CreationTimestamp: now},
		Spec:       v1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: ptr.To[int64](graceSeconds)},
		Status: v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{
			{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: now},
		}},
	}
	for _, c := range change {
		c(pod)
	}
	s.store("pods", pod)
	return pod.UID
}

// UpdatePod changes a pod in the namespace "default", if there is one.
func (s *Server) UpdatePod(name string, change func(*v1.Pod)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	current := s.objects["pods"]["default/"+name]
	if current == nil {
		return
	}
	pod := current.DeepCopyObject().(*v1.Pod)
	change(pod)
	s.store("pods", pod)
}

// RemovePod takes a pod in the namespace "default" away, terminating or not.
func (s *Server) RemovePod(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if o := s.objects["pods"]["default/"+name]; o != nil {
		s.remove("pods", o)
	}
}

// Pod is a pod in the namespace "default", or nil.
func (s *Server) Pod(name string) *v1.Pod {
	s.lock.Lock()
	defer s.lock.Unlock()
	pod, _ := s.objects["pods"]["default/"+name].(*v1.Pod)
	return pod.DeepCopy()
}

// Pods is the number of pods that are not terminating.
func (s *Server) Pods() (n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, o := range s.objects["pods"] {
		if o.GetDeletionTimestamp() == nil {
			n++
		}
	}
	return n
}

// Events are all Events about an object of a kind and name.
func (s *Server) Events(kind, name string) (events []*v1.Event) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, o := range s.objects["events"] {
		if e := o.(*v1.Event); e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name {
			events = append(events, e.DeepCopy())
		}
	}
	return events
}

// RemoveEvents takes all Events away, as when they expire.
func (s *Server) RemoveEvents() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, event := range s.objects["events"] {
		s.remove("events", event)
	}
}
