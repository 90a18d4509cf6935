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

package tainteviction

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestOverdue(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 10))
		f.api.AddPod("q", "n", toleratingForever("a"))
		f.startFollower()
		overdue := func(want bool) {
			t.Helper()
			if f.c.Overdue() != want {
				t.Errorf("overdue: %v", !want)
			}
		}
		f.api.Taint("n", taintOf("a"))
		f.wait(10.9)
		overdue(false)
		f.wait(0.2)
		overdue(true)
		f.api.Taint("n")
		f.wait(0.1)
		overdue(false)
		f.api.Taint("n", taintOf("a"))
		f.wait(12)
		overdue(true)
		f.api.RemovePod("p") // as another replica does
		f.wait(0.1)
		overdue(false)
	})
}

// TestAssist has a replica assist the leader, and then lead. While it assists, it starts with a low limit and writes no ConfigMap.
func TestAssist(t *testing.T) {
	bubble(t, func(f *fixture) {
		var running, most atomic.Int32
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPatch {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Second)
				running.Add(-1)
			}
			return nil, nil
		}
		f.api.Put(&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "starts"}})
		for i := range 200 {
			node := fmt.Sprint("n", i)
			f.api.AddNode(node)
			f.api.AddPod(fmt.Sprint("p", i), node, func(pod *v1.Pod) { pod.Namespace = node })
		}
		f.startFollower(func(c *Config) {
			c.ConcurrentEvictions = 40
			c.Starts = types.NamespacedName{Namespace: "kube-system", Name: "starts"}
		})
		for i := range 200 {
			f.api.UpdateNode(fmt.Sprint("n", i), func(node *v1.Node) {
				node.Spec.Taints = []v1.Taint{taintOf(v1.TaintNodeUnreachable)}
				node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionUnknown}}
			})
		}
		f.wait(2)
		ctx, cancel := context.WithCancel(f.context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.c.Assist(ctx) }()
		written := func() int { return f.api.Count("PUT /api/v1/namespaces/kube-system/configmaps") }
		f.wait(0.5)
		if most.Load() != 4 {
			t.Errorf("%d evictions are in flight at first, want a tenth of 40", most.Load())
		}
		f.wait(1)
		if most.Load() != 8 {
			t.Errorf("%d evictions are in flight after the first four, want 8", most.Load())
		}
		f.wait(2)
		cancel()
		<-ended
		left, events := f.api.Pods(), f.api.Count("POST")
		f.wait(20)
		if f.api.Pods() != left || left == 200 || running.Load() != 0 {
			t.Errorf("evicts after it stopped assisting: %d pods were left, now %d are", left, f.api.Pods())
		}
		if written() != 0 {
			t.Error("wrote the ConfigMap, which has a single writer")
		}
		if events == 0 {
			t.Error("wrote no Events on the pods it evicted")
		}
		for _, request := range f.api.Requests() {
			if strings.HasPrefix(request, "POST") && !strings.Contains(request, "/namespaces/n") {
				t.Errorf("%s: only the leader writes Events on nodes", request)
			}
		}
		leading, stop := context.WithCancel(f.context())
		led := make(chan struct{})
		go func() { defer close(led); f.c.Lead(leading) }()
		f.wait(60)
		if f.api.Pods() != 0 || most.Load() <= 16 || written() == 0 {
			t.Errorf("as the leader: %d pods are left, %d evictions were in flight, and the ConfigMap was written %d times", f.api.Pods(), most.Load(), written())
		}
		stop()
		<-led
	})
}
