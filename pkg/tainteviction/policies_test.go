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
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// servesPolicies answers discovery.
type servesPolicies struct {
	discovery.ServerResourcesInterfaceWithContext
	not *atomic.Bool
}

func (s servesPolicies) ServerResourcesForGroupVersionWithContext(context.Context, string) (*metav1.APIResourceList, error) {
	if s.not.Load() {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, "")
	}
	return &metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "taintevictionpolicies"}}}, nil
}

// policyFixture is a fixture whose controller reads policies.
type policyFixture struct {
	*fixture
	dynamic *dynamicfake.FakeDynamicClient
	// noCRD says that policies are not served.
	noCRD atomic.Bool
}

func policyBubble(t *testing.T, test func(f *policyFixture)) {
	t.Helper()
	bubble(t, func(f *fixture) {
		client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
			v1alpha1.GroupVersion.WithResource("taintevictionpolicies"): "TaintEvictionPolicyList",
		})
		test(&policyFixture{fixture: f, dynamic: client})
	})
}

func (f *policyFixture) start(options ...func(*Config)) {
	f.Helper()
	f.fixture.start(append(options, func(c *Config) {
		scheme := metadatafake.NewTestScheme()
		if err := metav1.AddMetaToScheme(scheme); err != nil {
			f.Fatal(err)
		}
		source, err := policy.NewSource(policy.Config{
			Discovery: servesPolicies{not: &f.noCRD}, Policies: f.dynamic, Namespaces: metadatafake.NewSimpleMetadataClient(scheme), Clock: c.ServerClock,
		})
		if err != nil {
			f.Fatal(err)
		}
		c.Policies, c.PolicyStatus = source, f.dynamic
	})...)
	f.wait(1)
}

func (f *policyFixture) resource() dynamic.ResourceInterface {
	return f.dynamic.Resource(v1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
}

// policy creates a policy from a spec in YAML.
func (f *policyFixture) policy(name, spec string) {
	f.Helper()
	var fields any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		f.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy",
		"metadata": map[string]any{"name": name, "uid": "uid-" + name, "generation": int64(1)}, "spec": fields,
	}}
	if _, err := f.resource().Create(f.Context(), object, metav1.CreateOptions{}); err != nil {
		f.Fatal(err)
	}
}

func (f *policyFixture) deletePolicy(name string) {
	f.Helper()
	if err := f.resource().Delete(f.Context(), name, metav1.DeleteOptions{}); err != nil {
		f.Fatal(err)
	}
}

// events are the messages of the Events about an object that have a reason.
func (f *policyFixture) events(kind, name, reason string) (messages []string) {
	for _, event := range f.api.Events(kind, name) {
		if event.Reason == reason {
			messages = append(messages, event.Message)
		}
	}
	return messages
}

func (f *policyFixture) expectEvents(kind, name, reason string, want ...string) {
	f.Helper()
	if got := f.events(kind, name, reason); fmt.Sprint(got) != fmt.Sprint(want) {
		f.Errorf("Events %s on %s %s: got %q, want %q", reason, kind, name, got, want)
	}
}

func TestAPolicyActsWithinASecond(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.policy("keep", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}]}")
		f.api.AddPod("now", "n")
		f.api.AddPod("later", "n", tolerating("a", 100))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(50)
		f.exists(true, "now", "later")
		f.expectEvents("Node", "n", keptEventReason, "Kept by policy keep: 1 pod that would be due now, 1 pod that would be due later")
		f.deletePolicy("keep")
		f.wait(1)
		f.exists(false, "now")
		f.exists(true, "later")
		f.policy("all", "{matchingPrecedence: 0, mode: Keep}")
		f.wait(1)
		f.expectEvents("Node", "n", cancelledEventReason, "Cancelled the scheduled eviction of 1 pod")
		f.wait(100)
		f.exists(true, "later")
	})
}

