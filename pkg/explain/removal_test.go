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

package explain

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// older returns an Event as core/v1 has it: with a count and two times.
func older(reporter, reason, message string, last *metav1.Time, count int32) eventsv1.Event {
	return eventsv1.Event{
		Regarding: v1.ObjectReference{UID: "uid-p"}, DeprecatedSource: v1.EventSource{Component: reporter}, Reason: reason, Note: message,
		DeprecatedFirstTimestamp: *ago(500), DeprecatedLastTimestamp: *last, DeprecatedCount: count, Type: v1.EventTypeNormal,
	}
}

func TestEventsOfBothAPIs(t *testing.T) {
	series := eventsv1.Event{
		Regarding: v1.ObjectReference{UID: "uid-p"}, ReportingController: "default-scheduler", Reason: "Preempted", Note: "m",
		EventTime: metav1.NewMicroTime(ago(400).Time), Series: &eventsv1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(ago(10).Time)},
	}
	other := older("kubelet", "Pulled", "of another pod of that name", ago(1), 1)
	other.Regarding.UID = "uid-q"
	got := Events([]eventsv1.Event{older("kubelet", "Killing", "k", ago(100), 3), series, other}, "uid-p")
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	if e := got[0]; e.Reason != "Preempted" || e.Count != 7 || !e.Last.Equal(ago(10).Time) || !e.First.Equal(ago(400).Time) || e.Reporter != "default-scheduler" {
		t.Errorf("a series: got %+v", e)
	}
	if e := got[1]; e.Reason != "Killing" || e.Count != 3 || !e.Last.Equal(ago(100).Time) || !e.First.Equal(ago(500).Time) || e.Reporter != "kubelet" {
		t.Errorf("an older one: got %+v", e)
	}
}

func TestWhoRemovedAPod(t *testing.T) {
	condition := func(reason string) *v1.Pod {
		return with(pod("p"), func(p *v1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions,
				v1.PodCondition{Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: reason, LastTransitionTime: *ago(5)})
		})
	}
	cancelled := []eventsv1.Event{
		older("taint-eviction-controller", "TaintManagerEviction", "Marking for deletion Pod ns/p", ago(50), 1),
		older("taint-eviction-controller", "TaintManagerEviction", "Cancelling deletion of Pod ns/p", ago(40), 1),
	}
	for _, test := range []struct {
		name   string
		pod    *v1.Pod
		events []eventsv1.Event
		by     string // what By begins with; empty: nobody
		ours   bool
	}{
		{"us", nil, []eventsv1.Event{older("taint-manager", "TaintManagerEviction", "Evicted from node a", ago(5), 1)}, "taint-manager: ", true},
		{"the built-in controller", nil, cancelled[:1], "the taint eviction controller of kube-controller-manager", false},
		{"the built-in controller took it back", nil, cancelled, "", false},
		{"device taints", nil, []eventsv1.Event{older("x", "DeviceTaintManagerEviction", "Marking for deletion", ago(5), 1)}, "the device taint", false},
		{"preemption", nil, []eventsv1.Event{older("default-scheduler", "Preempted", "by pod", ago(5), 1)}, "kube-scheduler", false},
		{"the kubelet", nil, []eventsv1.Event{older("kubelet", "Evicted", "memory", ago(5), 1)}, "the kubelet", false},
		{"nobody who says so", nil, []eventsv1.Event{older("kubelet", "Killing", "Stopping container", ago(5), 1)}, "", false},
		{"condition: a taint", condition("DeletionByTaintManager"), nil, "taint-manager, or the taint eviction controller", false},
		{"condition: a device taint", condition("DeletionByDeviceTaintManager"), nil, "the device taint", false},
		{"condition: the eviction API", condition("EvictionByEvictionAPI"), nil, "a client of the eviction API", false},
		{"condition: preemption", condition("PreemptionByScheduler"), nil, "kube-scheduler", false},
		{"condition: the kubelet", condition("TerminationByKubelet"), nil, "the kubelet", false},
		{"condition: pod GC", condition("DeletionByPodGC"), nil, "pod garbage collection", false},
		{"condition: somebody else", condition("Whim"), nil, "unknown", false},
		{"no condition", pod("p"), nil, "", false},
	} {
		got := RemovalOf(test.pod, Events(test.events, ""))
		switch {
		case test.by == "" && got == nil:
		case got == nil || test.by == "" || !strings.HasPrefix(got.By, test.by) || got.Ours != test.ours:
			t.Errorf("%s: got %+v, want %q", test.name, got, test.by)
		}
	}
}

func TestPodThatIsGone(t *testing.T) {
	earlier := older("taint-manager", "TaintManagerEviction", "of an earlier pod of that name", ago(300), 1)
	earlier.Regarding.UID = "uid-earlier"
	s := cluster(snapshot.Input{})
	e := WhyGone(s, "ns", "p", Events([]eventsv1.Event{earlier, older("kubelet", "Killing", "Stopping container", ago(5), 1)}, ""))
	if e.Exists || e.Pod.UID != "uid-p" || len(e.Events) != 1 || e.Removal != nil {
		t.Errorf("got %+v", e)
	}
	if e = WhyGone(s, "ns", "p", nil); e.Summary != "It does not exist, and there are no Events about it: Events are kept for an hour by default" {
		t.Errorf("got %q", e.Summary)
	}
}
