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
	"k8s.io/apimachinery/pkg/types"

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

// builtIn returns an Event as the built-in controller writes it: without the UID of the pod.
func builtIn(message string, last *metav1.Time) eventsv1.Event {
	event := older("taint-eviction-controller", "TaintManagerEviction", message, last, 1)
	event.Regarding = v1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "p"}
	event.DeprecatedFirstTimestamp = *last
	return event
}

// of has an Event be about a pod.
func of(uid types.UID, event eventsv1.Event) eventsv1.Event {
	event.Regarding.UID = uid
	event.DeprecatedFirstTimestamp = event.DeprecatedLastTimestamp
	return event
}

// TestEventsWithoutUIDOfAPodThatIsGone has Events of the built-in controller about the last pod of a name, and about one before it.
func TestEventsWithoutUIDOfAPodThatIsGone(t *testing.T) {
	const by = "the taint eviction controller of kube-controller-manager: a NoExecute taint"
	killing := func(uid types.UID, at int) eventsv1.Event {
		return of(uid, older("kubelet", "Killing", "Stopping container c", ago(at), 1))
	}
	scheduled := func(uid types.UID, at int) eventsv1.Event {
		return of(uid, older("default-scheduler", "Scheduled", "assigned", ago(at), 1))
	}
	for _, test := range []struct {
		name    string
		events  []eventsv1.Event
		uid     string
		reasons string
		by      string
	}{
		{"before the kubelet's", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(6)), killing("uid-p", 5)}, "uid-p", "Killing TaintManagerEviction", by},
		{"in the same second", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(5)), killing("uid-p", 5)}, "uid-p", "Killing TaintManagerEviction", by},
		{"the last one", []eventsv1.Event{scheduled("uid-p", 60), builtIn("Marking for deletion Pod ns/p", ago(5))}, "uid-p", "TaintManagerEviction Scheduled", by},
		{"in the second of its binding", []eventsv1.Event{scheduled("uid-p", 5), builtIn("Marking for deletion Pod ns/p", ago(5))}, "uid-p", "Scheduled TaintManagerEviction", by},
		{"no other", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(5))}, "", "TaintManagerEviction", by},
		{"taken back", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(50)), builtIn("Cancelling deletion of Pod ns/p", ago(40)), killing("uid-p", 5)},
			"uid-p", "Killing TaintManagerEviction TaintManagerEviction", ""},
		{"about an earlier pod", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(1200)), killing("uid-o", 1200), killing("uid-p", 5)}, "uid-p", "Killing", ""},
		{"about an earlier pod of which nothing else is known", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(1200)), scheduled("uid-p", 1100), killing("uid-p", 5)},
			"uid-p", "Killing Scheduled", ""},
		{"about both", []eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(1200)), killing("uid-o", 1199), scheduled("uid-p", 1100),
			builtIn("Marking for deletion Pod ns/p", ago(6)), killing("uid-p", 5)}, "uid-p", "Killing TaintManagerEviction Scheduled", by},
	} {
		e := WhyGone(cluster(snapshot.Input{}), "ns", "p", Events(test.events, ""), false)
		var reasons []string
		for _, event := range e.Events {
			reasons = append(reasons, event.Reason)
		}
		summary, gotBy := "It does not exist any more, and no Event about it says who deleted it", ""
		if test.by != "" {
			summary = "It does not exist any more"
		}
		if e.Removal != nil {
			gotBy = e.Removal.By
		}
		if got := strings.Join(reasons, " "); got != test.reasons || gotBy != test.by || e.Pod.UID != test.uid || e.Summary != summary {
			t.Errorf("%s: got UID %q, Events %q, removed by %q, %q", test.name, e.Pod.UID, got, gotBy, e.Summary)
		}
	}
}

// TestEventsWithoutUIDOfAPod has a pod of a StatefulSet that was made an hour ago in place of one that was evicted.
func TestEventsWithoutUIDOfAPod(t *testing.T) {
	p := pod("p")
	for _, test := range []struct {
		at   int
		want bool
	}{{4800, false}, {3601, false}, {3600, true}, {5, true}} {
		e := Why(cluster(snapshot.Input{}, node("a"), p), p, Events([]eventsv1.Event{builtIn("Marking for deletion Pod ns/p", ago(test.at))}, "uid-p"))
		if got := e.Removal != nil; got != test.want || len(e.Events) == 1 != test.want {
			t.Errorf("an eviction %d s ago: got %+v by %+v", test.at, e.Removal, e.Events)
		}
	}
}

func TestPodThatIsGone(t *testing.T) {
	earlier := older("taint-manager", "TaintManagerEviction", "of an earlier pod of that name", ago(300), 1)
	earlier.Regarding.UID = "uid-earlier"
	s := cluster(snapshot.Input{})
	e := WhyGone(s, "ns", "p", Events([]eventsv1.Event{earlier, older("kubelet", "Killing", "Stopping container", ago(5), 1)}, ""), false)
	if e.Exists || e.Pod.UID != "uid-p" || len(e.Events) != 1 || e.Removal != nil {
		t.Errorf("got %+v", e)
	}
	if e = WhyGone(s, "ns", "p", nil, false); e.Summary != "It does not exist, and there are no Events about it: Events are kept for an hour by default" {
		t.Errorf("got %q", e.Summary)
	}
	if e = WhyGone(s, "ns", "p", nil, true); e.Summary != "It does not exist, and whether Events tell of it is not known: they could not be read" {
		t.Errorf("got %q", e.Summary)
	}
}
