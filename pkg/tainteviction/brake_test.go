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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/taint-manager/taint-manager/pkg/brake"
)

// braked gives a controller an eviction brake for which more than three nodes are too many, and a ConfigMap for its state.
func braked(change ...func(*brake.Config)) func(*Config) {
	return func(c *Config) {
		config := brake.Config{
			MaxNodes: intstr.FromInt32(3), Window: 600 * time.Second, Cooldown: 60 * time.Second, Clock: c.Clock,
			IgnoreTaints: []string{v1.TaintNodeNotReady, v1.TaintNodeUnreachable, v1.TaintNodeOutOfService},
		}
		for _, c := range change {
			c(&config)
		}
		var err error
		if c.Brake, err = brake.New(config); err != nil {
			panic(err)
		}
		c.Deployment = types.NamespacedName{Namespace: "kube-system", Name: "taint-manager"}
		c.Starts = types.NamespacedName{Namespace: "kube-system", Name: "starts"}
		c.ConcurrentEvictions = 400
	}
}

// fleet makes nodes n0, n1 and so on that are a day old, with so many pods each, and the ConfigMap.
func (f *fixture) fleet(nodes, pods int, change ...func(*v1.Pod)) {
	f.api.Put(&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "starts"}})
	for i := range nodes {
		name := fmt.Sprint("n", i)
		f.api.AddNode(name)
		f.api.UpdateNode(name, func(node *v1.Node) { node.CreationTimestamp = metav1.NewTime(time.Now().Add(-24 * time.Hour)) })
		for j := range pods {
			f.api.AddPod(fmt.Sprintf("n%d-p%d", i, j), name, change...)
		}
	}
}

// taintAll gives nodes of the fleet, first and last included, these taints and no other, one node after another.
func (f *fixture) taintAll(first, last int, taints ...v1.Taint) {
	for i := first; i <= last; i++ {
		f.api.Taint(fmt.Sprint("n", i), taints...)
		f.wait(0.02)
	}
}

// leftOn is how many pods are left on each node of the fleet.
func (f *fixture) leftOn(nodes, pods int) []int {
	left := make([]int, nodes)
	for i := range nodes {
		for j := range pods {
			if f.api.Pod(fmt.Sprintf("n%d-p%d", i, j)) != nil {
				left[i]++
			}
		}
	}
	return left
}

// expectLeft compares how many pods are left on each node of a fleet with two pods on each.
func (f *fixture) expectLeft(want ...int) {
	f.Helper()
	if got := f.leftOn(len(want), 2); !slices.Equal(got, want) {
		f.Errorf("at %v pods are left on the nodes: %v, want %v", time.Now(), got, want)
	}
}

