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

package simulation

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	ownsTaints = `{"f:spec":{"f:taints":{}}}`
	ownsLabels = `{"f:metadata":{"f:labels":{}}}`
	ownsCordon = `{"f:spec":{"f:unschedulable":{}}}`
	ownsStatus = `{"f:status":{"f:conditions":{}}}`
)

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

func (s *sim) anyNode() string { return nodeName(s.rng.IntN(s.plan.nodes)) }

// node is a copy of a node, or nil.
func (s *sim) node(name string) *v1.Node {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.history.node(name).DeepCopy()
}

// stamp is the API server's time, as it is stored.
func (s *sim) stamp() metav1.Time {
	return metav1.NewTime(s.api.Now().UTC().Truncate(time.Second))
}

// written is the time of another writer, by a clock of its own, which is about that of the API server.
func (s *sim) written() metav1.Time {
	skew := time.Duration(0)
	if s.plan.writerSkew > 0 && s.rng.IntN(2) == 0 {
		skew = about(s.rng, s.plan.writerSkew)
	}
	return metav1.NewTime(s.api.Now().Add(skew).UTC().Truncate(time.Second))
}

// writtenBy is the time of a writer whose clock is wrong by the same all the time.
func (s *sim) writtenBy(writer string) metav1.Time {
	skew := time.Duration(0)
	if r := dice(s.seed, writer, 0); s.plan.writerSkew > 0 && r.IntN(2) == 0 {
		skew = about(r, s.plan.writerSkew)
	}
	return metav1.NewTime(s.api.Now().Add(skew).UTC().Truncate(time.Second))
}

// addNode makes a node that is ready.
func (s *sim) addNode(name string, taints ...v1.Taint) {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, LastTransitionTime: s.stamp()}}
	node.Spec.Taints = taints
	if s.plan.policies.on && s.chance.IntN(3) > 0 {
		node.Labels = map[string]string{"pool": one(s, "x", "y")}
	}
	s.own(node, "kubelet", "status", ownsStatus)
	s.putNode(node, "kubectl", ownsTaints, "is made")
}

func (s *sim) removeNode(name string) {
	s.note(name, "is removed")
	s.api.Remove(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// own notes in managedFields who wrote what. An empty list of taints is not there, and has no owner.
func (s *sim) own(node *v1.Node, manager, subresource, fields string) {
	if s.plan.noManagedFields {
		return
	}
	node.ManagedFields = slices.DeleteFunc(node.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.FieldsV1.GetRawString() == fields
	})
	if fields == ownsTaints && len(node.Spec.Taints) == 0 {
		return
	}
	node.ManagedFields = append(node.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields), Time: ptr.To(s.stamp()), Subresource: subresource,
	})
}

// putNode writes a node by a manager that changed some fields.
func (s *sim) putNode(node *v1.Node, manager, fields, why string) {
	subresource := ""
	if fields == ownsStatus {
		subresource = "status"
	}
	s.own(node, manager, subresource, fields)
	taints := ""
	for _, taint := range node.Spec.Taints {
		taints += " " + taint.ToString()
		if taint.TimeAdded != nil {
			taints += "@" + s.clock(taint.TimeAdded.Time)
		}
	}
	s.note(node.Name, "%s; Ready %s; taints%s", why, node.Status.Conditions[0].Status, taints)
	s.api.Put(node)
}

// setReady changes the Ready condition.
func (s *sim) setReady(name string, status v1.ConditionStatus) {
	node := s.node(name)
	if node == nil {
		return
	}
	if ready := &node.Status.Conditions[0]; ready.Status != status {
		// The kubelet says that a node is ready or not, and the node lifecycle controller that nothing is heard of it.
		writer := "kubelet " + name
		if status == v1.ConditionUnknown {
			writer = "node lifecycle controller"
		}
		ready.Status, ready.LastTransitionTime = status, s.writtenBy(writer)
	}
	s.putNode(node, "kubelet", ownsStatus, "reports status")
}

// setTaint puts a taint on a node, in place of one of the same key. timeAdded is nil, or what to say.
func (s *sim) setTaint(name, key, value string, timeAdded *metav1.Time) {
	node := s.node(name)
	if node == nil {
		return
	}
	taint := v1.Taint{Key: key, Value: value, Effect: v1.TaintEffectNoExecute, TimeAdded: timeAdded}
	if i := slices.IndexFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == key }); i >= 0 {
		node.Spec.Taints[i] = taint
	} else {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	s.putNode(node, "kubectl", ownsTaints, "gets a taint")
}

// dropTaints takes taints off a node.
func (s *sim) dropTaints(name string, which func(v1.Taint) bool) {
	node := s.node(name)
	if node == nil || !slices.ContainsFunc(node.Spec.Taints, which) {
		return
	}
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, which)
	s.putNode(node, "kubectl", ownsTaints, "loses taints")
}

// notReadyKey is the taint that the node lifecycle controller puts on a node, by its Ready condition.
func notReadyKey(node *v1.Node) string {
	switch node.Status.Conditions[0].Status {
	case v1.ConditionFalse:
		return v1.TaintNodeNotReady
	case v1.ConditionUnknown:
		return v1.TaintNodeUnreachable
	default:
		return ""
	}
}

// reconcileNotReady does what the node lifecycle controller does: add the taint that fits, then remove the other.
func (s *sim) reconcileNotReady(name string) {
	node := s.node(name)
	if node == nil {
		return
	}
	want := notReadyKey(node)
	if want != "" && !slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == want }) {
		s.setTaint(name, want, "", ptr.To(s.writtenBy("node lifecycle controller")))
		s.moment()
	}
	s.dropTaints(name, func(t v1.Taint) bool { return isNotReadyTaint(t) && t.Key != want })
}

// moment lets a moment pass between two writes of one writer, at times.
func (s *sim) moment() {
	if s.rng.IntN(2) == 0 {
		time.Sleep(time.Duration(1 + s.rng.Int64N(int64(300*time.Millisecond))))
	}
}
