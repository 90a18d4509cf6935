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
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// pauseScene is a cluster of fake clients: node n1 has taint a and three pods, one of which tolerates it for an hour; node n2 is unreachable
// and has one pod.
type pauseScene struct {
	t       *testing.T
	common  *Common
	reader  *snapshot.Reader
	dynamic *dynamicfake.FakeDynamicClient
	// user is who the API server says that we are. Empty is an error.
	user string
}

func newPauseScene(t *testing.T, policies ...string) *pauseScene {
	t.Helper()
	began := metav1.NewTime(time.Now().Add(-time.Minute))
	node := func(name string, taint string) *v1.Node {
		return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"name": name}}, Spec: v1.NodeSpec{
			Taints: []v1.Taint{{Key: taint, Effect: v1.TaintEffectNoExecute, TimeAdded: &began}},
		}}
	}
	pod := func(name, node string, tolerations ...v1.Toleration) *v1.Pod {
		return &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: began},
			Spec:       v1.PodSpec{NodeName: node, Tolerations: tolerations},
		}
	}
	hour := int64(3600)
	kube := fake.NewClientset(node("n1", "a"), node("n2", v1.TaintNodeUnreachable), pod("p1", "n1"), pod("p2", "n1"),
		pod("p3", "n1", v1.Toleration{Key: "a", Operator: v1.TolerationOpExists, TolerationSeconds: &hour}), pod("p4", "n2"))
	s := &pauseScene{t: t, user: "alice", common: NewCommon(genericiooptions.NewTestIOStreamsDiscard())}
	kube.PrependReactor("create", "selfsubjectreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		if s.user == "" {
			return true, nil, errors.New("not found")
		}
		user := authenticationv1.UserInfo{Username: s.user}
		return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: user}}, nil
	})
	kube.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) { // the tracker knows no field selectors
		objects, err := kube.Tracker().List(v1.SchemeGroupVersion.WithResource("pods"), v1.SchemeGroupVersion.WithKind("Pod"), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		list, selected := objects.(*v1.PodList).DeepCopy(), action.(clienttesting.ListAction).GetListRestrictions().Fields
		list.Items = slices.DeleteFunc(list.Items, func(pod v1.Pod) bool {
			wanted, exact := selected.RequiresExactMatch("spec.nodeName")
			return exact && pod.Spec.NodeName != wanted
		})
		return true, list, nil
	})
	var objects []runtime.Object
	for _, policy := range policies {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(policy), &object.Object); err != nil {
			t.Fatal(err)
		}
		object.SetAPIVersion("policy.taint-manager.io/v1alpha1")
		object.SetKind("TaintEvictionPolicy")
		objects = append(objects, object)
	}
	s.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{policiesResource(): "TaintEvictionPolicyList"}, objects...)
	s.reader = &snapshot.Reader{Kube: kube, Compact: kube.CoreV1(), Dynamic: s.dynamic, Clock: clock.RealClock{}}
	return s
}

func policiesResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "policy.taint-manager.io", Version: "v1alpha1", Resource: "taintevictionpolicies"}
}

func (s *pauseScene) pause(args ...string) (*explain.PauseResult, error) {
	s.t.Helper()
	return s.pauseUntil(s.t.Context(), args...)
}

func (s *pauseScene) pauseUntil(ctx context.Context, args ...string) (*explain.PauseResult, error) {
	s.t.Helper()
	o := &pause{pauseFlags: pauseFlags{Common: s.common}}
	flags := o.command()
	if err := flags.ParseFlags(args); err != nil {
		s.t.Fatal(err)
	}
	if err := o.complete(flags.Flags().Args(), flags.Flags().Changed("for")); err != nil {
		return nil, err
	}
	return o.by(ctx, s.reader)
}

func (s *pauseScene) resume(args ...string) (*explain.PauseResult, error) {
	s.t.Helper()
	o := &resume{pauseFlags{Common: s.common}}
	if err := o.command().ParseFlags(args); err != nil {
		s.t.Fatal(err)
	}
	return o.by(s.t.Context(), s.reader)
}

// must fails the test on an error.
func (s *pauseScene) must(result *explain.PauseResult, err error) *explain.PauseResult {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

// stored compares the annotation and the spec of a policy with YAML. An empty one is no policy.
func (s *pauseScene) stored(name, createdBy, spec string) {
	s.t.Helper()
	object, err := s.dynamic.Resource(policiesResource()).Get(s.t.Context(), name, metav1.GetOptions{})
	if spec == "" {
		if err == nil {
			s.t.Errorf("policy %s exists: %v", name, object.Object["spec"])
		}
		return
	}
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := yaml.Marshal(object.Object["spec"])
	if err != nil {
		s.t.Fatal(err)
	}
	if string(got) != spec || object.GetAnnotations()["taint-manager.io/created-by"] != createdBy {
		s.t.Errorf("policy %s by %q is\n%s\nwant by %q\n%s", name, object.GetAnnotations(), got, createdBy, spec)
	}
}

// refused checks that an error has a text in it, and whether it is one of usage.
func refused(t *testing.T, err error, usage bool, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || errors.As(err, &usageError{}) != usage {
		t.Errorf("got error %v, want one with %q, of usage: %t", err, text, usage)
	}
}

func TestPauseOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight of 2000-01-01
		s := newPauseScene(t)
		result := s.must(s.pause("--include-node-conditions", "--for=90m"))
		s.stored("pause", "alice", "expireTime: \"2000-01-01T01:30:00Z\"\nmatchingPrecedence: 0\nmode: Keep\n")
		if result.Held != (explain.HeldPods{Pods: 4, Nodes: 2, DueNow: 3, Later: 1}) {
			t.Errorf("it holds %+v", result.Held)
		}
		if result.Acknowledged || len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "has not reported within 5s") {
			t.Errorf("no controller runs: %v", result.Notes)
		}
		result = s.must(s.resume())
		s.stored("pause", "", "")
		if result.Held != (explain.HeldPods{Pods: 4, Nodes: 2, DueNow: 3, Later: 1}) {
			t.Errorf("it held %+v", result.Held)
		}
	})
}

func TestPauseOfSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t)
		result := s.must(s.pause("--taint=a", "--taint=b.example.com/*", "--taint=c=x:NoSchedule", "-l", "name in (n1,n3),zone!=z,rack=7,!old", "--name=mine"))
		s.stored("mine", "alice", `matchingPrecedence: 0
mode: Keep
nodeSelector:
  matchExpressions:
  - key: name
    operator: In
    values:
    - n1
    - n3
  - key: old
    operator: DoesNotExist
  - key: zone
    operator: NotIn
    values:
    - z
  matchLabels:
    rack: "7"
taints:
- key: a
- key: b.example.com/*
- effect: NoSchedule
  key: c
  value: x
`)
		if result.Held.Pods != 0 { // the node is of no rack
			t.Errorf("it holds %+v", result.Held)
		}
		if result = s.must(s.pause("--taint=a", "-l", "name=n1")); result.Held != (explain.HeldPods{Pods: 3, Nodes: 1, DueNow: 2, Later: 1}) {
			t.Errorf("it holds %+v", result.Held)
		}
	})
}

func TestPauseRefuses(t *testing.T) {
	s := newPauseScene(t, "metadata: {name: edge}\nspec: {matchingPrecedence: 10, mode: Keep}")
	_, err := s.pause("--for=1h")
	refused(t, err, true, "a pause of all taints also holds failover from nodes that are not ready, unreachable or out of service: name the taints "+
		"to hold, as in --taint a (those on nodes now); or hold all NoExecute taints with --include-node-conditions")
	_, err = s.pause("-l", "name=n2")
	refused(t, err, true, "as in --taint example.com/maintenance;")
	for _, key := range []string{"not-ready", "unreachable", "out-of-service"} {
		_, err = s.pause("--taint=node.kubernetes.io/" + key)
		refused(t, err, true, "add --include-node-conditions")
	}
	for text, args := range map[string][]string{
		"must be a second or more":             {"--for=0s"},
		"-l a in b":                            {"-l", "a in b"},
		"pause takes no arguments":             {"node-1"},
		"the effect must be NoExecute":         {"--taint=a:PreferNoSchedule"},
		"must be key, key=value":               {"--taint=:NoExecute"},
		`must be "none", "client" or "server"`: {"--dry-run=unchanged"},
		"-l a>1":                               {"--include-node-conditions", "-l", "a>1"},
	} {
		_, err = s.pause(args...)
		refused(t, err, true, text)
	}
	_, err = s.pause("--taint=a", "--name=edge", "--overwrite")
	refused(t, err, false, "policy edge is no pause: its mode is Keep and its precedence 10")
	_, err = s.resume("--name=edge", "--overwrite")
	refused(t, err, false, "policy edge is no pause")
	_, err = s.resume()
	refused(t, err, false, "there is no policy pause: nothing is paused by it")
	s.stored("pause", "", "")
}

func TestPauseOfSomebodyElse(t *testing.T) {
	const others = "metadata: {name: pause, annotations: {taint-manager.io/created-by: bob}}\nspec: {matchingPrecedence: 0, mode: Keep, expireTime: '2000-01-01T02:00:00Z'}"
	const untouched = "expireTime: \"2000-01-01T02:00:00Z\"\nmatchingPrecedence: 0\nmode: Keep\n"
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t, others)
		for _, user := range []string{"alice", ""} {
			s.user = user
			_, err := s.pause("--taint=a")
			refused(t, err, false, "policy pause is a pause by bob, 2000-01-01T02:00:00Z (in 120m): it holds pods that would go for any NoExecute taint, "+
				"also when nodes are not ready or unreachable; to replace it all the same, add --overwrite")
			_, err = s.resume()
			refused(t, err, false, "to end it all the same, add --overwrite")
		}
		s.stored("pause", "bob", untouched)
		_, err := s.resume("--name=other")
		refused(t, err, false, "there is no policy other; pauses that are on: pause; end one with --name")
		result := s.must(s.pause("--taint=a", "--overwrite")) // of somebody who is not known
		s.stored("pause", "", "matchingPrecedence: 0\nmode: Keep\ntaints:\n- key: a\n")
		if result.Before == nil || result.Before.CreatedBy != "bob" || !strings.Contains(result.Notes[0], "did not say who you are") {
			t.Errorf("got %+v", result)
		}
		s.must(s.resume("--overwrite"))
		s.stored("pause", "", "")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t, others)
		s.user = "bob"
		result := s.must(s.pause("--include-node-conditions", "--for=3h"))
		s.stored("pause", "bob", "expireTime: \"2000-01-01T03:00:00Z\"\nmatchingPrecedence: 0\nmode: Keep\n")
		if result.Action != explain.PauseReplaced || !result.Before.Until.Equal(time.Date(2000, time.January, 1, 2, 0, 0, 0, time.UTC)) {
			t.Errorf("got %+v", result)
		}
	})
	synctest.Test(t, func(t *testing.T) { // it is over
		s := newPauseScene(t, others)
		time.Sleep(2 * time.Hour)
		s.must(s.pause("--taint=a"))
		s.stored("pause", "alice", "matchingPrecedence: 0\nmode: Keep\ntaints:\n- key: a\n")
	})
}

func TestPauseDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t)
		result := s.must(s.pause("--taint=a", "--dry-run=client"))
		s.stored("pause", "", "")
		if result.Held != (explain.HeldPods{Pods: 3, Nodes: 1, DueNow: 2, Later: 1}) || result.DryRun != "client" || len(result.Notes) != 0 {
			t.Errorf("got %+v", result)
		}
		s.must(s.pause("--taint=a", "--dry-run=server"))
		var created []clienttesting.CreateActionImpl
		for _, action := range s.dynamic.Actions() {
			if create, is := action.(clienttesting.CreateActionImpl); is {
				created = append(created, create)
			}
		}
		if len(created) != 1 || !slices.Equal(created[0].CreateOptions.DryRun, []string{"All"}) {
			t.Errorf("sent %+v", created)
		}
		s = newPauseScene(t, "metadata: {name: pause, annotations: {taint-manager.io/created-by: alice}}\nspec: {matchingPrecedence: 0, mode: Keep}")
		if result = s.must(s.resume("--dry-run=client")); result.Held != (explain.HeldPods{Pods: 4, Nodes: 2, DueNow: 3, Later: 1}) {
			t.Errorf("it holds %+v", result.Held)
		}
		s.stored("pause", "alice", "matchingPrecedence: 0\nmode: Keep\n")
	})
}

// TestPauseWithoutReading has an API server that lists no pods. What a pause holds is not known then, and it holds all the same.
func TestPauseWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t)
		s.reader.Kube.(*fake.Clientset).PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("overloaded")
		})
		result := s.must(s.pause("--include-node-conditions", "--for=1h"))
		s.stored("pause", "alice", "expireTime: \"2000-01-01T01:00:00Z\"\nmatchingPrecedence: 0\nmode: Keep\n")
		if !result.HeldUnknown || len(result.Unread) != 1 || !strings.Contains(result.Unread[0].Error, "overloaded") || holds(result) != "How many pods it holds is not known." {
			t.Errorf("got %+v", result)
		}
		if result = s.must(s.resume()); letGo(result) != "How many pods it held is not known." {
			t.Errorf("got %+v", result)
		}
		s.stored("pause", "", "")
	})
}

// TestPauseDoesNotHold has a policy that has a NoSchedule taint evict, which no pause of all NoExecute taints holds.
func TestPauseDoesNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPauseScene(t, "metadata: {name: drain}\nspec: {matchingPrecedence: 10, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: d, effect: NoSchedule}]}")
		result := s.must(s.pause("--include-node-conditions", "--dry-run=client"))
		if len(result.Notes) != 1 || !strings.HasPrefix(result.Notes[0], "a pause of all NoExecute taints does not hold d:NoSchedule (policy drain)") {
			t.Errorf("notes: %q", result.Notes)
		}
	})
}

func TestPrintPause(t *testing.T) {
	at := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	results := []*explain.PauseResult{
		{
			Header: explain.Header{At: at}, Policy: "pause", Action: explain.PauseCreated,
			Pause: &explain.Pause{CreatedBy: "alice@example.com", Until: at.Add(time.Hour)}, Held: explain.HeldPods{Pods: 12, Nodes: 3, DueNow: 10, Later: 1, Stay: 1},
		},
		{
			Header: explain.Header{At: at}, Policy: "rack", Action: explain.PauseReplaced, DryRun: "server",
			Before: &explain.Pause{CreatedBy: "bob", Until: at.Add(-time.Minute)},
			Pause:  &explain.Pause{Taints: []string{"maintenance.example.com/*", "a=b"}, Selectors: map[string]string{"nodeSelector": "rack=7"}},
		},
		{
			Header: explain.Header{At: at}, Policy: "pause", Action: explain.PauseDeleted, Before: &explain.Pause{CreatedBy: "alice@example.com"},
			Held: explain.HeldPods{Pods: 1, Nodes: 1, DueNow: 1},
		},
	}
	golden(t, "pause", func(p *text.Printer) {
		for _, result := range results {
			printPause(p, result)
			fmt.Fprintln(p.Out)
		}
	})
}
