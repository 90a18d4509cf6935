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
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

// inNamespace puts a pod into a namespace.
func inNamespace(name string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Namespace = name }
}

// slowDeletes has each DELETE of a pod in a namespace take some time.
func (f *fixture) slowDeletes(d time.Duration, namespaces ...string) {
	f.api.Intercept = func(req *http.Request) (*http.Response, error) {
		for _, namespace := range namespaces {
			if req.Method == http.MethodDelete && strings.Contains(req.URL.Path, "/namespaces/"+namespace+"/pods") {
				select {
				case <-time.After(d):
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
		return nil, nil
	}
}

// left counts the pods of a namespace that are in the cache.
func (f *fixture) left(namespace string, pods int) (n int) {
	for i := range pods {
		if f.c.pods.Get(namespace, fmt.Sprint("p", i)) != nil {
			n++
		}
	}
	return n
}

// TestSlowNamespaceLeavesAReserve has a webhook that takes 6 s for each DELETE in the namespace "slow", of 200 pods on one
// or several nodes, and 20 pods of another namespace on the same nodes.
func TestSlowNamespaceLeavesAReserve(t *testing.T) {
	for _, nodes := range []int{1, 10} {
		for _, later := range []float64{0, 3} {
			t.Run(fmt.Sprintf("%d nodes, others %v s later", nodes, later), func(t *testing.T) {
				bubble(t, func(f *fixture) {
					f.slowDeletes(6*time.Second, "slow")
					var taints []func(key string)
					for i := range nodes {
						name := fmt.Sprint("node", i)
						f.api.AddNode(name)
						taints = append(taints, func(key string) { f.api.Taint(name, taintOf(key)) })
					}
					for i := range 200 {
						f.api.AddPod(fmt.Sprint("p", i), fmt.Sprint("node", i%nodes), inNamespace("slow"))
					}
					for i := range 20 {
						f.api.AddPod(fmt.Sprint("p", i), fmt.Sprint("node", i%nodes), inNamespace("quick"), tolerating("a", int64(later)))
					}
					f.start(func(c *Config) { c.ConcurrentEvictions = 400 })
					f.wait(1 - float64(time.Now().Nanosecond())/1e9) // stored times are cut to the second
					for _, taint := range taints {
						taint("a")
					}
					f.wait(later + 1)
					if n := f.left("quick", 20); n > 0 {
						t.Errorf("%d of 20 pods of another namespace are left after 1 s", n)
					}
					f.wait(13 - later)
					if n := f.left("slow", 200); n > 20 {
						t.Errorf("%d of 200 pods are left after 14 s", n)
					}
				})
			})
		}
	}
}

// TestSlowNamespacesDelayNoOther has more slow calls than the concurrency limit, in two namespaces.
func TestSlowNamespacesDelayNoOther(t *testing.T) {
	bubble(t, func(f *fixture) {
		const nodes = 4
		for i := range nodes {
			f.api.AddNode(fmt.Sprint("node", i))
		}
		f.slowDeletes(9*time.Second, "slow1", "slow2")
		for i := range 400 {
			f.api.AddPod(fmt.Sprint("p", i), fmt.Sprint("node", i%nodes), inNamespace("slow1"))
			f.api.AddPod(fmt.Sprint("p", i), fmt.Sprint("node", i%nodes), inNamespace("slow2"))
		}
		for i := range 20 {
			f.api.AddPod(fmt.Sprint("p", i), fmt.Sprint("node", i%nodes), inNamespace("quick"), tolerating("a", 7))
		}
		f.start(func(c *Config) { c.ConcurrentEvictions = 400 })
		f.wait(1 - float64(time.Now().Nanosecond())/1e9)
		for i := range nodes {
			f.api.Taint(fmt.Sprint("node", i), taintOf("a"))
		}
		f.wait(7)
		if n := f.c.taintEvictionQueue.Len(); n != 820 {
			t.Errorf("%d are scheduled", n)
		}
		f.wait(1)
		if n := f.left("quick", 20); n > 0 {
			t.Errorf("%d of 20 pods of another namespace are left after 1 s", n)
		}
	})
}
