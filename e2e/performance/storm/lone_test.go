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

package main

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func TestLatenessOfLonePods(t *testing.T) {
	began := time.Now()
	l := &lone{
		pods:    []podRef{{UID: "a"}, {UID: "b"}},
		tainted: []time.Time{began, began.Add(second(5))},
		gone:    &sightings{at: map[types.UID]time.Time{"a": began.Add(second(0.1))}},
	}
	if left, err := l.left(); left != 1 || err != nil || l.lateness() != 0 {
		t.Errorf("one has not gone: %d are left, error %v, %s late", left, err, l.lateness())
	}
	l.gone.at["b"] = began.Add(second(5.3))
	if left, err := l.left(); left != 0 || err != nil || l.lateness() != second(0.3) {
		t.Errorf("%d are left, error %v, %s late", left, err, l.lateness())
	}
	l.tainted = l.tainted[:1]
	if l.lateness() != 0 {
		t.Errorf("%s late, though one node was not tainted", l.lateness())
	}
}

func TestLonePodsAreTaintedInTheMiddle(t *testing.T) {
	client := fake.NewClientset()
	b := &bench{options: &options{}, client: client}
	l := &lone{}
	for i := range lonePods {
		l.pods = append(l.pods, podRef{Node: loneNode(i)})
		if err := client.Tracker().Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: loneNode(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ evicted, want int }{{0, 0}, {199, 0}, {200, 1}, {399, 1}, {1000, 2}, {1000, 3}, {1000, 4}, {1000, 4}} {
		if err := b.taintLone(t.Context(), server{}, &Storm{Pods: 1000, alone: l}, step.evicted); err != nil {
			t.Fatal(err)
		}
		tainted := 0
		for i := range lonePods {
			node, err := client.CoreV1().Nodes().Get(t.Context(), loneNode(i), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tainted += len(node.Spec.Taints)
		}
		if tainted != step.want || len(l.tainted) != step.want {
			t.Errorf("%d nodes are tainted after %d of 1,000 evictions, want %d", tainted, step.evicted, step.want)
		}
	}
}