// annotations are those of the ConfigMap.
func (f *fixture) annotations() map[string]string {
	f.Helper()
	client, err := f.api.Client()
	if err != nil {
		f.Fatal(err)
	}
	config, err := client.CoreV1().ConfigMaps("kube-system").Get(f.Context(), "starts", metav1.GetOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return config.Annotations
}

// brakeEvents are the Events about our Deployment, in order of time, as reason, type and count.
func (f *fixture) brakeEvents() (texts []string) {
	events := f.api.Events("Deployment", "taint-manager")
	slices.SortFunc(events, func(a, b *v1.Event) int { return a.FirstTimestamp.Compare(b.FirstTimestamp.Time) })
	for _, e := range events {
		texts = append(texts, fmt.Sprintf("%s %s %d", e.Type, e.Reason, e.Count))
	}
	return texts
}

func (f *fixture) expectBrakeEvents(want ...string) {
	f.Helper()
	if got := f.brakeEvents(); !slices.Equal(got, want) {
		f.Errorf("Events about the Deployment: %q, want %q", got, want)
	}
}

// answered is an answer with an object.
func answered(object any) *http.Response {
	body, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// TestBrakeStopsAMistake has all nodes be tainted by mistake, and untainted after 3 s.
func TestBrakeStopsAMistake(t *testing.T) {
	share := func(c *brake.Config) { c.MaxNodes, c.MinNodes = intstr.FromString("30%"), 10 } // 15 of 51
	bubble(t, func(f *fixture) {
		f.fleet(50, 20)
		f.start(braked(share))
		f.wait(10)
		f.taintAll(0, 49, taintOf("a"))
		f.wait(2)
		f.counts("taint_manager_eviction_brake_on", 1)
		f.counts("taint_manager_eviction_brake_nodes", 50)
		f.counts("taint_manager_held_evictions", 35*20)
		f.counts("taint_manager_scheduled_evictions", 35*20)
		if n := f.api.Count("GET /api/v1/nodes/"); n != 15 {
			t.Errorf("%d reads of nodes, want one of each that was emptied", n)
		}
		untainted := time.Now()
		f.taintAll(0, 49)
		f.wait(1)
		f.counts("taint_manager_held_evictions", 0)
		f.counts("taint_manager_scheduled_evictions", 0)
		f.counts("taint_manager_eviction_brake_nodes", 0)
		f.wait(time.Until(untainted.Add(55 * time.Second)).Seconds())
		f.counts("taint_manager_eviction_brake_on", 1)
		f.wait(10)
		f.counts("taint_manager_eviction_brake_on", 0)
		f.wait(700)
		want := append(make([]int, 15), slices.Repeat([]int{20}, 35)...)
		if got := f.leftOn(50, 20); !slices.Equal(got, want) {
			t.Errorf("pods are left on the nodes: %v, want %v", got, want)
		}
	})
	bubble(t, func(f *fixture) {
		f.fleet(50, 20)
		f.start(braked(share))
		f.wait(10)
		for i := range 50 {
			f.api.Taint(fmt.Sprint("n", i), taintOf("a"))
		}
		f.wait(3)
		f.taintAll(0, 49)
		f.wait(700)
		emptied := 0
		for _, left := range f.leftOn(50, 20) {
			if left < 20 {
				emptied++
			}
		}
		if emptied > 15 {
			t.Errorf("%d nodes lost pods, of which 15 may", emptied)
		}
	})
}

// TestBrakeIsOnBeforeDeadlinesCome has pods of many nodes be due at the same moment, which is known before.
func TestBrakeIsOnBeforeDeadlinesCome(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2, tolerating("a", 30))
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(29)
		f.counts("taint_manager_eviction_brake_on", 0)
		f.wait(3)
		// The nodes were tainted one after another, so pods of the first three were due before the brake went on.
		f.expectLeft(0, 0, 0, 2, 2)
		f.counts("taint_manager_eviction_brake_on", 1)
	})
}

func TestBrakeIsShown(t *testing.T) {
	bubble(t, func(f *fixture) {
		var looked atomic.Int32
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != "/apis/apps/v1/namespaces/kube-system/deployments/taint-manager" {
				return nil, nil
			}
			looked.Add(1)
			return answered(&appsv1.Deployment{
				TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Name: "taint-manager", UID: "ours"},
			}), nil
		}
		f.fleet(5, 2)
		f.start(braked())
		f.wait(10)
		if text := f.c.BrakeText(); text != "" {
			t.Errorf("before, it says %q", text)
		}
		f.taintAll(0, 4, taintOf("a"))
		f.wait(2)
		const why = "Holding evictions since 2000-01-01T00:00:10Z: 5 of 6 nodes have pods due for a taint younger than 10m0s or because of a policy; " +
			"3 may; most for a:NoExecute (5). Evictions go on 1m0s after it is 3 or fewer: remove the taint from 2, or wait until 2000-01-01T00:11:10Z"
		if text := f.c.BrakeText(); text != why {
			t.Errorf("it says %q, want %q", text, why)
		}
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1")
		if e := f.api.Events("Deployment", "taint-manager")[0]; e.InvolvedObject.UID != "ours" || e.Namespace != "kube-system" ||
			e.InvolvedObject.APIVersion != "apps/v1" || !strings.Contains(e.Message, "; 3 may; most for a:NoExecute") {
			t.Errorf("Event %+v", e)
		}
		if got := f.annotations(); got[BrakeMessageAnnotation] != why || !strings.HasPrefix(got[BrakeAnnotation], `{"on":true,"since":"2000-01-01T00:00:10.`) {
			t.Errorf("annotations %q", got)
		}
		f.taintAll(0, 4)
		f.wait(65)
		if text := f.c.BrakeText(); text != "" {
			t.Errorf("after, it says %q", text)
		}
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1", "Normal TaintManagerEvictionBrakeOff 1")
		if got := f.annotations(); got[BrakeMessageAnnotation] != "" || got[BrakeAnnotation] != "" {
			t.Errorf("annotations %q", got)
		}
		if looked.Load() != 1 {
			t.Errorf("looked up the Deployment %d times", looked.Load())
		}
	})
}

