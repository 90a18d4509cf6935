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

package taintstart

import (
	"reflect"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func apiTime(seconds float64) *metav1.Time {
	t := metav1.NewTime(at(seconds))
	return &t
}

func entry(manager, subresource string, seconds float64, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Subresource: subresource, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields), Time: apiTime(seconds),
	}
}

func TestObserve(t *testing.T) {
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "7", ManagedFields: []metav1.ManagedFieldsEntry{
			entry("kubelet", "", 1, `{"f:metadata":{"f:labels":{"f:taints":{}}},"f:spec":{"f:providerID":{}}}`),
			entry("kubectl-taint", "", 20, `{"f:spec":{"f:taints":{}}}`),
			entry("kubelet", "status", 40, `{"f:status":{"f:taints":{}}}`),
		}},
		Spec: v1.NodeSpec{Taints: []v1.Taint{
			{Key: "soft", Effect: v1.TaintEffectPreferNoSchedule},
			{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule},
			{Key: "kubernetes.io/x", Effect: v1.TaintEffectNoSchedule},
			{Key: "a", Value: "x", Effect: v1.TaintEffectNoSchedule, TimeAdded: apiTime(7)},
			{Key: "a", Value: "x", Effect: v1.TaintEffectNoExecute, TimeAdded: apiTime(19)},
			{Key: "b", Effect: v1.TaintEffectNoExecute},
			{Key: "a", Value: "x", Effect: v1.TaintEffectNoExecute},
			{Key: "a", Value: "x", Effect: v1.TaintEffectNoExecute, TimeAdded: apiTime(18)},
		}},
		Status: v1.NodeStatus{Conditions: []v1.NodeCondition{
			{Type: v1.NodeDiskPressure, Status: v1.ConditionFalse, LastTransitionTime: *apiTime(2)},
			{Type: v1.NodeReady, Status: v1.ConditionUnknown, LastTransitionTime: *apiTime(15)},
		}},
	}
	want := Observation{
		UID: "u", ResourceVersion: "7", Seen: at(50), List: 3,
		Taints:  []Taint{{Key: "a", Value: "x", NoSchedule: true, TimeAdded: at(7)}, {Key: "a", Value: "x", TimeAdded: at(18)}, {Key: "b"}},
		Changed: at(20), Written: at(40), NotReadySince: at(15), NotReady: v1.ConditionUnknown,
	}
	if got := Observe(node, at(50), 3); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	node.Status.Conditions[1].Status = v1.ConditionTrue
	if got := Observe(node, at(50), 3); !got.NotReadySince.IsZero() {
		t.Errorf("a ready node is not ready since %v", got.NotReadySince)
	}
	node.Spec.Taints = node.Spec.Taints[:1]
	if got := Observe(node, at(50), 3); !reflect.DeepEqual(got, Observation{UID: "u", ResourceVersion: "7", Seen: at(50), List: 3, Changed: at(20), Written: at(40)}) {
		t.Errorf("of a node without such taints: %+v", got)
	}
}

func TestChangeOfTaints(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    time.Time
	}{
		{"nobody owns them", []metav1.ManagedFieldsEntry{entry("a", "", 5, `{"f:spec":{"f:unschedulable":{}}}`)}, time.Time{}},
		{"no entries", nil, time.Time{}},
		{"their owner", []metav1.ManagedFieldsEntry{entry("a", "", 5, `{"f:spec":{".":{},"f:taints":{}}}`)}, at(5)},
		{"two that agree by server-side apply: the later", []metav1.ManagedFieldsEntry{
			entry("a", "", 5, `{"f:spec":{"f:taints":{}}}`), entry("b", "", 9, `{"f:spec":{"f:taints":{}}}`)}, at(9)},
		{"the owner of a subresource is no owner", []metav1.ManagedFieldsEntry{entry("a", "status", 5, `{"f:spec":{"f:taints":{}}}`)}, time.Time{}},
		{"fields that cannot be read", []metav1.ManagedFieldsEntry{entry("a", "", 5, `"f:taints"{`)}, time.Time{}},
		{"no fields", []metav1.ManagedFieldsEntry{{Manager: "a", Time: apiTime(5)}}, time.Time{}},
		{"no time", []metav1.ManagedFieldsEntry{{Manager: "a", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:taints":{}}}`)}}, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := writeTimes(test.entries); !got.Equal(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
