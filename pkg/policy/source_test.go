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
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/metadata"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// fixture has a source that reads from fake clients.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	source  *Source
	dynamic *dynamicfake.FakeDynamicClient
	crd     crd
	signals atomic.Int32
}

// crd answers discovery.
type crd struct {
	discovery.ServerResourcesInterfaceWithContext
	served atomic.Bool
	err    atomic.Pointer[error]
}

func (c *crd) ServerResourcesForGroupVersionWithContext(context.Context, string) (*metav1.APIResourceList, error) {
	if err := c.err.Load(); err != nil {
		return nil, *err
	}
	if !c.served.Load() {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, "")
	}
	return &metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "taintevictionpolicies/status"}, {Name: "taintevictionpolicies"}}}, nil
}

func newFixture(t *testing.T, namespaces ...runtime.Object) *fixture {
	f := &fixture{t: t, ctx: t.Context()}
	f.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{resource(): "TaintEvictionPolicyList"})
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var err error
	f.source, err = NewSource(Config{Discovery: &f.crd, Policies: f.dynamic, Namespaces: metadatafake.NewSimpleMetadataClient(scheme, namespaces...)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestNoEndOfStreamingLists has a proxy that keeps the bookmarks to itself by which a streaming list ends.
func TestNoEndOfStreamingLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		api.Put(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "x"}}})
		api.Put(&v1alpha1.TaintEvictionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "keep"},
			Spec: v1alpha1.TaintEvictionPolicySpec{
				MatchingPrecedence: ptr.To[int32](7), Mode: v1alpha1.ModeKeep,
				NamespaceSelector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"team": "x"}},
			},
		})
		proxy := &apitest.Proxy{Next: api}
		proxy.Swallow(true)
		config := &rest.Config{Host: "http://model", Transport: proxy, QPS: -1}
		source, err := NewSource(Config{
			Discovery: discovery.NewDiscoveryClientForConfigOrDie(config), Policies: dynamic.NewForConfigOrDie(config), Namespaces: metadata.NewForConfigOrDie(config),
		})
		if err != nil {
			t.Fatal(err)
		}
		go source.Run(t.Context())
		time.Sleep(time.Second)
		if !source.HasSynced() || len(source.Policies()) != 1 {
			t.Errorf("synced: %t, policies: %v", source.HasSynced(), source.Policies())
		}
		if labels := source.NamespaceLabels("shop"); labels == nil || labels.Get("team") != "x" {
			t.Errorf("labels: %v", labels)
		}
	})
}

// TestSinceIsOnTheLocalTimeline has a wall clock that is an hour behind the timeline of all deadlines.
func TestSinceIsOnTheLocalTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ahead := time.Now().Add(time.Hour)
		var err error
		f.source, err = NewSource(Config{
			Discovery: &f.crd, Policies: f.dynamic, Namespaces: f.source.config.Namespaces, Local: clocktesting.NewFakePassiveClock(ahead),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.crd.served.Store(true)
		f.create(object(t, "keep", "{matchingPrecedence: 1, mode: Keep}"))
		f.run()
		f.settle(time.Second)
		if policies := f.source.Policies(); len(policies) != 1 || !policies[0].Since.Equal(ahead) {
			t.Errorf("got %+v, want since %v", policies, ahead)
		}
	})
}

// TestTimesFollowTheServerClock has an API server whose clock is five minutes ahead at first, and right then.
func TestTimesFollowTheServerClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		clock := serverclock.New(clocktesting.NewFakePassiveClock(noon))
		f.source.config.Clock = clock
		f.source.set.compile = func(object *unstructured.Unstructured) (compiled, error) { return compile(object, clock, noon) }
		clock.Observe(noon, noon, noon.Add(5*time.Minute))
		f.crd.served.Store(true)
		until := object(t, "until", `{matchingPrecedence: 1, mode: Keep, expireTime: "2026-03-01T13:00:00Z"}`)
		until.SetManagedFields([]metav1.ManagedFieldsEntry{{Operation: "Apply", Time: ptr.To(metav1.NewTime(noon)), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}})
		f.create(until)
		f.run()
		want := func(what string, earlier time.Duration) {
			t.Helper()
			f.settle(time.Second)
			policies := f.source.Policies()
			if len(policies) != 1 || !policies[0].Expires.Equal(noon.Add(time.Hour-earlier)) || !policies[0].Since.Equal(noon.Add(time.Second-earlier)) {
				t.Errorf("%s: got %+v", what, policies)
			}
		}
		want("ahead", 5*time.Minute)
		clock.Observe(noon, noon, noon)
		if !clock.Moved(time.Millisecond) {
			t.Error("the estimate has not moved")
		}
		want("before the source is told", 5*time.Minute)
		f.source.FollowClock(f.ctx)
		want("right", 0)

		f.source.set.read = false
		f.source.set.hold()
		f.source.FollowClock(f.ctx)
		if policies := f.source.Policies(); len(policies) != 1 || policies[0].Name != "" {
			t.Errorf("while policies may not be read: got %+v", policies)
		}
	})
}

