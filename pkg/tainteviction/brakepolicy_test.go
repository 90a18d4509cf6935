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
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/deadline"
)

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

// TestBrakeHoldsWhatUnreadPoliciesHeld has the CRD come to a controller that may not list policies, until it goes again.
func TestBrakeHoldsWhatUnreadPoliciesHeld(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.fleet(5, 2)
		f.noCRD.Store(true)
		f.dynamic.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
		})
		f.start(braked())
		f.wait(10)
		f.noCRD.Store(false)
		f.wait(20)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(700) // the taints are too old to count
		f.expectLeft(2, 2, 2, 2, 2)
		f.noCRD.Store(true)
		f.wait(4)
		f.expectLeft(2, 2, 2, 2, 2)
		f.counts("taint_manager_eviction_brake_on", 1)
		f.wait(660)
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

// TestPaceOfNodesWithNothingLeft has one pod of the node whose turn is next go by itself, and the other one be due later.
func TestPaceOfNodesWithNothingLeft(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(3, 2)
		f.start(braked(func(c *brake.Config) { c.MaxNodes, c.NodesPerMinute = intstr.FromInt32(0), 6 }))
		f.wait(60)
		for i := range 3 {
			f.api.Taint(fmt.Sprint("n", i), taintOf("a"))
			f.wait(0.1)
		}
		f.expectLeft(0, 2, 2)
		f.api.RemovePod("n1-p0")
		f.api.UpdatePod("n1-p1", tolerating("a", 9))
		f.wait(8)
		f.expectLeft(0, 1, 2)
		f.wait(2)
		f.expectLeft(0, 1, 0)
		f.wait(10)
		f.expectLeft(0, 0, 0)
	})
}

// TestBrakeAndABudget has pods be due for a taint that the brake holds, while a budget holds up that they are evicted for one that it ignores.
// They wait for the budget as any others do, and go when the brake lets go.
func TestBrakeAndABudget(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(6, 2, of("web"))
		f.api.AddBudget("web", "web", 12)
		f.api.ReconcileBudgets()
		f.start(braked(), evicts(func(p *deadline.Policy) { p.Taints[0].Key = v1.TaintNodeNotReady }))
		f.wait(10)
		f.taintAll(0, 5, taintOf("a"))
		f.wait(5)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		f.taintAll(5, 5, taintOf("a"), taintOf(v1.TaintNodeNotReady))
		f.wait(30)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		if n := f.evictions(); n > 4 {
			t.Errorf("%d evictions", n)
		}
		if n := f.c.budgets.Waiting(); n != 2 {
			t.Errorf("%d pods wait for the budget, want 2", n)
		}
		f.taintAll(0, 4)
		f.wait(59)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		f.wait(3)
		f.expectLeft(0, 0, 0, 2, 2, 0)
		if n := f.c.budgets.Waiting(); n != 0 {
			t.Errorf("%d pods wait for the budget, want none", n)
		}
	})
}

// TestBrakeHoldsByTheLiveNode has the caches show a taint for which a pod may go while the brake is on, and the live node lack it. The node is read
// at longer and longer intervals.
func TestBrakeHoldsByTheLiveNode(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.fleet(6, 2)
		f.start(braked())
		f.wait(10)
		f.taintAll(0, 4, taintOf("a"))
		f.wait(5)
		f.api.Lag("nodes", 20*time.Second)
		f.taintAll(4, 4, taintOf("a"), taintOf(v1.TaintNodeNotReady))
		f.wait(19.9)
		f.taintAll(4, 4, taintOf("a"))
		before := f.api.Count("GET /api/v1/nodes/n4")
		f.wait(18)
		f.expectLeft(0, 0, 0, 2, 2, 2)
		if n := f.api.Count("GET /api/v1/nodes/n4") - before; n < 1 || n > 12 {
			t.Errorf("%d reads of the node", n)
		}
	})
}
