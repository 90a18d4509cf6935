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

package app

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// cluster is what a file of objects holds, as at a time.
type cluster struct {
	snapshot.Input
	lease  *coordinationv1.Lease
	events []eventsv1.Event
	whole  []*v1.Pod
}

// loadCluster reads the objects in testdata/status.yaml, as of noon.
func loadCluster(t *testing.T) *cluster {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "status.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := &cluster{Input: snapshot.Input{At: noon}}
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return c
		} else if err != nil {
			t.Fatal(err)
		}
		c.add(t, object)
	}
}

func (c *cluster) add(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if object.GetKind() == "TaintEvictionPolicy" {
		c.Policies = append(c.Policies, object)
		return
	}
	typed, err := scheme.Scheme.New(object.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	switch typed := typed.(type) {
	case *v1.Node:
		c.Nodes = append(c.Nodes, podcache.NewNode(typed, noon, 1))
	case *v1.Pod:
		c.whole = append(c.whole, typed)
		c.Pods = append(c.Pods, podcache.NewPod(typed, noon))
	case *policyv1.PodDisruptionBudget:
		c.Budgets = append(c.Budgets, typed)
	case *v1.ConfigMap:
		c.Starts = typed
	case *coordinationv1.Lease:
		c.lease = typed
	case *eventsv1.Event:
		c.events = append(c.events, *typed)
	default:
		t.Fatalf("%s is not known here", object.GetKind())
	}
}

// facts returns what a status needs beside the snapshot.
func (c *cluster) facts() explain.Facts {
	facts := explain.Facts{Lease: c.lease, Terminating: map[types.UID]explain.Terminating{}, Blocked: explain.EventsByPod(explain.Events(c.events, ""))}
	for _, pod := range c.whole {
		if terminating := explain.TerminatingOf(&pod.ObjectMeta); terminating != nil {
			facts.Terminating[pod.UID] = *terminating
		}
	}
	return facts
}

// goldenText compares a text with a file.
func goldenText(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}