// run starts the source, and counts its signals.
func (f *fixture) run() {
	go f.source.Run(f.ctx)
	go func() {
		for {
			select {
			case <-f.ctx.Done():
				return
			case <-f.source.Changed():
				f.signals.Add(1)
			}
		}
	}()
	f.settle(0)
}

// settle lets a time pass, and what happens then.
func (f *fixture) settle(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func (f *fixture) create(object *unstructured.Unstructured) {
	f.t.Helper()
	if _, err := f.dynamic.Resource(resource()).Create(f.ctx, object, metav1.CreateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	f.settle(0)
}

func (f *fixture) update(object *unstructured.Unstructured) {
	f.t.Helper()
	if _, err := f.dynamic.Resource(resource()).Update(f.ctx, object, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	f.settle(0)
}

func (f *fixture) delete(name string) {
	f.t.Helper()
	if err := f.dynamic.Resource(resource()).Delete(f.ctx, name, metav1.DeleteOptions{}); err != nil {
		f.t.Fatal(err)
	}
	f.settle(0)
}

// fail has a verb fail until the returned function is called.
func (f *fixture) fail(verb string, err error) (stop func()) {
	var stopped atomic.Bool
	f.dynamic.PrependReactor(verb, "*", func(clienttesting.Action) (bool, runtime.Object, error) { return !stopped.Load(), nil, err })
	return func() { stopped.Store(true) }
}

// expect compares the policies that apply, as name and mode, in order.
func (f *fixture) expect(what string, want ...string) {
	f.t.Helper()
	var got []string
	for _, policy := range f.source.Policies() {
		got = append(got, policy.Name+" "+string(policy.Mode))
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestPoliciesApplyInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.create(object(t, "b", "{matchingPrecedence: 20, mode: Preview}"))
		f.create(object(t, "z", "{matchingPrecedence: 20, mode: Keep}"))
		f.run()
		f.settle(time.Second)
		f.expect("by precedence, Keep first", "z Keep", "b Preview")
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"))
		f.create(object(t, "y", "{matchingPrecedence: 3, mode: Preview}"))
		f.expect("then by name", "y Preview", "z Keep", "a Delete", "b Preview")
		signals := f.signals.Load()
		changed := object(t, "y", "{matchingPrecedence: 30, mode: Delete, taints: [{key: a}]}")
		changed.SetGeneration(2)
		f.update(changed)
		f.expect("a policy that changed", "z Keep", "a Delete", "b Preview", "y Delete")
		f.delete("a")
		f.expect("a policy that is gone", "z Keep", "b Preview", "y Delete")
		if n := f.signals.Load() - signals; n != 2 {
			t.Errorf("%d signals for 2 changes", n)
		}
		touched := changed.DeepCopy()
		touched.SetLabels(map[string]string{"a": "b"})
		f.update(touched)
		if n := f.signals.Load() - signals; n != 2 {
			t.Errorf("a signal for a change of the metadata")
		}
	})
}

func TestAnInvalidPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.crd.served.Store(true)
		f.run()
		f.create(object(t, "new", "{matchingPrecedence: 20, mode: Drain, taints: [{key: a}]}"))
		f.create(object(t, "broken", "{mode: [Drain]}"))
		f.create(object(t, "good", "{matchingPrecedence: 30, mode: Delete, taints: [{key: a}]}"))
		f.expect("one that was never valid keeps pods", "broken Keep", "new Keep", "good Delete")
		if taints := f.source.Policies()[0].Taints; len(taints) != 0 {
			t.Errorf("a policy that cannot be read keeps only pods with %v", taints)
		}
		worse := object(t, "good", "{matchingPrecedence: 1, mode: Drain}")
		worse.SetGeneration(2)
		f.update(worse)
		f.expect("the version accepted last goes on", "broken Keep", "new Keep", "good Delete")
		f.delete("good")
		again := object(t, "good", "{matchingPrecedence: 40, mode: Drain, taints: [{key: a}]}")
		again.SetUID("another")
		f.create(again)
		f.expect("another policy of the name has no such version", "broken Keep", "new Keep", "good Keep")
		better := object(t, "new", "{matchingPrecedence: 20, mode: Preview}")
		better.SetGeneration(2)
		f.update(better)
		f.expect("corrected", "broken Keep", "new Preview", "good Keep")
	})
}