// TestBrakeLetsFailoverGoOn has nodes be not ready while the brake is on, with the taint that is held, and without.
func TestBrakeLetsFailoverGoOn(t *testing.T) {
	notReady := taintOf(v1.TaintNodeNotReady)
	bubble(t, func(f *fixture) {
		f.fleet(8, 2, func(pod *v1.Pod) {
			if pod.Spec.NodeName == "n7" {
				tolerating(v1.TaintNodeNotReady, 30)(pod)
			}
		})
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.taintAll(7, 7, taintOf("a"))
		f.wait(10)
		f.expectLeft(0, 0, 0, 2, 2, 2, 2, 2)
		f.taintAll(4, 4, taintOf("a"), notReady)
		f.taintAll(5, 5, notReady)
		f.taintAll(6, 6, notReady, taintOf("a"))
		f.taintAll(7, 7, taintOf("a"), notReady)
		f.wait(1)
		f.expectLeft(0, 0, 0, 2, 0, 0, 0, 2)
		f.wait(28.5)
		f.expectLeft(0, 0, 0, 2, 0, 0, 0, 2)
		f.wait(1.5)
		f.expectLeft(0, 0, 0, 2, 0, 0, 0, 0)
		f.taintAll(3, 3, notReady) // the taint that was held goes
		f.wait(1)
		f.expectLeft(0, 0, 0, 0, 0, 0, 0, 0)
		f.counts("taint_manager_eviction_brake_on", 1)
	})
}

// TestBrakeLetsGoByItself has the taints get older than the window, and nodes be untainted meanwhile that the caches show tainted.
func TestBrakeLetsGoByItself(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(6, 2)
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 5, taintOf("a"))
		f.wait(640)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		f.api.Lag("nodes", time.Hour)
		f.api.Taint("n4")
		f.wait(10)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		f.wait(15)
		f.expectLeft(0, 0, 0, 0, 2, 0)
		f.counts("taint_manager_eviction_brake_on", 0)
		f.counts("taint_manager_held_evictions", 0)
		if first, held := f.accepted("first"), f.accepted("held"); first != 6 || held != 4 {
			t.Errorf("%d pods went at first, and %d after they were held", first, held)
		}
	})
}

// accepted is how many deletions the API server has accepted, by the attempt that the metric of the lateness tells.
func (f *fixture) accepted(attempt string) (n uint64) {
	f.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "taint_manager_eviction_lateness_seconds" && metric.GetLabel()[0].GetValue() == attempt {
				n += metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// TestBrakeHoldsEvictions has pods be evicted by the eviction API: none is asked for that the brake holds.
func TestBrakeHoldsEvictions(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.start(evicts(), braked())
		f.wait(10)
		f.taintAll(0, 0, taintOf("a"))
		f.wait(2) // for the budgets to be read
		f.taintAll(1, 4, taintOf("a"))
		f.wait(5)
		f.expectLeft(0, 0, 0, 2, 2)
		if n := f.evictions(); n != 6 {
			t.Errorf("%d evictions, want 6", n)
		}
		f.taintAll(0, 1)
		f.wait(61)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeHoldsNoOtherPods has nodes be tainted that are not too many.
func TestBrakeHoldsNoOtherPods(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 2, taintOf("a"))
		f.wait(1)
		f.expectLeft(0, 0, 0, 2, 2)
		f.wait(600) // these are too old to count
		f.taintAll(3, 4, taintOf("a"))
		f.wait(1)
		f.expectLeft(0, 0, 0, 0, 0)
		f.expectBrakeEvents()
	})
}

