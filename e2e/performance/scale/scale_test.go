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
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
	"github.com/taint-manager/taint-manager/e2e/performance/load"
	"github.com/taint-manager/taint-manager/pkg/events"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--nodes=100", "--pods=1500", "--parts=2,1"}, io.Discard)
	if err != nil || !slices.Equal(o.parts, []int{2, 1}) || o.nodes != 100 || o.child != 0 {
		t.Errorf("%+v: %v", o, err)
	}
	for _, args := range [][]string{
		{"--parts=0"}, {"--parts="}, {"--parts=a"}, {"--what"}, {"word"}, {"--nodes=70"}, {"--pods=1000"}, {"--variant=other"},
	} {
		if _, err := parse(args, io.Discard); !errors.Is(err, figures.ErrUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// The updates that should concern nobody are of nodes that are not tainted, and of the pods on them.
func TestHealthy(t *testing.T) {
	for _, c := range []load.Cluster{{Nodes: 100, Pods: 1500}, {Nodes: 65, Pods: 1000}, {Nodes: 10, Pods: 10}} {
		nodes, pods := map[int]bool{}, map[int]bool{}
		for i := range 3 * c.Pods {
			node, pod := healthyNode(c, i), healthyPod(c, i)
			if node%taintedOf == 0 || node >= c.Nodes || pod >= c.Pods || c.NodeOf(pod) != node {
				t.Fatalf("%+v: update %d is of node %d and pod %d", c, i, node, pod)
			}
			nodes[node], pods[pod] = true, true
		}
		if n := healthyNodes(c); len(nodes) != n || len(pods) != n*(c.Pods/c.Nodes) {
			t.Errorf("%+v: %d nodes and %d pods are updated", c, len(nodes), len(pods))
		}
	}
}

func TestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &part{cluster: load.Cluster{Nodes: 10, Pods: 20, Began: time.Now()}}
		p.api = p.newAPI()
		streaming := metav1.ListOptions{SendInitialEvents: ptr.To(true)}
		if _, err := p.api.Pods("").Watch(t.Context(), metav1.ListOptions{}); err == nil {
			t.Error("watches without a list")
		}
		if _, err := p.api.Pods("").List(t.Context(), metav1.ListOptions{}); err == nil {
			t.Error("lists in one piece")
		}
		w, err := p.api.Pods("").Watch(t.Context(), streaming)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case event := <-w.ResultChan():
			t.Errorf("%v comes before it was released", event)
		default:
		}
		close(p.api.pods.released)
		for i := range 20 {
			synctest.Wait()
			if made := p.version.Load(); made != uint64(i+1) {
				t.Fatalf("%d objects are made when %d have been taken", made, i)
			}
			event := <-w.ResultChan()
			if pod, ok := event.Object.(*v1.Pod); !ok || event.Type != watch.Added || pod.UID != load.PodUID(i) {
				t.Errorf("event %d is %v", i, event)
			}
		}
		end := <-w.ResultChan()
		if end.Type != watch.Bookmark || end.Object.(*v1.Pod).Annotations[metav1.InitialEventsAnnotationKey] != "true" {
			t.Errorf("the list ends with %v", end)
		}
		<-p.api.pods.listed
		if _, err := p.api.Pods("").Watch(t.Context(), streaming); err == nil {
			t.Error("lists twice")
		}
		// The controller ends its first watch of nodes after a while, and goes on from there.
		w.Stop()
		again, err := p.api.Pods("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "20"})
		if err != nil {
			t.Fatal(err)
		}
		go func() { p.api.pods.events <- watch.Event{Type: watch.Modified, Object: &v1.Pod{}} }()
		if event := <-again.ResultChan(); event.Type != watch.Modified {
			t.Errorf("the second watch brings %v", event)
		}
	})
}

// What the controller calls is there: an Event is written as it writes them.
func TestEventsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counter := metrics.NewCounterVec(&metrics.CounterOpts{Name: "events", Help: "x"}, []string{"result"})
		api := (&part{}).newAPI()
		recorder := events.NewRecorder(client{api: api}, clock.RealClock{}, nil, counter)
		recorder.Record(v1.ObjectReference{Kind: "Node", Name: "n", UID: "u"}, "Reason", "message")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		recorder.Run(ctx, time.Minute)
		if n := api.events.Load(); n != 1 {
			t.Errorf("%d Events are written", n)
		}
	})
}

