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

package load

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var began = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func cluster() Cluster { return Cluster{Nodes: 40, Pods: 615, Began: began} }

func TestSizes(t *testing.T) {
	c := cluster()
	for _, i := range []int{0, 100, 614} {
		if size := c.Pod(i, 1, began).Size(); size < 4_500 || size > 6_500 {
			t.Errorf("pod %d has %d bytes on the wire", i, size)
		}
	}
	if size := c.Node(7, 1, began).Size(); size < 6_000 || size > 12_000 {
		t.Errorf("a node has %d bytes on the wire", size)
	}
}

// memory is where everything is that v consists of, and that a cache could keep: strings, and what pointers point at.
func memory(v reflect.Value, into map[unsafe.Pointer]string) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); s != "" && v.Type() != reflect.TypeFor[resource.Format]() { // that is a constant for decoders, too
			into[unsafe.Pointer(unsafe.StringData(s))] = s
		}
	case reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*time.Location]() {
			return
		}
		into[v.UnsafePointer()] = v.Type().String()
		memory(v.Elem(), into)
	case reflect.Slice:
		if v.Cap() > 0 {
			into[v.UnsafePointer()] = v.Type().String()
		}
		for i := range v.Len() {
			memory(v.Index(i), into)
		}
	case reflect.Map:
		if !v.IsNil() {
			into[v.UnsafePointer()] = v.Type().String()
		}
		for keys := v.MapRange(); keys.Next(); {
			memory(keys.Key(), into)
			memory(keys.Value(), into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			memory(v.Field(i), into)
		}
	}
}

// What a cache keeps of these objects is honest only if they share as little as objects from a decoder.
func TestObjectsShareNoMemory(t *testing.T) {
	c := cluster()
	for name, objects := range map[string][]any{
		"pods":               {c.Pod(100, 1, began), c.Pod(140, 1, began)}, // of one node
		"versions of a pod":  {c.Pod(100, 1, began), c.Pod(100, 2, began)},
		"daemons":            {c.Pod(0, 1, began), c.Pod(1, 1, began)},
		"special pods":       {c.Pod(101, 1, began), c.Pod(141, 1, began)},
		"nodes":              {c.Node(1, 1, began), c.Node(2, 2, began)},
		"nodes that are ill": {c.Unreachable(1, 1, began), c.Unreachable(1, 2, began)},
		"a pod and its node": {c.Pod(100, 1, began), c.Node(20, 1, began)},
	} {
		first, second := map[unsafe.Pointer]string{}, map[unsafe.Pointer]string{}
		memory(reflect.ValueOf(objects[0]), first)
		memory(reflect.ValueOf(objects[1]), second)
		if len(first) < 100 {
			t.Errorf("%s: found %d pieces of memory only", name, len(first))
		}
		for at, what := range second {
			if shared, ok := first[at]; ok {
				t.Errorf("%s share the memory of %q (%q)", name, what, shared)
			}
		}
	}
}

func TestCluster(t *testing.T) {
	c := cluster()
	names, on := map[string]bool{}, 0
	for i := range c.Pods {
		pod := c.Pod(i, uint64(i), began)
		names[pod.Namespace+"/"+pod.Name] = true
		names[string(pod.UID)] = true
		if pod.Spec.NodeName != c.Node(c.NodeOf(i), 0, began).Name || pod.UID != PodUID(i) || pod.Namespace != Namespace(i) {
			t.Fatalf("pod %d is %s on %s", i, pod.UID, pod.Spec.NodeName)
		}
		for _, toleration := range pod.Spec.Tolerations {
			if toleration.Effect == v1.TaintEffectNoExecute && c.IsDaemon(i) != (toleration.TolerationSeconds == nil) {
				t.Errorf("pod %d tolerates %v", i, toleration)
			}
		}
	}
	if len(names) != 2*c.Pods {
		t.Errorf("%d names and UIDs of %d pods", len(names), c.Pods)
	}
	for node := range c.Nodes {
		pods := slices.Collect(c.On(node))
		on += len(pods)
		if len(pods) < 15 || !c.IsDaemon(pods[1]) || c.IsDaemon(pods[2]) || c.NodeOf(pods[9]) != node {
			t.Errorf("on node %d are %v", node, pods)
		}
	}
	if on != c.Pods {
		t.Errorf("%d pods are on nodes", on)
	}
	ill := c.Unreachable(3, 1, began.Add(time.Hour))
	if len(ill.Spec.Taints) != 2 || !ill.Spec.Taints[1].TimeAdded.Equal(ill.Spec.Taints[0].TimeAdded) {
		t.Errorf("taints %v", ill.Spec.Taints)
	}
}

func TestPace(t *testing.T) {
	for _, test := range []struct {
		name string
		each time.Duration // that a send takes
		want int           // or up to a hundredth less
	}{
		{"keeps up", 0, 5000},
		{"keeps up, just", 190 * time.Microsecond, 5000},
		{"too slow", 400 * time.Microsecond, 2500},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, last := time.Now(), -1
				sent, err := Pace(t.Context(), 5000, time.Second, func(i int) error {
					if i != last+1 {
						t.Fatalf("%d follows %d", i, last)
					}
					last = i
					time.Sleep(test.each)
					return nil
				})
				took := time.Since(began)
				if err != nil || sent > test.want || sent < test.want*99/100 || last != sent-1 || took < time.Second || took > time.Second+beat {
					t.Errorf("sent %d, the last was %d, in %v: %v", sent, last, took, err)
				}
			})
		})
	}
}

func TestPaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		broken := errors.New("broken")
		if sent, err := Pace(ctx, 100, time.Second, func(i int) error {
			if i == 7 {
				return broken
			}
			return nil
		}); sent != 7 || !errors.Is(err, broken) {
			t.Errorf("sent %d: %v", sent, err)
		}
		if _, err := Pace(ctx, 100, time.Second, func(int) error { stop(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("goes on: %v", err)
		}
	})
}