// TestBrakeForgetsNodes has nodes that count be deleted.
func TestBrakeForgetsNodes(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(1)
		f.expectLeft(0, 0, 0, 2, 2)
		f.api.RemoveNode("n0")
		f.api.RemoveNode("n1")
		f.wait(59)
		f.expectLeft(0, 0, 0, 2, 2)
		f.wait(2)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeHoldsWhatAPauseHeld has a policy hold all evictions, and be deleted.
func TestBrakeHoldsWhatAPauseHeld(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700) // the taints are too old to count
		f.expectLeft(2, 2, 2, 2, 2)
		if got := f.annotations()[PausedByAnnotation]; got != "pause" {
			t.Errorf("paused by %q", got)
		}
		f.deletePolicy("pause")
		f.wait(2)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_on", 1)
		if got := f.annotations()[PausedByAnnotation]; got != "" {
			t.Errorf("paused by %q", got)
		}
		f.wait(655)
		f.expectLeft(2, 2, 2, 2, 2)
		f.wait(5)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeHoldsNoPauseOfAFewNodes is the same with fewer nodes.
func TestBrakeHoldsNoPauseOfAFewNodes(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(4, 2)
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 2, taintOf("a"))
		f.wait(700)
		f.deletePolicy("pause")
		f.wait(2)
		f.expectLeft(0, 0, 0, 2)
	})
}

func TestBrakeHoldsWhatAPolicyHeldThatExpires(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		expires := time.Now().Add(700 * time.Second)
		f.policy("keep", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], expireTime: "+expires.UTC().Format(time.RFC3339)+"}")
		f.start(braked())
		f.taintAll(0, 4, taintOf("a"))
		f.wait(time.Until(expires).Seconds() - 1)
		f.counts("taint_manager_eviction_brake_on", 0)
		f.wait(3)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_on", 1)
		f.wait(655)
		f.expectLeft(2, 2, 2, 2, 2)
		f.wait(5)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeOverARestart restarts while it is on. Three nodes have been emptied then.
func TestBrakeOverARestart(t *testing.T) {
	for name, test := range map[string]func(f *fixture){
		"nodes that were emptied count": func(f *fixture) {
			f.stop()
			f.wait(5)
			f.start(braked())
			f.wait(100)
			f.counts("taint_manager_eviction_brake_nodes", 6)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1", "Warning TaintManagerEvictionBrakeOn 1")
			f.wait(510)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.wait(70)
			f.expectLeft(0, 0, 0, 0, 0, 0)
		},
		"the cooldown goes on": func(f *fixture) {
			f.taintAll(0, 2)
			f.wait(20)
			f.stop()
			f.wait(5)
			f.start(braked())
			f.wait(25)
			f.expectLeft(0, 0, 0, 2, 2, 2)
			f.counts("taint_manager_eviction_brake_on", 1)
			f.wait(15)
			f.expectLeft(0, 0, 0, 0, 0, 0)
			f.counts("taint_manager_eviction_brake_on", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				f.fleet(6, 2)
				f.start(braked())
				f.wait(10)
				f.taintAll(0, 5, taintOf("a"))
				f.wait(10)
				f.expectLeft(0, 0, 0, 2, 2, 2)
				test(f)
			})
		})
	}
}