func TestWithoutTheCRD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Keep}"))
		events, gone := watch.NewRaceFreeFake(), apierrors.NewNotFound(schema.GroupResource{}, "")
		f.dynamic.PrependWatchReactor("*", func(clienttesting.Action) (bool, watch.Interface, error) {
			if !f.crd.served.Load() {
				return true, nil, gone
			}
			return true, events, nil
		})
		f.run()
		if !f.source.HasSynced() || f.source.Err() != nil {
			t.Errorf("without the CRD: synced %t, %v", f.source.HasSynced(), f.source.Err())
		}
		f.expect("without the CRD")
		f.crd.served.Store(true)
		f.settle(10*time.Second + time.Millisecond)
		f.expect("the CRD came", "a Keep")
		f.crd.served.Store(false)
		events.Stop()
		f.settle(2 * time.Second)
		f.expect("the CRD went")
	})
}

func TestPoliciesThatCannotBeRead(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(f *fixture) (stop func())
	}{
		{"discovery fails", func(f *fixture) func() {
			err := error(apierrors.NewInternalError(errors.New("broken")))
			f.crd.err.Store(&err)
			return func() { f.crd.err.Store(nil) }
		}},
		{"the list is forbidden", func(f *fixture) func() {
			return f.fail("list", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no")))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.crd.served.Store(true)
				f.create(object(t, "a", "{matchingPrecedence: 20, mode: Keep}"))
				stop := test.fail(f)
				f.run()
				f.settle(time.Minute)
				if err := f.source.Err(); f.source.HasSynced() || err == nil || !strings.HasPrefix(err.Error(), "reading policies: ") {
					t.Errorf("never read: synced %t, %v", f.source.HasSynced(), err)
				}
				stop()
				f.settle(2 * time.Second)
				if !f.source.HasSynced() || f.source.Err() != nil {
					t.Errorf("read: synced %t, %v", f.source.HasSynced(), f.source.Err())
				}
				f.expect("read", "a Keep")
			})
		})
	}
}

func TestNamespaceLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		namespace := &metav1.PartialObjectMetadata{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "x"}, Annotations: map[string]string{"a": "b"}},
		}
		f := newFixture(t, namespace)
		f.crd.served.Store(true)
		f.run()
		if f.source.NamespaceLabels("shop") != nil {
			t.Error("namespaces are read without need")
		}
		f.create(object(t, "a", "{matchingPrecedence: 20, mode: Keep, namespaceSelector: {matchLabels: {team: x}}}"))
		f.settle(time.Second)
		if known := f.source.NamespaceLabels("shop"); known == nil || known.Get("team") != "x" {
			t.Errorf("got %v", known)
		}
		if f.source.NamespaceLabels("other") != nil {
			t.Error("labels of a namespace that is not known")
		}
		kept := deadline.Decide(deadline.Pod{Labels: deadline.Labels{Namespace: f.source.NamespaceLabels("shop"), Node: labels.Set{}, Pod: labels.Set{}}},
			[]deadline.Taint{{Key: "a", Effect: v1.TaintEffectNoExecute, Start: noon}}, deadline.Rules{Policies: f.source.Policies()})
		if kept.Reason != deadline.HeldByPolicy {
			t.Errorf("got %+v", kept)
		}
	})
}
