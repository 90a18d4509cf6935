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
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// fixture is a controller that runs against the model API server, in a synctest bubble.
type fixture struct {
	*testing.T
	api      *apitest.Server
	c        *Controller
	registry basemetrics.KubeRegistry
	stop     func()
}

// bubble runs a test in a synctest bubble, with a model API server that has the node "n", and no controller yet.
func bubble(t *testing.T, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, api: apitest.New()}
		f.api.AddNode("n")
		test(f)
		if f.stop != nil {
			f.stop()
		}
	})
}

// start starts a controller that leads, and waits until it is idle.
func (f *fixture) start(options ...func(*Config)) {
	f.Helper()
	f.startFollower(options...)
	stopRunning := f.stop
	ctx, cancel := context.WithCancel(f.context())
	var leading sync.WaitGroup
	leading.Go(func() { f.c.Lead(ctx) })
	f.stop = func() {
		cancel()
		leading.Wait()
		stopRunning()
	}
	f.waitIdle()
}

func (f *fixture) context() context.Context {
	_, ctx := ktesting.NewTestContext(f.T)
	return ctx
}

// startFollower starts a controller that does not lead.
func (f *fixture) startFollower(options ...func(*Config)) {
	f.Helper()
	client, err := f.api.Client()
	if err != nil {
		f.Fatal(err)
	}
	f.registry = basemetrics.NewKubeRegistry()
	m, err := metrics.New(f.registry.Register)
	if err != nil {
		f.Fatal(err)
	}
	config := Config{Informers: client.CoreV1(), Evictions: client.CoreV1(), Events: client, Clock: clock.RealClock{}, ConcurrentEvictions: 4, Metrics: m}
	for _, option := range options {
		option(&config)
	}
	if f.c, err = New(config); err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.context())
	var running sync.WaitGroup
	running.Go(func() { f.c.Run(ctx) })
	f.stop = func() {
		cancel()
		running.Wait()
	}
	f.waitIdle()
}

// waitIdle waits until all goroutines are blocked. The wait for the caches polls, so some time passes first.
func (f *fixture) waitIdle() {
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
}

// wait lets time pass.
func (f *fixture) wait(seconds float64) {
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	synctest.Wait()
}

// exists fails the test unless the pods exist, or do not exist, as wanted.
func (f *fixture) exists(want bool, names ...string) {
	f.Helper()
	for _, name := range names {
		if got := f.api.Pod(name) != nil; got != want {
			f.Errorf("pod %s: exists %v at %v, want %v", name, got, time.Now(), want)
		}
	}
}

func taintOf(key string) v1.Taint {
	return v1.Taint{Key: key, Effect: v1.TaintEffectNoExecute}
}

// tolerating gives a pod a toleration of a key for some seconds.
func tolerating(key string, seconds int64) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, v1.Toleration{Key: key, Operator: v1.TolerationOpExists, TolerationSeconds: &seconds})
	}
}

func toleratingForever(key string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, v1.Toleration{Key: key, Operator: v1.TolerationOpExists})
	}
}

func TestEvictsWhenDue(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("now", "n")
		f.api.AddPod("later", "n", tolerating("a", 30))
		f.api.AddPod("never", "n", toleratingForever("a"))
		f.start()
		f.wait(5)
		f.api.Taint("n", taintOf("a"))
		f.wait(0.01)
		f.exists(false, "now")
		f.wait(29.98)
		f.exists(true, "later", "never")
		f.wait(0.02)
		f.exists(false, "later")
		f.wait(3600)
		f.exists(true, "never")
	})
}

func TestCancelsWhenTheTaintGoes(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("later", "n", tolerating("a", 30))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.Taint("n")
		f.wait(100)
		f.exists(true, "later")
		f.api.Taint("n", taintOf("a"))
		f.wait(29.9)
		f.exists(true, "later")
		f.wait(0.2)
		f.exists(false, "later")
		counts := map[string]int32{}
		events := f.api.Events("Node", "n")
		for _, e := range events {
			counts[e.Reason] = e.Count
		}
		if len(events) != 2 || counts[scheduledEventReason] != 2 || counts[cancelledEventReason] != 1 {
			t.Errorf("of a taint, its removal and a taint, there are Events %v", events)
		}
	})
}

// TestFlappingTaintHasFewEvents has a taint come and go: the few Events count how often.
func TestFlappingTaintHasFewEvents(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 300))
		f.start()
		const times = 500
		for range times {
			f.api.Taint("n", taintOf("a"))
			f.wait(2)
			f.api.Taint("n")
			f.wait(2)
		}
		f.wait(20)
		f.exists(true, "p")
		events := f.api.Events("Node", "n")
		if len(events) != 2 {
			t.Errorf("%d Events", len(events))
		}
		for _, e := range events {
			if e.Count != times || e.LastTimestamp.Sub(e.FirstTimestamp.Time) < (times-2)*4*time.Second {
				t.Errorf("Event %+v", e)
			}
		}
	})
}

func TestDeadlinesMoveBothWays(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("longer", "n", tolerating("a", 30))
		f.api.AddPod("shorter", "n", tolerating("a", 300))
		f.api.AddPod("sooner", "n", tolerating("a", 300), tolerating("b", 10))
		f.api.AddPod("spared", "n", tolerating("a", 40), toleratingForever("b"))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(20)
		f.api.UpdatePod("longer", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](60) })
		f.api.UpdatePod("shorter", func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](25) })
		f.wait(4.9)
		f.exists(true, "longer", "shorter", "sooner")
		f.wait(0.2)
		f.exists(false, "shorter")
		f.api.Taint("n", taintOf("a"), taintOf("b"))
		f.wait(1) // b evicts longer at once, but the node was read a moment ago, for shorter; and sooner in 10 s
		f.exists(false, "longer")
		f.wait(4.1)
		f.api.Taint("n", taintOf("b")) // a went, which would have evicted spared at 40
		f.wait(4.7)
		f.exists(true, "sooner", "spared")
		f.wait(0.3)
		f.exists(false, "sooner")
		f.wait(100)
		f.exists(true, "spared")
	})
}

