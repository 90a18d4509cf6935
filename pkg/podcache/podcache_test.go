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

package podcache

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/connection"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

func apiPod(change ...func(*v1.Pod)) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "p", UID: "u", ResourceVersion: "7", Generation: 3, CreationTimestamp: metav1.NewTime(at(0)),
		},
		Spec: v1.PodSpec{NodeName: "n", Tolerations: []v1.Toleration{{Key: "a", TolerationSeconds: ptr.To[int64](5)}}},
	}
	for _, c := range change {
		c(pod)
	}
	return pod
}

// scheduled binds the pod at 20.
func scheduled(pod *v1.Pod) {
	pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{
		Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: metav1.NewTime(at(20)),
	})
}

func TestBound(t *testing.T) {
	for _, test := range []struct {
		name string
		pod  *v1.Pod
		seen float64
		want float64
	}{
		{"when it was scheduled, at the end of the second", apiPod(scheduled), 100, 21},
		{"when it was made, where nobody says when it was scheduled", apiPod(), 100, 1},
		{"when it was made, where it was not scheduled", apiPod(func(pod *v1.Pod) {
			scheduled(pod)
			pod.Status.Conditions[0].Status = v1.ConditionFalse
		}), 100, 1},
		{"when it was made, where the condition has no time", apiPod(func(pod *v1.Pod) {
			scheduled(pod)
			pod.Status.Conditions[0].LastTransitionTime = metav1.Time{}
		}), 100, 1},
		{"when it was made, where a clock that is behind says that it was scheduled before", apiPod(scheduled, func(pod *v1.Pod) {
			pod.CreationTimestamp = metav1.NewTime(at(3600))
		}), 4000, 3601},
		{"not later than it was first seen", apiPod(scheduled), 20.25, 20.25},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := NewPod(test.pod, at(test.seen))
			if got := pod.Bound(nil); !got.Equal(at(test.want)) {
				t.Errorf("bound at %v, want %v", got, at(test.want))
			}
			if in := pod.ToDeadlinePod(nil); !in.Bound.Equal(at(test.want)) || len(in.Tolerations) != 1 {
				t.Errorf("input %+v", in)
			}
		})
	}
}

func TestFollows(t *testing.T) {
	first, second := NewPod(apiPod(scheduled), at(5)), NewPod(apiPod(scheduled), at(50))
	if !second.CarryOver(first, nil) {
		t.Error("the binding moved, and nobody says so")
	}
	if !second.ObservedAt().Equal(at(5)) {
		t.Errorf("known since %v", second.ObservedAt())
	}
	third := NewPod(apiPod(scheduled), at(60))
	if third.Bound(nil); !third.CarryOver(second, nil) || !third.Bound(nil).Equal(at(5)) {
		t.Errorf("bound at %v", third.Bound(nil))
	}
	changed := NewPod(apiPod(scheduled, func(pod *v1.Pod) { pod.Spec.Tolerations = nil }), at(70))
	if !changed.CarryOver(second, nil) || !changed.ObservedAt().Equal(at(70)) {
		t.Errorf("what changed is known since %v", changed.ObservedAt())
	}
	old := NewPod(apiPod(), at(100))
	if NewPod(apiPod(), at(200)).CarryOver(old, nil) {
		t.Error("nothing changed")
	}
	if got := second.Bound(nil); !got.Equal(at(5)) {
		t.Errorf("bound at %v: forgot when it was first seen", got)
	}
	other := NewPod(apiPod(scheduled, func(pod *v1.Pod) { pod.UID = "other" }), at(50))
	if !other.CarryOver(first, nil) {
		t.Error("another pod is a change")
	}
	if got := other.Bound(nil); !got.Equal(at(21)) {
		t.Errorf("bound at %v: took over from another pod", got)
	}
}

func TestNewPodReadsWhatTheRulesRead(t *testing.T) {
	pod := NewPod(apiPod(func(pod *v1.Pod) {
		pod.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"}
		pod.DeletionTimestamp = ptr.To(metav1.Now())
		pod.Status.Phase = v1.PodSucceeded
		pod.Status.Conditions = []v1.PodCondition{{Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: DisruptionReason}}
	}), at(0))
	if !pod.Mirror || !pod.Terminating || !pod.Finished || !pod.DisruptionTarget || pod.Generation != 3 || pod.Node() != "n" {
		t.Errorf("%+v", pod)
	}
	if pod.GetNamespace() != "ns" || pod.GetName() != "p" || pod.GetUID() != "u" || pod.GetResourceVersion() != "7" {
		t.Error("metadata is lost")
	}
}

