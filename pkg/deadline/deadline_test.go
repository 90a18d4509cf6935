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

package deadline

import (
	"math"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

const notReady, unreachable = v1.TaintNodeNotReady, v1.TaintNodeUnreachable

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

func taint(key string, since float64) Taint {
	return Taint{Key: key, Start: at(since)}
}

// tolerates returns a toleration of a key for some seconds.
func tolerates(key string, seconds int64) v1.Toleration {
	return v1.Toleration{Key: key, Operator: v1.TolerationOpExists, TolerationSeconds: &seconds}
}

// notReadyTaint returns a not-ready taint that came on at own, in a not-ready period that began at 0.
func notReadyTaint(key string, own float64) Taint {
	return Taint{Key: key, Start: at(own), Period: at(0)}
}

func always(key string) v1.Toleration {
	return v1.Toleration{Key: key, Operator: v1.TolerationOpExists}
}

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name     string
		pod      Pod
		taints   []Taint
		rules    Rules
		reason   Reason
		deadline time.Time // zero: stays
		taint    string
	}{
		{name: "no taint", reason: NoTaint},
		{name: "not tolerated: due since the taint", taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "not tolerated: due since the binding, where that is later", pod: Pod{Bound: at(25)},
			taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(25), taint: "a"},
		{name: "tolerated for ever", pod: Pod{Tolerations: []v1.Toleration{always("a")}}, taints: []Taint{taint("a", 10)}, reason: Tolerated},
		{name: "tolerated for seconds from the taint", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", 30)}},
			taints: []Taint{taint("a", 10.5)}, reason: TolerationEnds, deadline: at(40.5), taint: "a"},
		{name: "tolerated for seconds from the binding", pod: Pod{Bound: at(20), Tolerations: []v1.Toleration{tolerates("a", 30)}},
			taints: []Taint{taint("a", 10)}, reason: TolerationEnds, deadline: at(50), taint: "a"},
		{name: "zero seconds", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", 0)}},
			taints: []Taint{taint("a", 10)}, reason: TolerationEnds, deadline: at(10), taint: "a"},
		{name: "negative seconds", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", math.MinInt64)}},
			taints: []Taint{taint("a", 10)}, reason: TolerationEnds, deadline: at(10), taint: "a"},
		{name: "more seconds than a duration has", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", 18446744074)}},
			taints: []Taint{taint("a", 10)}, reason: TolerationEnds, deadline: time.Unix(start.Unix()+10+18446744074, 0), taint: "a"},
		{name: "more seconds than there will be", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", math.MaxInt64)}},
			taints: []Taint{taint("a", 10)}, reason: Tolerated},
		{name: "the last second that the API can express", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", latest-start.Unix())}},
			taints: []Taint{taint("a", 0)}, reason: TolerationEnds, deadline: time.Unix(latest, 0), taint: "a"},
		{name: "one second more", pod: Pod{Tolerations: []v1.Toleration{tolerates("a", latest-start.Unix()+1)}},
			taints: []Taint{taint("a", 0)}, reason: Tolerated},
		{name: "the first toleration counts, not the longest",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates("b", 1), tolerates("a", 30), tolerates("a", 300), always("a")}},
			taints: []Taint{taint("a", 10)}, reason: TolerationEnds, deadline: at(40), taint: "a"},
		{name: "the first toleration counts, not the shortest",
			pod: Pod{Tolerations: []v1.Toleration{always(""), tolerates("a", 30)}}, taints: []Taint{taint("a", 10)}, reason: Tolerated},
		{name: "the earliest deadline counts, not the earliest taint",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates("a", 300), tolerates("b", 30)}},
			taints: []Taint{taint("a", 10), taint("b", 100)}, reason: TolerationEnds, deadline: at(130), taint: "b"},
		{name: "a taint that is tolerated does not save from another",
			pod: Pod{Tolerations: []v1.Toleration{always("a")}}, taints: []Taint{taint("a", 10), taint("b", 20)},
			reason: Untolerated, deadline: at(20), taint: "b"},
		{name: "another effect does not tolerate",
			pod:    Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoSchedule}}},
			taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "another value does not tolerate", pod: Pod{Tolerations: []v1.Toleration{{Key: "a", Value: "x"}}},
			taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "an unknown operator does not tolerate", pod: Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: "Near"}}},
			taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "Gt without the gate", pod: Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: v1.TolerationOpGt, Value: "5"}}},
			taints: []Taint{{Key: "a", Value: "7", Start: at(10)}}, reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "Gt with the gate", pod: Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: v1.TolerationOpGt, Value: "5"}}},
			rules: Rules{ComparisonOperators: true}, taints: []Taint{{Key: "a", Value: "7", Start: at(10)}}, reason: Tolerated},
		{name: "Lt of what is no number", pod: Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: v1.TolerationOpLt, Value: "5"}}},
			rules: Rules{ComparisonOperators: true}, taints: []Taint{{Key: "a", Value: "x", Start: at(10)}},
			reason: Untolerated, deadline: at(10), taint: "a"},
		{name: "swap with equal seconds: the count goes on",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), tolerates(unreachable, 300)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: TolerationEnds, deadline: at(300), taint: unreachable},
		{name: "swap from a taint that is tolerated for ever: all seconds from the swap",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), always(unreachable)}},
			taints: []Taint{notReadyTaint(notReady, 3600)}, reason: TolerationEnds, deadline: at(3900), taint: notReady},
		{name: "swap to a shorter one", pod: Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), tolerates(unreachable, 30)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: TolerationEnds, deadline: at(90), taint: unreachable},
		{name: "swap to a shorter one, late: no longer than the longer of the two",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), tolerates(unreachable, 30)}},
			taints: []Taint{notReadyTaint(unreachable, 290)}, reason: TolerationEnds, deadline: at(300), taint: unreachable},
		{name: "swap to a longer one: its seconds from the period's start",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 30), tolerates(unreachable, 300)}},
			taints: []Taint{notReadyTaint(unreachable, 20)}, reason: TolerationEnds, deadline: at(300), taint: unreachable},
		{name: "swap to one that is not tolerated: due at the swap", pod: Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: Untolerated, deadline: at(60), taint: unreachable},
		{name: "absence within the period: own is the period's start",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), always(unreachable)}},
			taints: []Taint{notReadyTaint(notReady, 0)}, reason: TolerationEnds, deadline: at(300), taint: notReady},
		{name: "both on: the earliest counts",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(notReady, 300), tolerates(unreachable, 30)}},
			taints: []Taint{notReadyTaint(notReady, 0), notReadyTaint(unreachable, 60)}, reason: TolerationEnds, deadline: at(90), taint: unreachable},
		{name: "a period counts from the binding", pod: Pod{Bound: at(50), Tolerations: []v1.Toleration{tolerates(notReady, 300), tolerates(unreachable, 300)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: TolerationEnds, deadline: at(350), taint: unreachable},
		{name: "seconds from the swap that cannot be expressed: those of the other from the period's start",
			pod:    Pod{Tolerations: []v1.Toleration{tolerates(unreachable, latest-start.Unix()-5)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: TolerationEnds, deadline: time.Unix(latest-5, 0), taint: unreachable},
		{name: "seconds from the period's start that cannot be expressed", pod: Pod{Tolerations: []v1.Toleration{tolerates(unreachable, math.MaxInt64-1)}},
			taints: []Taint{notReadyTaint(unreachable, 60)}, reason: Tolerated},
		{name: "mirror", pod: Pod{Mirror: true}, taints: []Taint{taint("a", 10)}, reason: IsMirror},
		{name: "terminating", pod: Pod{Terminating: true}, taints: []Taint{taint("a", 10)}, reason: IsTerminating},
		{name: "finished", pod: Pod{Finished: true}, taints: []Taint{taint("a", 10)}, reason: IsFinished},
		{name: "finished, to be evicted", pod: Pod{Finished: true}, rules: Rules{EvictFinished: true},
			taints: []Taint{taint("a", 10)}, reason: Untolerated, deadline: at(10), taint: "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Decide(test.pod, test.taints, test.rules)
			if got.Reason != test.reason || got.Evict == test.deadline.IsZero() || !got.Deadline.Equal(test.deadline) || got.Taint.Key != test.taint {
				t.Errorf("got %+v, want reason %s, deadline %v, taint %q", got, test.reason, test.deadline, test.taint)
			}
			if hasToleration := got.Toleration != nil; hasToleration != (test.reason == TolerationEnds) {
				t.Errorf("names toleration %v for reason %s", got.Toleration, got.Reason)
			}
		})
	}
}

func TestDecisionNamesTheTolerationOfTheSpec(t *testing.T) {
	pod := Pod{Tolerations: []v1.Toleration{tolerates("b", 1), tolerates("a", 30)}}
	got := Decide(pod, []Taint{taint("a", 10)}, Rules{})
	if got.Toleration != &pod.Tolerations[1] {
		t.Errorf("names %v", got.Toleration)
	}
}

func TestDue(t *testing.T) {
	due := Decision{Evict: true, Deadline: at(10)}
	for _, test := range []struct {
		decision Decision
		now      time.Time
		want     bool
	}{
		{due, at(9.999999), false},
		{due, at(10), true},
		{due, at(11), true},
		{Decision{}, at(11), false},
	} {
		if got := test.decision.Due(test.now); got != test.want {
			t.Errorf("%+v at %v: due %v", test.decision, test.now, got)
		}
	}
}

func TestTaintString(t *testing.T) {
	for want, taint := range map[string]Taint{
		"a:NoExecute": {Key: "a"}, "a=b:NoExecute": {Key: "a", Value: "b"},
	} {
		if got := taint.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// typical is a pod with four tolerations on a node with two taints.
func typical() (Pod, []Taint) {
	return Pod{Bound: at(0), Tolerations: []v1.Toleration{
			{Key: "dedicated", Operator: v1.TolerationOpEqual, Value: "batch", Effect: v1.TaintEffectNoSchedule},
			{Key: "spot", Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](30)},
			{Key: v1.TaintNodeNotReady, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)},
			{Key: v1.TaintNodeUnreachable, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)},
		}}, []Taint{
			{Key: v1.TaintNodeUnreachable, Start: at(10), Period: at(5)}, {Key: "spot", Value: "reclaimed", Start: at(20)},
		}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	pod, taints := typical()
	if n := testing.AllocsPerRun(100, func() { Decide(pod, taints, Rules{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	pod, taints := typical()
	b.ReportAllocs()
	for b.Loop() {
		Decide(pod, taints, Rules{})
	}
}

func TestDescribeToleration(t *testing.T) {
	for want, toleration := range map[string]v1.Toleration{
		"":               {Operator: v1.TolerationOpExists},
		"a:NoExecute":    {Key: "a", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute},
		"a=b":            {Key: "a", Value: "b"},
		"a=b:NoSchedule": {Key: "a", Operator: v1.TolerationOpEqual, Value: "b", Effect: v1.TaintEffectNoSchedule},
		"a Gt 5":         {Key: "a", Operator: v1.TolerationOpGt, Value: "5"},
	} {
		if got := DescribeToleration(&toleration); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