func TestLabelsThatChange(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.policy("pods", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], podSelector: {matchLabels: {app: web}}}")
		f.policy("nodes", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], nodeSelector: {matchLabels: {zone: x}}}")
		web := func(pod *v1.Pod) { pod.Labels = map[string]string{"app": "web"} }
		f.api.AddPod("web", "n", web)
		f.api.AddPod("other", "n")
		f.api.UpdateNode("n", func(node *v1.Node) { node.Labels = map[string]string{"zone": "x"} })
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(5)
		f.exists(true, "web", "other")
		f.api.UpdateNode("n", func(node *v1.Node) { node.Labels = nil })
		f.wait(1)
		f.exists(true, "web")
		f.exists(false, "other")
		f.api.UpdatePod("web", func(pod *v1.Pod) { pod.Labels = map[string]string{"app": "db"} })
		f.wait(1)
		f.exists(false, "web")
	})
}

// TestTheLiveLabelsDecide has watches that are behind: the labels of the caches are old.
func TestTheLiveLabelsDecide(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.policy("pods", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], podSelector: {matchLabels: {app: web}}}")
		f.policy("nodes", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], nodeSelector: {matchLabels: {zone: x}}}")
		f.api.AddNode("m")
		f.api.AddPod("pod", "n", tolerating("a", 10))
		f.api.AddPod("other", "m", tolerating("a", 10))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.api.Taint("m", taintOf("a"))
		f.wait(5)
		f.api.Lag("pods", time.Hour)
		f.api.Lag("nodes", time.Hour)
		f.api.UpdatePod("pod", func(pod *v1.Pod) { pod.Labels = map[string]string{"app": "web"} })
		f.api.UpdateNode("m", func(node *v1.Node) { node.Labels = map[string]string{"zone": "x"} })
		f.wait(30)
		f.exists(true, "pod", "other")
	})
}

// TestAPolicyExpiresByTheServerClock has an API server whose clock is five minutes ahead when the policy comes, and right later.
func TestAPolicyExpiresByTheServerClock(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		server := serverclock.New(clock.RealClock{})
		observe := func(ahead time.Duration) { server.Observe(time.Now(), time.Now(), time.Now().Add(ahead)) }
		expires := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
		f.policy("keep", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], expireTime: "+expires+"}")
		f.api.AddPod("pod", "n")
		observe(5 * time.Minute)
		f.start(func(c *Config) { c.ServerClock = server })
		f.api.Taint("n", taintOf("a"))
		f.wait(60)
		observe(0)
		f.wait(530)
		f.exists(true, "pod")
		f.wait(15)
		f.exists(false, "pod")
	})
}

func TestAPolicyThatExpires(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		expires := time.Now().Add(60 * time.Second).UTC().Format(time.RFC3339)
		f.policy("keep", "{matchingPrecedence: 1, mode: Keep, taints: [{key: a}], expireTime: "+expires+"}")
		f.api.AddPod("pod", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(58)
		f.exists(true, "pod")
		f.wait(3)
		f.exists(false, "pod")
	})
}

// TestPolicyMetrics looks at each mode from the start on, when there is no policy yet.
func TestPolicyMetrics(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.api.AddPod("deleted", "n", tolerating("a", 100), tolerating("b", 1000))
		f.api.AddPod("previewed", "n", tolerating("a", 100))
		f.api.AddPod("kept", "m")
		f.api.AddNode("m")
		f.start()
		f.policyPods(map[string]float64{"Delete": 0, "Evict": 0, "Preview": 0, "Keep": 0})
		f.policy("delete", "{matchingPrecedence: 1, mode: Delete, taints: [{key: a}]}")
		f.policy("preview", "{matchingPrecedence: 1, mode: Preview, taints: [{key: b}]}")
		f.policy("keep", "{matchingPrecedence: 1, mode: Keep, taints: [{key: c}]}")
		f.wait(1)
		f.api.Taint("n", taintOf("a"), taintOf("b"))
		f.api.Taint("m", taintOf("c"))
		f.wait(1)
		f.policyPods(map[string]float64{"Delete": 2, "Evict": 0, "Preview": 2, "Keep": 1})
		f.wait(101)
		f.policyPods(map[string]float64{"Delete": 0, "Evict": 0, "Preview": 0, "Keep": 1})
		f.deletePolicy("keep")
		f.wait(2)
		f.policyPods(map[string]float64{"Delete": 0, "Evict": 0, "Preview": 0, "Keep": 0})
	})
}

