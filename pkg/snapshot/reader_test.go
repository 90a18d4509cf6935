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

package snapshot

import (
	"context"
	"errors"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// reader returns a reader of a cluster with some objects.
func reader(objects ...runtime.Object) (*Reader, *fake.Clientset, *dynamicfake.FakeDynamicClient) {
	kube := fake.NewClientset(objects...)
	policies := v1alpha1.GroupVersion.WithResource("taintevictionpolicies")
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{policies: "TaintEvictionPolicyList"})
	return &Reader{
		Kube: kube, Compact: kube.CoreV1(), Dynamic: dynamic, Clock: clocktesting.NewFakePassiveClock(noon),
		Starts: types.NamespacedName{Namespace: "kube-system", Name: "starts"},
	}, kube, dynamic
}

func node(name string, taints ...v1.Taint) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{Taints: taints}}
}

func boundPod(name, node string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}, Spec: v1.PodSpec{NodeName: node}}
}

func forbidden(kube *clienttesting.Fake, resource string) {
	kube.PrependReactor("*", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
	})
}

func TestRead(t *testing.T) {
	r, _, _ := reader(node("a", v1.Taint{Key: "k", Effect: v1.TaintEffectNoExecute}), node("b"), boundPod("p", "a"),
		&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "starts", Annotations: map[string]string{"x": "y"}}})
	whole := 0
	s, err := r.Read(t.Context(), Scope{Pods: BoundPods, Budgets: true, Whole: func(runtime.Object) { whole++ }})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Nodes) != 2 || len(s.Pods) != 1 || len(s.Unread) != 0 || whole != 3 || s.Annotation("x") != "y" || !s.At.Equal(noon) {
		t.Errorf("got %d nodes, %d pods, unread %v, %d whole, annotation %q", len(s.Nodes), len(s.Pods), s.Unread, whole, s.Annotation("x"))
	}
	if got := s.Decide(s.Pods[0]); !got.Evict || got.Taint.Key != "k" {
		t.Errorf("decision: got %+v", got)
	}
	if s, err = r.Read(t.Context(), Scope{Pods: BoundPods, Keep: func(*v1.Pod) bool { return false }}); err != nil || len(s.Pods) != 0 {
		t.Errorf("none are to be kept: got %v, %v", s.Pods, err)
	}
}

func TestReadWithoutPermissions(t *testing.T) {
	r, kube, dynamic := reader(node("a"))
	forbidden(&kube.Fake, "configmaps")
	forbidden(&kube.Fake, "poddisruptionbudgets")
	forbidden(&dynamic.Fake, "taintevictionpolicies")
	// Without the CustomResourceDefinition there are no policies, whatever a list says.
	s, err := r.Read(t.Context(), Scope{Budgets: true})
	if err != nil || len(s.Unread) != 2 || s.PoliciesUnread {
		t.Errorf("where policies are not served: got %+v, %v", s.Unread, err)
	}
	kube.Resources = []*metav1.APIResourceList{{GroupVersion: v1alpha1.GroupVersion.String(), APIResources: []metav1.APIResource{{Name: "taintevictionpolicies"}}}}
	if s, err = r.Read(t.Context(), Scope{Budgets: true}); err != nil || len(s.Unread) != 3 || !s.PoliciesUnread {
		t.Errorf("where they are: got %+v, %v", s.Unread, err)
	}
	forbidden(&kube.Fake, "nodes")
	if _, err = r.Read(t.Context(), Scope{}); !apierrors.IsForbidden(err) {
		t.Errorf("without nodes nothing is known: got %v", err)
	}
}

func TestPagesBeginAgainWhenOneHasExpired(t *testing.T) {
	r, kube, _ := reader()
	var asked []string
	var progress []int
	r.Progress = func(_ string, n int) { progress = append(progress, n) }
	answers := []struct {
		name, next string
		expired    bool
	}{{"a", "2", false}, {"", "", true}, {"b", "2", false}, {"c", "", false}}
	kube.PrependReactor("list", "nodes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).ListOptions
		if options.Limit != 500 {
			t.Errorf("a page of %d", options.Limit)
		}
		asked = append(asked, options.Continue)
		answer := answers[len(asked)-1]
		if answer.expired {
			return true, nil, apierrors.NewResourceExpired("too old")
		}
		return true, &v1.NodeList{ListMeta: metav1.ListMeta{Continue: answer.next}, Items: []v1.Node{*node(answer.name)}}, nil
	})
	in := Input{}
	if err := r.readNodes(context.Background(), &in, Scope{}); err != nil {
		t.Fatal(err)
	}
	if len(in.Nodes) != 2 || in.Nodes[0].Name != "b" || in.Nodes[1].Name != "c" {
		t.Errorf("nodes: got %v, want b and c", in.Nodes)
	}
	if len(asked) != 4 || asked[1] != "2" || asked[2] != "" || asked[3] != "2" {
		t.Errorf("asked for %q", asked)
	}
	if len(progress) != 3 || progress[2] != 2 {
		t.Errorf("progress: got %v", progress)
	}
}