// TestBrakeOfAPauseOverARestart restarts after a policy was deleted: that is nowhere but in the state.
func TestBrakeOfAPauseOverARestart(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700)
		f.deletePolicy("pause")
		f.wait(3)
		f.stop()
		f.start(braked())
		f.wait(300)
		f.counts("taint_manager_eviction_brake_nodes", 5)
		f.expectLeft(2, 2, 2, 2, 2)
		f.wait(370)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestBrakeOfAPolicyThatWentBetweenProcesses deletes a policy while no process runs, as an uninstallation of the CRD at an upgrade does.
func TestBrakeOfAPolicyThatWentBetweenProcesses(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.policy("delete", "{matchingPrecedence: 7, mode: Delete, taints: [{key: other}], minTaintAgeSeconds: 5}")
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep}")
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700)
		f.stop()
		f.wait(5)
		f.start(braked()) // nothing has changed
		f.wait(5)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_nodes", 0)
		f.stop()
		f.deletePolicy("pause")
		f.wait(5)
		f.start(braked())
		f.wait(300)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_nodes", 5)
		f.wait(370)
		f.expectLeft(0, 0, 0, 0, 0)
	})
}

// TestPaceOfNodes has three nodes be tainted at once, of which one may begin in ten seconds, and one be lost.
func TestPaceOfNodes(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(4, 2)
		f.start(braked(func(c *brake.Config) { c.MaxNodes, c.NodesPerMinute = intstr.FromInt32(0), 6 }))
		f.wait(60)
		for i := range 3 {
			f.api.Taint(fmt.Sprint("n", i), taintOf("a"))
		}
		emptied := func(want int) {
			t.Helper()
			left := f.leftOn(3, 2)
			slices.Sort(left)
			if want := slices.Concat(make([]int, want), slices.Repeat([]int{2}, 3-want)); !slices.Equal(left, want) {
				t.Errorf("at %v pods are left: %v, want %v", time.Now(), left, want)
			}
		}
		f.wait(0.5)
		emptied(1)
		f.counts("taint_manager_held_evictions", 4)
		f.api.Taint("n3", taintOf(v1.TaintNodeNotReady))
		f.wait(9.4)
		emptied(1)
		if left := f.leftOn(4, 2)[3]; left != 0 {
			t.Errorf("%d pods are left on a node that is not ready", left)
		}
		f.wait(0.3)
		emptied(2)
		f.wait(9.6)
		emptied(2)
		f.wait(0.4)
		emptied(3)
		f.counts("taint_manager_eviction_brake_on", 0)
	})
}

// TestBrakeOfAFollower has a replica that does not lead know the same, write nothing, and then lead.
func TestBrakeOfAFollower(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.startFollower(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(5)
		f.counts("taint_manager_eviction_brake_on", 1)
		f.expectBrakeEvents()
		if got := f.annotations(); len(got) != 0 {
			t.Errorf("annotations %q", got)
		}
		ctx, cancel := context.WithCancel(f.context())
		led := make(chan struct{})
		go func() { defer close(led); f.c.Lead(ctx) }()
		f.wait(3)
		f.expectLeft(2, 2, 2, 2, 2)
		f.expectBrakeEvents("Warning TaintManagerEvictionBrakeOn 1")
		if got := f.annotations(); got[BrakeMessageAnnotation] == "" {
			t.Errorf("annotations %q", got)
		}
		cancel()
		<-led
		assisting, stop := context.WithCancel(f.context())
		assisted := make(chan struct{})
		go func() { defer close(assisted); f.c.Assist(assisting) }()
		f.wait(3)
		f.expectLeft(2, 2, 2, 2, 2)
		stop()
		<-assisted
	})
}

// TestABrakeThatIsOff has all that is configured be off: nothing is different.
func TestABrakeThatIsOff(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.start(braked(func(c *brake.Config) { c.MaxNodes = intstr.FromString("0%") }))
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(1)
		f.expectLeft(0, 0, 0, 0, 0)
		if f.c.brake != nil || f.c.BrakeText() != "" {
			t.Error("there is a brake")
		}
	})
}