func TestFinished(t *testing.T) {
	waiting := v1.ContainerStatus{Name: "c", State: v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "ContainerCreating"}}}
	status := func(change func(*v1.ContainerStatus)) v1.ContainerStatus {
		s := waiting
		change(&s)
		return s
	}
	ended := v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: 1}}
	for _, test := range []struct {
		name   string
		phase  v1.PodPhase
		status []v1.ContainerStatus
		want   bool
	}{
		{"running", v1.PodRunning, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.State = v1.ContainerState{Running: &v1.ContainerStateRunning{}} })}, false},
		{"succeeded, and nothing is known of its containers", v1.PodSucceeded, nil, true},
		{"succeeded, and its containers wait", v1.PodSucceeded, []v1.ContainerStatus{waiting}, true},
		{"rejected", v1.PodFailed, nil, false},
		{"failed before its containers started", v1.PodFailed, []v1.ContainerStatus{waiting, waiting}, false},
		{"failed, with a status that says nothing", v1.PodFailed, []v1.ContainerStatus{{Name: "c"}}, false},
		{"failed, and one container has ended", v1.PodFailed, []v1.ContainerStatus{waiting, status(func(s *v1.ContainerStatus) { s.State = ended })}, true},
		{"failed, and one container runs", v1.PodFailed, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.State = v1.ContainerState{Running: &v1.ContainerStateRunning{}} })}, true},
		{"failed, and waits to be started again", v1.PodFailed, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.LastTerminationState = ended })}, true},
		{"failed, and was restarted", v1.PodFailed, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.RestartCount = 1 })}, true},
		{"failed, and has started", v1.PodFailed, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.Started = ptr.To(true) })}, true},
		{"failed, and has not started", v1.PodFailed, []v1.ContainerStatus{status(func(s *v1.ContainerStatus) { s.Started = ptr.To(false) })}, false},
	} {
		for kind, set := range map[string]func(*v1.PodStatus){
			"containers":           func(s *v1.PodStatus) { s.ContainerStatuses = test.status },
			"init containers":      func(s *v1.PodStatus) { s.InitContainerStatuses = test.status },
			"ephemeral containers": func(s *v1.PodStatus) { s.EphemeralContainerStatuses = test.status },
		} {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				pod := apiPod(func(pod *v1.Pod) {
					pod.Status.Phase = test.phase
					set(&pod.Status)
				})
				if got := NewPod(pod, noon).Finished; got != test.want {
					t.Errorf("finished: %v", got)
				}
				if got := NewPod(decoded(t, partial, encoded(t, pod, "Pod")).(*v1.Pod), noon).Finished; got != test.want {
					t.Errorf("finished, as a client of ours reads it: %v", got)
				}
			})
		}
	}
}

func TestTolerationsAreKeptWhole(t *testing.T) {
	if n := reflect.TypeFor[v1.Toleration]().NumField(); n != 5 {
		t.Errorf("a toleration has %d fields, of which 5 are kept", n)
	}
	list := []v1.Toleration{
		{Key: "a", Operator: v1.TolerationOpEqual, Value: "x", Effect: v1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](0)},
		{Operator: v1.TolerationOpExists},
		{Key: "a", Operator: v1.TolerationOpGt, Value: "5", TolerationSeconds: ptr.To[int64](-7)},
	}
	for n := range len(list) + 1 {
		kept := newTolerations(list[:n])
		if got := kept.list(); !slices.EqualFunc(got, list[:n], func(a, b v1.Toleration) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%+v, want %+v", got, list[:n])
		}
		if kept != newTolerations(slices.Clone(list[:n])) {
			t.Error("equal ones are not the same")
		}
	}
}

func TestSameInput(t *testing.T) {
	base := NewPod(apiPod(), at(100))
	if !base.sameDeadlinePod(NewPod(apiPod(func(pod *v1.Pod) {
		pod.ResourceVersion, pod.Annotations = "8", map[string]string{"a": "b"}
	}), at(200))) {
		t.Error("a change that the rules do not read is one")
	}
	for name, change := range map[string]func(*v1.Pod){
		"UID":               func(pod *v1.Pod) { pod.UID = "v" },
		"labels":            func(pod *v1.Pod) { pod.Labels = map[string]string{"a": "b"} },
		"node":              func(pod *v1.Pod) { pod.Spec.NodeName = "m" },
		"mirror":            func(pod *v1.Pod) { pod.Annotations = map[string]string{v1.MirrorPodAnnotationKey: ""} },
		"deletion":          func(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(metav1.Now()) },
		"phase":             func(pod *v1.Pod) { pod.Status.Phase = v1.PodSucceeded },
		"binding":           scheduled,
		"tolerationSeconds": func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = ptr.To[int64](6) },
		"for ever":          func(pod *v1.Pod) { pod.Spec.Tolerations[0].TolerationSeconds = nil },
		"toleration":        func(pod *v1.Pod) { pod.Spec.Tolerations[0].Key = "b" },
		"no toleration":     func(pod *v1.Pod) { pod.Spec.Tolerations = nil },
	} {
		if base.sameDeadlinePod(NewPod(apiPod(change), at(100))) {
			t.Errorf("a change of %s goes unnoticed", name)
		}
	}
}

