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

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// selectors are the selectors of a policy's, each for the objects of one group: in each way there is of selecting.
func selectors() map[string]string {
	return map[string]string{
		"labels":  "{matchLabels: {group: labels, also: a}}",
		"in":      "{matchExpressions: [{key: group, operator: In, values: [in]}, {key: in, operator: In, values: [a, b]}]}",
		"not-in":  "{matchExpressions: [{key: group, operator: In, values: [not-in]}, {key: not-in, operator: NotIn, values: [a, b]}]}",
		"exists":  "{matchExpressions: [{key: group, operator: In, values: [exists]}, {key: exists, operator: Exists}]}",
		"no-such": "{matchExpressions: [{key: group, operator: In, values: [no-such]}, {key: no-such, operator: DoesNotExist}]}",
		"both":    "{matchLabels: {group: both}, matchExpressions: [{key: both, operator: Exists}]}",
	}
}

// selected are the labels of objects, and whether one of the selectors selects them.
func selected() []struct {
	labels  map[string]string
	matches bool
} {
	return []struct {
		labels  map[string]string
		matches bool
	}{
		{map[string]string{"group": "labels", "also": "a"}, true},
		{map[string]string{"group": "labels", "also": "b"}, false},
		{map[string]string{"group": "labels"}, false},
		{map[string]string{"group": "in", "in": "b"}, true},
		{map[string]string{"group": "in", "in": "c"}, false},
		{map[string]string{"group": "in"}, false},
		{map[string]string{"group": "not-in", "not-in": "c"}, true},
		{map[string]string{"group": "not-in"}, true},
		{map[string]string{"group": "not-in", "not-in": "a"}, false},
		{map[string]string{"group": "exists", "exists": ""}, true},
		{map[string]string{"group": "exists"}, false},
		{map[string]string{"group": "no-such"}, true},
		{map[string]string{"group": "no-such", "no-such": ""}, false},
		{map[string]string{"group": "both", "both": "a"}, true},
		{map[string]string{"group": "both"}, false},
		{map[string]string{"group": "other"}, false},
		{nil, false},
	}
}

// selection is what selectors choose among: pods with the labels of selected, or in namespaces or on nodes with them.
type selection struct {
	policyScene
	objects []selectedPod
}

// selectedPod is a pod, its node, and the scene that watches it.
type selectedPod struct {
	*harness.Scene
	node string
	pod  *corev1.Pod
}

// selecting returns a scene with a policy for each of the selectors, which keep pods for the taint "some", and one without a selector for the
// taint "all".
func selecting(t *testing.T, field string) *selection {
	t.Helper()
	s := &selection{policyScene: withPolicies(t)}
	for name, selector := range selectors() {
		s.create(name, "matchingPrecedence: 100, mode: Keep, taints: [{key: some}], "+field+": "+selector)
	}
	s.create("all", "matchingPrecedence: 100, mode: Keep, taints: [{key: all}]")
	return s
}

// add adds a pod.
func (s *selection) add(scene *harness.Scene, node string, changes ...builders.Change) {
	s.T.Helper()
	s.objects = append(s.objects, selectedPod{scene, node, scene.Pod(node, changes...)})
}

// label sets labels of an object.
func (s *selection) label(path string, labels map[string]string) {
	s.T.Helper()
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	s.Must(err)
	s.Must(s.Client.CoreV1().RESTClient().Patch(types.MergePatchType).AbsPath(path).Body(data).Do(s.Context()).Error())
}

// check taints the nodes, and checks that all pods stay without a selector, and those that are selected with one.
func (s *selection) check() {
	s.T.Helper()
	var tainted timing.Moment
	moments := map[string]timing.Moment{}
	for _, object := range s.objects {
		tainted = s.Taint(object.node, builders.NoExecute("all"))
	}
	for _, object := range s.objects {
		object.Stays(object.pod, tainted.After.Add(2*time.Second), "a policy without a selector keeps it")
	}
	for _, object := range s.objects {
		if _, done := moments[object.node]; !done {
			moments[object.node] = s.Taint(object.node, builders.NoExecute("all"), builders.NoExecute("some"))
		}
	}
	for i, object := range s.objects {
		s.T.Logf("%v", selected()[i].labels)
		if tainted := moments[object.node]; !selected()[i].matches {
			object.Evicted(object.pod, harness.Due(tainted, 0))
		} else {
			object.Stays(object.pod, tainted.After.Add(3*time.Second), "a policy selects it")
		}
	}
}

func TestPolicySelectsPods(t *testing.T) {
	s := selecting(t, "podSelector")
	node := s.Node()
	for _, object := range selected() {
		s.add(s.Scene, node, func(pod *corev1.Pod) { pod.Labels = object.labels })
	}
	s.check()
}

func TestPolicySelectsNodes(t *testing.T) {
	s := selecting(t, "nodeSelector")
	nodes := s.Nodes(len(selected()))
	for i, object := range selected() {
		s.label("/api/v1/nodes/"+nodes[i], object.labels)
		s.add(s.Scene, nodes[i])
	}
	s.check()
}

func TestPolicySelectsNamespaces(t *testing.T) {
	s := selecting(t, "namespaceSelector")
	node := s.Node()
	for i, object := range selected() {
		beside := s.Beside(fmt.Sprint(i))
		s.label("/api/v1/namespaces/"+beside.Namespace, object.labels)
		s.add(beside, node)
	}
	s.check()
}
