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
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// ago returns the API time some seconds before noon, which is when all snapshots are taken.
func ago(seconds int) *metav1.Time {
	return ptr.To(metav1.NewTime(noon.Add(-time.Duration(seconds) * time.Second)))
}

func noExecute(key string, added *metav1.Time) v1.Taint {
	return v1.Taint{Key: key, Effect: v1.TaintEffectNoExecute, TimeAdded: added}
}

func tolerates(key string, seconds int64) v1.Toleration {
	return v1.Toleration{Key: key, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: &seconds}
}

func always(key string) v1.Toleration {
	return v1.Toleration{Key: key, Operator: v1.TolerationOpExists}
}

func node(name string, taints ...v1.Taint) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("node-" + name), ResourceVersion: "1"}, Spec: v1.NodeSpec{Taints: taints}}
}

// pod returns a pod on node a that runs and is ready, and came there an hour ago.
func pod(name string, tolerations ...v1.Toleration) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: *ago(3600), Labels: map[string]string{"app": "web"}},
		Spec:       v1.PodSpec{NodeName: "a", Tolerations: tolerations},
		Status:     v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}},
	}
}

func with(p *v1.Pod, change func(*v1.Pod)) *v1.Pod {
	change(p)
	return p
}

func policy(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": name}, "spec": fields,
	}}
}

// budget returns a budget of all pods with app=web.
func budgetOf(name string, allowed int32) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		Status:     policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed, CurrentHealthy: 2, DesiredHealthy: 2 - allowed, ExpectedPods: 2},
	}
}

// cluster returns a snapshot of noon.
func cluster(in snapshot.Input, objects ...any) *snapshot.Snapshot {
	in.At = noon
	for _, object := range objects {
		switch object := object.(type) {
		case *v1.Node:
			in.Nodes = append(in.Nodes, podcache.NewNode(object, noon, 1))
		case *v1.Pod:
			in.Pods = append(in.Pods, podcache.NewPod(object, noon))
		case *policyv1.PodDisruptionBudget:
			in.Budgets = append(in.Budgets, object)
		case *unstructured.Unstructured:
			in.Policies = append(in.Policies, object)
		default:
			panic(fmt.Sprintf("a snapshot has no %T", object))
		}
	}
	return snapshot.New(in)
}
