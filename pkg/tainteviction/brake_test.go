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
	"slices"
	"testing"
	"time"

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

// TestHeldPodThatIsDueLater has the tolerations of pods change that the brake holds.
func TestHeldPodThatIsDueLater(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(5, 2)
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(5)
		f.expectLeft(0, 0, 0, 2, 2)
		f.counts("taint_manager_held_evictions", 4)
		f.api.UpdatePod("n3-p0", tolerating("a", 300))
		f.api.UpdatePod("n3-p1", toleratingForever("a"))
		f.wait(1)
		f.counts("taint_manager_held_evictions", 2)
		f.taintAll(0, 2)
		f.wait(61)
		f.expectLeft(0, 0, 0, 2, 0)
		f.counts("taint_manager_held_evictions", 0)
		f.wait(300)
		f.expectLeft(0, 0, 0, 1, 0)
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