func TestMarkdown(t *testing.T) {
	r := result{
		Part: 8, Nodes: 8125, Pods: 125_000, HeapPerPod: 499.6, HeapPerNode: 700, ResidentIdle: 50 << 20, Resident: 300 << 20, ResidentPeak: 400 << 20,
		Heap: 60e6, Making: usage{1, 1, 0}, Sync: usage{2, 2, 0}, Collection: usage{0.1, 0.25, 0},
		Tainted: 813, Scheduled: 10_800, TaintAlone: usage{1, 0.1, 1e6}, Taint: usage{1.004, 0.316, 1e6}, TaintLag: 0.004,
		ChurnAlone: churn{usage{10, 1, 600e6}, 10_000, 50_000}, Churn: churn{usage{10, 1.75, 660e6}, 10_000, 50_000}, Idle: usage{5, 0.05, 0},
	}
	whole := r
	whole.Part, whole.Pods = 1, 1_000_000
	r.Selecting, r.Unlabelled = &memory{900, 505.6}, &memory{400, 450}
	whole.Selecting, whole.Unlabelled = &memory{900, 506.6}, &memory{400, 450}
	text := markdown("here", []result{r, whole})
	for _, want := range []string{
		"here. ", "decoding is not part of this", "| | 1/8 | the whole |", "| pods | 125,000 | 1,000,000 |", "| **live heap per pod** | 500 B | 500 B |",
		"| resident memory after reading all | 300 MiB |", "beyond that without any | 2097 B |", "| … CPU per pod | 8.0 µs |", "until all are scheduled** | 1.00 s |",
		"| … time from the last taint | 4 ms |", "per pod | 2.0 µs |", "| … CPU per pod that is scheduled | 20 µs |", "| 1000 + 5000 |", "| **… CPU, of one core** | 10.0 % |",
		"| … CPU per update | 17 µs |", "of one core | 1.0 % |", "of it: ≤ 64 B** | 64 B | 65 B: **too much** |", "| … for labels, of it | 500 B | 500 B |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no %q:\n%s", want, text)
		}
	}
}

// Without what is compared there is no figure.
func TestLabelsThatWereNotMeasured(t *testing.T) {
	for _, r := range []result{{}, {Selecting: &memory{}}, {Unlabelled: &memory{}}} {
		if pod, node := r.labelsPerPodText(), r.labelsPerNodeText(); pod != "—" || node != "—" {
			t.Errorf("%+v: %s for each pod and %s for each node", r, pod, node)
		}
	}
}

// The policies select by the labels of pods, namespaces and nodes: of 60 pods on a node they keep the 25 of a namespace and one more. Without
// them look finds all pods of two nodes scheduled but two of each, which are of a DaemonSet.
func TestPoliciesSelect(t *testing.T) {
	cluster := load.Cluster{Nodes: 20, Pods: 20 * 60, Began: time.Now()}
	for what, want := range map[variant]string{selecting: "", unlabelled: "116 pods are scheduled, 34 should be"} {
		synctest.Test(t, func(t *testing.T) {
			p, err := newPart(cluster, what, profiles{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer stop()
			for _, do := range []func(context.Context) error{func(ctx context.Context) error { return p.start(ctx, &running) }, p.syncNodes, p.syncPods} {
				if err := do(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.look(ctx); what == selecting && err != nil || what != selecting && (err == nil || err.Error() != want) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		})
	}
}

// A process that measures memory only has the same cluster as the complete one; only labels are missing where they should be.
func TestLabelled(t *testing.T) {
	for what, want := range map[variant]bool{complete: true, selecting: true, unlabelled: false} {
		p := &part{cluster: load.Cluster{Nodes: 10, Pods: 20}, variant: what}
		api := p.newAPI()
		for _, object := range []runtime.Object{api.nodes.object(3), api.pods.object(3)} {
			if got := len(object.(metav1.Object).GetLabels()) > 0; got != want {
				t.Errorf("%q: %T has labels: %t", what, object, got)
			}
		}
	}
}
