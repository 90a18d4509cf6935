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

package policy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// statusOf reads the status of a policy.
func (f *fixture) statusOf(name string) v1alpha1.TaintEvictionPolicyStatus {
	f.t.Helper()
	object, err := f.dynamic.Resource(resource()).Get(f.ctx, name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	policy := &v1alpha1.TaintEvictionPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy); err != nil {
		f.t.Fatal(err)
	}
	return policy.Status
}

// patches counts the patches that were sent.
func (f *fixture) patches() (n int) {
	for _, action := range f.dynamic.Actions() {
		if action.GetVerb() == "patch" {
			if action.GetSubresource() != "status" {
				f.t.Errorf("a patch of %q, not of the status", action.GetSubresource())
			}
			n++
		}
	}
	return n
}

func expectCondition(t *testing.T, what string, status v1alpha1.TaintEvictionPolicyStatus, name string, want metav1.ConditionStatus, reason string) {
	t.Helper()
	condition := meta.FindStatusCondition(status.Conditions, name)
	if condition == nil || condition.Status != want || condition.Reason != reason || condition.ObservedGeneration != status.ObservedGeneration {
		t.Errorf("%s: condition %s: got %+v, want %s, %s", what, name, condition, want, reason)
	}
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		f.create(object(t, "b", "{matchingPrecedence: 20, mode: Drain}"))
		f.run()
		tally := NewTally(newGauges().all())
		leading, stop := context.WithCancel(f.ctx)
		go NewStatusWriter(f.dynamic, f.source, tally).Run(leading)
		f.settle(time.Second)
		a := f.statusOf("a")
		if a.ObservedGeneration != 1 || ptr.Deref(a.ScheduledPods, -1) != 0 || ptr.Deref(a.Nodes, -1) != 0 {
			t.Errorf("got %+v", a)
		}
		expectCondition(t, "nothing scheduled", a, v1alpha1.ConditionAccepted, metav1.ConditionTrue, "Accepted")
		expectCondition(t, "nothing scheduled", a, v1alpha1.ConditionEvictionInProgress, metav1.ConditionFalse, "NoPodScheduled")
		expectCondition(t, "not valid", f.statusOf("b"), v1alpha1.ConditionAccepted, metav1.ConditionFalse, "Invalid")
		if n := f.patches(); n != 2 {
			t.Errorf("%d patches for 2 policies", n)
		}
		f.settle(time.Minute)
		if n := f.patches(); n != 2 {
			t.Errorf("%d patches, and nothing changed", n)
		}

		policy := &f.source.Policies()[1]
		if policy.Name != "a" {
			policy = &f.source.Policies()[0]
		}
		for _, pod := range []types.UID{"1", "2", "3"} {
			tally.Set(pod, "node-"+string(pod), deadline.Decision{Evict: true, Policy: policy}, time.Now())
		}
		tally.SetBlocked("2", policy)
		f.settle(time.Second)
		a = f.statusOf("a")
		if *a.ScheduledPods != 3 || *a.BlockedPods != 1 || *a.PreviewPods != 0 || *a.KeptPods != 0 || *a.Nodes != 3 {
			t.Errorf("got %+v", a)
		}
		expectCondition(t, "scheduled", a, v1alpha1.ConditionEvictionInProgress, metav1.ConditionTrue, "PodsScheduled")

		stop()
		f.settle(0)
		tally.Remove("1")
		f.settle(time.Second)
		if n := *f.statusOf("a").ScheduledPods; n != 3 {
			t.Errorf("written without the Lease: %d", n)
		}
	})
}

func TestAStatusThatCannotBeWrittenIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		stop := f.fail("patch", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no")))
		f.run()
		go NewStatusWriter(f.dynamic, f.source, NewTally(newGauges().all())).Run(f.ctx)
		f.settle(time.Minute)
		if generation := f.statusOf("a").ObservedGeneration; generation != 0 {
			t.Errorf("written: %d", generation)
		}
		stop()
		f.settle(time.Second)
		if generation := f.statusOf("a").ObservedGeneration; generation != 1 {
			t.Errorf("not written: %d", generation)
		}
	})
}

// TestAStatusIsWrittenAgainAfterAFailure has the counts be again what was written last, after a write that failed. That one may have taken effect.
func TestAStatusIsWrittenAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		f.run()
		tally := NewTally(newGauges().all())
		go NewStatusWriter(f.dynamic, f.source, tally).Run(f.ctx)
		f.settle(time.Second)
		stop := f.fail("patch", apierrors.NewTimeoutError("no answer", 0))
		tally.Set("1", "node", deadline.Decision{Evict: true, Policy: &f.source.Policies()[0]}, time.Now())
		f.settle(time.Second)
		tally.Remove("1")
		stop()
		before := f.patches()
		f.settle(time.Second)
		if n := f.patches() - before; n != 1 {
			t.Errorf("%d patches", n)
		}
		f.settle(time.Minute)
		if n := f.patches() - before; n != 1 {
			t.Errorf("%d patches in the end", n)
		}
	})
}