// policyPods checks the metric of pods by mode: its values, and that it has no others.
func (f *policyFixture) policyPods(want map[string]float64) {
	f.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "taint_manager_policy_pods" {
			continue
		}
		for _, metric := range family.GetMetric() {
			got[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
		}
	}
	if !maps.Equal(got, want) {
		f.Errorf("pods by mode: got %v, want %v", got, want)
	}
}

func TestNotices(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.policy("notice", "{matchingPrecedence: 1, mode: Delete, taints: [{key: a}], noticeSeconds: 30}")
		f.api.AddPod("later", "n", tolerating("a", 100))
		f.api.AddPod("saved", "n", tolerating("a", 100))
		f.api.AddPod("soon", "n", tolerating("a", 20))
		f.api.AddPod("now", "n")
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(65)
		f.expectEvents("Pod", "later", noticeEventReason)
		f.wait(10)
		if got := f.events("Pod", "later", noticeEventReason); len(got) != 1 || !strings.HasPrefix(got[0], "Will be evicted from node n at 2000-01-01T00:01:4") ||
			!strings.HasSuffix(got[0], " for taint a:NoExecute, by policy notice") {
			t.Errorf("got %q", got)
		}
		if got := f.events("Pod", "saved", noticeEventReason); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		f.api.UpdatePod("saved", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](1000) })
		f.wait(2)
		f.expectEvents("Pod", "saved", withdrawnEventReason, "The eviction that was announced is cancelled or moved to a later time")
		f.wait(100)
		f.exists(false, "later", "soon", "now")
		f.exists(true, "saved")
		for _, pod := range []string{"soon", "now"} {
			f.expectEvents("Pod", pod, noticeEventReason)
		}
		f.expectEvents("Pod", "later", withdrawnEventReason)
		if n := len(f.events("Pod", "later", noticeEventReason)); n != 1 {
			t.Errorf("%d notices", n)
		}
	})
}

// TestNoticesThatStillHold has a pod that was told go earlier for another taint, and the policy go that asked for the notice.
func TestNoticesThatStillHold(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.policy("notice", "{matchingPrecedence: 1, mode: Delete, taints: [{key: a}], noticeSeconds: 60, gracePeriodSeconds: 300}")
		f.api.AddPod("pod", "n", tolerating("a", 100), func(pod *v1.Pod) { pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](300) })
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(50)
		f.deletePolicy("notice")
		f.wait(10)
		f.expectEvents("Pod", "pod", withdrawnEventReason)
		f.api.Taint("n", taintOf("a"), taintOf("b"))
		f.wait(2)
		if n := len(f.events("Pod", "pod", noticeEventReason)); n != 1 {
			t.Errorf("%d notices", n)
		}
		f.expectEvents("Pod", "pod", withdrawnEventReason)
	})
}

// TestWhatWasHeldBackBefore has pods be held back before this replica leads: it tells of them once it does, and once only.
func TestWhatWasHeldBackBefore(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("due", "n")
		f.api.AddPod("later", "n", tolerating("a", 1000))
		f.api.AddPod("stays", "n", toleratingForever("a"))
		f.api.Taint("n", taintOf("a"))
		f.startFollower(func(c *Config) { c.Rules.DryRun = true })
		f.wait(5)
		if events := f.api.Events("Node", "n"); len(events) != 0 {
			t.Errorf("one that does not lead told %v", events)
		}
		ctx, cancel := context.WithCancel(f.context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.c.Lead(ctx) }()
		f.wait(5)
		f.api.UpdatePod("stays", func(pod *v1.Pod) { pod.Labels = map[string]string{"changed": "true"} })
		f.api.Taint("n", taintOf("a"), v1.Taint{Key: "other", Effect: v1.TaintEffectNoSchedule})
		f.wait(5)
		events := f.api.Events("Node", "n")
		const want = "Preview by a dry run, nothing is evicted: 1 pod would be due now, 1 pod later"
		if len(events) != 1 || events[0].Reason != "TaintManagerPreview" || events[0].Count != 1 || events[0].Message != want {
			t.Errorf("Events %v", events)
		}
		cancel()
		<-ended
	})
}