// TestInformers reads from the model: only bound pods, by node, and nodes with gaps.
func TestInformers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		client, err := api.Client()
		if err != nil {
			t.Fatal(err)
		}
		api.AddNode("n", v1.Taint{Key: "a", Effect: v1.TaintEffectNoExecute})
		api.AddPod("bound", "n")
		api.AddPod("pending", "")
		pods, err := NewPods(client.CoreV1(), clock.RealClock{})
		if err != nil {
			t.Fatal(err)
		}
		nodes, err := NewNodes(client.CoreV1(), clock.RealClock{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		go pods.RunWithContext(t.Context())
		go nodes.RunWithContext(t.Context())
		synctest.Wait()
		if pod := pods.Get("default", "bound"); pod == nil || pod.Node() != "n" {
			t.Errorf("got %+v", pod)
		}
		if pod := pods.Get("default", "pending"); pod != nil {
			t.Errorf("got %+v, which is bound to no node", pod)
		}
		if on, err := pods.ByNode("n"); err != nil || len(on) != 1 || on[0].Name != "bound" {
			t.Errorf("on the node are %v, %v", on, err)
		}

		node := func() *Node {
			synctest.Wait()
			obj, exists, err := nodes.GetIndexer().GetByKey("n")
			if err != nil || !exists {
				t.Fatalf("no node: %v", err)
			}
			return obj.(*Node)
		}
		first := node()
		if len(first.Taints) != 1 || first.GetName() != "n" || first.GetUID() == "" || first.GetResourceVersion() == "" {
			t.Errorf("got %+v", first)
		}
		api.Taint("n")
		second := node()
		if second.After(first.Observation).Gap {
			t.Error("a watch has no gap")
		}
		api.CutWatches("nodes", false)
		time.Sleep(time.Minute)
		api.Taint("n")
		third := node()
		if third == second || third.After(second.Observation).Gap {
			t.Error("a watch that goes on where it ended has no gap")
		}
		api.CutWatches("nodes", true)
		time.Sleep(time.Minute)
		fourth := node()
		if fourth == third || !fourth.After(third.Observation).Gap {
			t.Error("a relist has a gap")
		}
		if pods.Err() != nil || nodes.Err() != nil {
			t.Errorf("errors %v, %v", pods.Err(), nodes.Err())
		}
	})
}

// However long the API server was unreachable, changes are known soon after its return.
func TestServerThatWasAwayIsReadSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New()
		var away atomic.Bool
		var calls atomic.Int32
		api.Intercept = func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			if away.Load() {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}
		client, err := api.Client()
		if err != nil {
			t.Fatal(err)
		}
		api.AddNode("n")
		nodes, err := NewNodes(client.CoreV1(), clock.RealClock{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		go nodes.RunWithContext(t.Context())
		time.Sleep(time.Minute)
		away.Store(true)
		api.CutWatches("nodes", false)
		calls.Store(0)
		time.Sleep(10 * time.Minute)
		if n := calls.Load(); n > 20*60 {
			t.Errorf("%d calls in 10 minutes", n)
		}
		if nodes.Err() == nil {
			t.Error("says that it can read")
		}
		api.AddNode("m")
		away.Store(false)
		time.Sleep(connection.ReconnectInterval)
		synctest.Wait()
		if _, exists, err := nodes.GetIndexer().GetByKey("m"); err != nil || !exists || nodes.Err() != nil {
			t.Errorf("not read yet: %v, %v", err, nodes.Err())
		}
	})
}

func TestNodesKnowWhenTheyWereCreated(t *testing.T) {
	api := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: metav1.NewTime(at(3))}}
	for name, node := range map[string]*v1.Node{"whole": api, "as a client of ours reads it": decoded(t, partial, encoded(t, api, "Node")).(*v1.Node)} {
		if got := NewNode(node, at(10), 1).Created(nil); !got.Equal(at(3)) {
			t.Errorf("%s: created at %v", name, got)
		}
	}
	if got := NewNode(&v1.Node{}, at(10), 1).Created(nil); !got.IsZero() {
		t.Errorf("created at %v, and nobody says so", got)
	}
}