func TestLeavesAlone(t *testing.T) {
	mirror := func(pod *v1.Pod) { pod.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"} }
	rejected := func(pod *v1.Pod) { pod.Status.Phase = v1.PodFailed }
	finished := func(pod *v1.Pod) {
		pod.Status.Phase = v1.PodFailed
		pod.Status.ContainerStatuses = []v1.ContainerStatus{{Name: "c", State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: 1}}}}
	}
	huge := tolerating("a", 18446744074)
	for _, evictFinished := range []bool{false, true} {
		bubble(t, func(f *fixture) {
			f.api.Linger = true
			f.api.AddPod("mirror", "n", mirror)
			f.api.AddPod("finished", "n", finished)
			f.api.AddPod("rejected", "n", rejected)
			f.api.AddPod("huge", "n", huge)
			f.api.AddPod("terminating", "n", func(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(metav1.Now()) })
			f.api.AddPod("elsewhere", "no-such-node")
			f.start(func(c *Config) { c.Rules = deadline.Rules{EvictFinished: evictFinished} })
			f.api.Taint("n", taintOf("a"))
			f.wait(100)
			for _, name := range []string{"mirror", "finished", "rejected", "huge", "elsewhere"} {
				want := name == "rejected" || evictFinished && name == "finished"
				pod := f.api.Pod(name) // one that has failed goes at once, without a kubelet
				if got := pod == nil || pod.DeletionTimestamp != nil; got != want {
					t.Errorf("evict finished %v: pod %s deleted %v", evictFinished, name, got)
				}
			}
			if n := f.api.Count("DELETE /api/v1/namespaces/default/pods/terminating"); n != 0 {
				t.Errorf("deleted a terminating pod %d times", n)
			}
		})
	}
}

func TestHowAPodGoes(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.Linger = true
		uid := f.api.AddPod("p", "n", tolerating("a", 10), func(pod *v1.Pod) { pod.Generation = 7 })
		f.start()
		f.api.Taint("n", v1.Taint{Key: "a", Value: "x", Effect: v1.TaintEffectNoExecute})
		f.wait(11)
		want := []string{
			"POST /api/v1/namespaces/default/events",
			"GET /api/v1/nodes/n",
			"PATCH /api/v1/namespaces/default/pods/p/status",
			"DELETE /api/v1/namespaces/default/pods/p",
			"POST /api/v1/namespaces/default/events",
		}
		if got := f.api.Requests(); !slices.Equal(got, want) {
			t.Errorf("requests: %q", got)
		}
		pod := f.api.Pod("p")
		i := slices.IndexFunc(pod.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget })
		if i < 0 {
			t.Fatalf("no DisruptionTarget in %v", pod.Status.Conditions)
		}
		condition := pod.Status.Conditions[i]
		if condition.Status != v1.ConditionTrue || condition.Reason != "DeletionByTaintManager" || condition.ObservedGeneration != 7 || condition.LastTransitionTime.IsZero() {
			t.Errorf("condition %+v", condition)
		}
		events := f.api.Events("Pod", "p")
		if len(events) != 1 {
			t.Fatalf("%d Events", len(events))
		}
		e := events[0]
		if e.InvolvedObject.UID != uid || e.Reason != "TaintManagerEviction" || e.Source.Component != "taint-manager" {
			t.Errorf("Event %+v", e)
		}
		for _, part := range []string{"node n", "a=x:NoExecute", "10s by toleration a", "late"} {
			if !strings.Contains(e.Message, part) {
				t.Errorf("message %q lacks %q", e.Message, part)
			}
		}
		f.counts("taint_eviction_controller_pod_deletions_total", 1)
		f.counts("taint_manager_scheduled_evictions", 0)
	})
}

// counts compares the sum of a metric's values.
func (f *fixture) counts(name string, want float64) {
	f.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	got := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			got += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	if got != want {
		f.Errorf("%s is %v, want %v", name, got, want)
	}
}

func TestManyPodsShareOneReadOfTheirNode(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range 200 {
			f.api.AddPod(fmt.Sprint("p", i), "n")
		}
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		if n := f.api.Pods(); n != 0 {
			t.Errorf("%d pods are left", n)
		}
		if n := f.api.Count("GET /api/v1/nodes/n"); n != 1 {
			t.Errorf("%d reads of the node", n)
		}
	})
}

func TestReady(t *testing.T) {
	bubble(t, func(f *fixture) {
		var broken atomic.Bool
		broken.Store(true)
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if broken.Load() && strings.HasSuffix(req.URL.Path, "/pods") {
				return apitest.Failure(apierrors.NewForbidden(v1.Resource("pods"), "", errors.New("no role"))), nil
			}
			return nil, nil
		}
		f.startFollower()
		if err := f.c.Ready(); err == nil || !strings.Contains(err.Error(), "no role") {
			t.Errorf("ready, or not saying why not: %v", err)
		}
		broken.Store(false)
		f.wait(60)
		if err := f.c.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

func TestNewRejectsNoConcurrency(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no error")
	}
}
