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
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// TestPoliciesThatMayNotBeRead has the CRD come to a source that may not list policies, and knew until then that there are none.
func TestPoliciesThatMayNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		var forbidden atomic.Bool
		forbidden.Store(true)
		f.dynamic.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			return forbidden.Load(), nil, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
		})
		f.run()
		f.expect("there is no CRD")
		if !f.source.HasSynced() {
			t.Error("without the CRD, not synced")
		}

		f.crd.served.Store(true)
		f.settle(11 * time.Second)
		f.expect("nobody knows which policies there are", " Keep")
		kept := deadline.Decide(deadline.Pod{}, []deadline.Taint{{Key: "a", Effect: v1.TaintEffectNoExecute, Start: noon}}, deadline.Rules{Policies: f.source.Policies()})
		if kept.Reason != deadline.HeldByPolicy {
			t.Errorf("got %+v", kept)
		}
		if err := f.source.Err(); f.source.HasSynced() || !apierrors.IsForbidden(err) {
			t.Errorf("may not read: synced %t, %v", f.source.HasSynced(), err)
		}
		if signals := f.signals.Load(); signals != 2 {
			t.Errorf("%d signals: one that there are none, and one that nobody knows", signals)
		}

		f.crd.served.Store(false)
		f.settle(2 * time.Second)
		f.expect("the CRD went again")
		if !f.source.HasSynced() || f.source.Err() != nil {
			t.Errorf("without the CRD: synced %t, %v", f.source.HasSynced(), f.source.Err())
		}

		f.crd.served.Store(true)
		f.settle(11 * time.Second)
		f.expect("it came again", " Keep")
		forbidden.Store(false)
		f.settle(2 * time.Second)
		f.expect("may read", "a Delete")
		if !f.source.HasSynced() || f.source.Err() != nil {
			t.Errorf("read: synced %t, %v", f.source.HasSynced(), f.source.Err())
		}
	})
}

// TestPoliciesThatCannotBeListedAtFirst has the CRD come, and an API server that then fails for a while.
func TestPoliciesThatCannotBeListedAtFirst(t *testing.T) {
	for _, failure := range []error{
		apierrors.NewInternalError(errors.New("no")), apierrors.NewTooManyRequests("no", 1), apierrors.NewTimeoutError("no", 1), errors.New("connection refused"),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
			var fails atomic.Bool
			f.dynamic.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return fails.Load(), nil, failure })
			f.run()
			f.settle(time.Second)
			fails.Store(true)
			f.crd.served.Store(true)
			f.settle(11 * time.Second)
			f.expect(failure.Error(), " Keep")
			if f.source.HasSynced() || f.source.Err() == nil {
				t.Errorf("%v: synced %t, error %v", failure, f.source.HasSynced(), f.source.Err())
			}
			fails.Store(false)
			f.settle(31 * time.Second)
			f.expect("it is read", "a Delete")
			fails.Store(true)
			f.settle(time.Minute)
			f.expect("it was read", "a Delete")
		})
	}
}

// TestPermissionWithdrawn has the permission go after policies have been read: they go on, until there is no CRD any more.
func TestPermissionWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		events := watch.NewRaceFreeFake()
		f.dynamic.PrependWatchReactor("*", func(clienttesting.Action) (bool, watch.Interface, error) { return true, events, nil })
		f.run()
		f.settle(time.Second)
		f.expect("read", "a Delete")
		f.fail("list", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no")))
		f.dynamic.PrependWatchReactor("*", func(clienttesting.Action) (bool, watch.Interface, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
		})
		events.Stop()
		f.settle(time.Minute)
		f.expect("no longer allowed", "a Delete")
		if !f.source.HasSynced() || !apierrors.IsForbidden(f.source.Err()) {
			t.Errorf("no longer allowed: synced %t, %v", f.source.HasSynced(), f.source.Err())
		}
		f.crd.served.Store(false)
		f.settle(2 * time.Second)
		f.expect("the CRD went")
	})
}
