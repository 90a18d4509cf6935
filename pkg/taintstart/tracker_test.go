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

package taintstart

import (
	"reflect"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

const notReady, unreachable = v1.TaintNodeNotReady, v1.TaintNodeUnreachable

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// at returns a time some seconds after noon.
func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// sees returns an observation at a time, of version v, by the first list or the watch after it.
func sees(v string, seen float64, taints ...Taint) Observation {
	return Observation{UID: "node", ResourceVersion: v, Seen: at(seen), Taints: taints, List: 1}
}

func (o Observation) changed(seconds float64) Observation {
	o.Changed = at(seconds)
	return o
}

func (o Observation) written(seconds float64) Observation {
	o.Written = at(seconds)
	return o
}

// wrote is changed and written.
func (o Observation) wrote(seconds float64) Observation { return o.changed(seconds).written(seconds) }

func (o Observation) notReady(seconds float64) Observation {
	o.NotReadySince = at(seconds)
	return o
}

// relisted is of a second list.
func (o Observation) relisted() Observation {
	o.List = 2
	return o
}

// ofAnother is of another node of the same name.
func (o Observation) ofAnother() Observation {
	o.UID = "other"
	return o
}

func plain(key string) Taint { return Taint{Key: key} }

func stamped(key string, seconds float64) Taint { return Taint{Key: key, TimeAdded: at(seconds)} }

// observe gives a tracker versions of a node, one after another.
func observe(tracker *Tracker, versions ...Observation) {
	for i, version := range versions {
		if i > 0 {
			version = version.After(versions[i-1])
		}
		tracker.Observe("n", version)
	}
}

// check compares the starts of a node's taints, and of their periods where there are any.
func check(t *testing.T, got []deadline.Taint, want map[string][]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for _, taint := range got {
		if want := at(want[taint.Key][0]); !taint.Start.Equal(want) {
			t.Errorf("%s started at %v, want %v", taint.Key, taint.Start, want)
		}
		if len(want[taint.Key]) == 1 {
			if !taint.Period.IsZero() {
				t.Errorf("%s has a period", taint.Key)
			}
		} else if want := at(want[taint.Key][1]); !taint.Period.Equal(want) {
			t.Errorf("the period of %s started at %v, want %v", taint.Key, taint.Period, want)
		}
	}
}

func TestTaintsAreDatedByTheirEarliestEvidence(t *testing.T) {
	for _, test := range []struct {
		name     string
		versions []Observation
		want     map[string][]float64 // taint to the start that it has after the last version, and that of its period
	}{
		{"first seen, where there is nothing else", []Observation{sees("1", 5.25, plain("a"))}, map[string][]float64{"a": {5.25}}},
		{"timeAdded, at the end of its second", []Observation{sees("1", 50, stamped("a", 5))}, map[string][]float64{"a": {6}}},
		{"timeAdded in the future has no effect", []Observation{sees("1", 50, stamped("a", 5000))}, map[string][]float64{"a": {50}}},
		{"the change of the list, at the end of its second", []Observation{sees("1", 50, plain("a")).changed(7)}, map[string][]float64{"a": {8}}},
		{"seen within the second of the change", []Observation{sees("1", 7.2, plain("a")).changed(7)}, map[string][]float64{"a": {7.2}}},
		{"the earliest of all", []Observation{sees("1", 50, stamped("a", 9), plain("b")).changed(20)}, map[string][]float64{"a": {10}, "b": {21}}},
		{"a stamp that comes later does not move it", []Observation{
			sees("1", 5, plain("a")), sees("2", 90, stamped("a", 80)).changed(90)}, map[string][]float64{"a": {5}}},
		{"a stamp that is earlier moves it", []Observation{
			sees("1", 50, plain("a")), sees("2", 60, stamped("a", 10))}, map[string][]float64{"a": {11}}},
		{"a change of the list that is shown late moves it to the earlier side", []Observation{
			sees("1", 90, plain("a")), sees("2", 90, plain("a"), plain("b")).changed(40)}, map[string][]float64{"a": {41}, "b": {41}}},
		{"a gap within the second of the change that brought it", []Observation{
			sees("1", 4.1).written(4), sees("2", 4.2, plain("a")).wrote(4), sees("9", 60, plain("a")).wrote(4).relisted()}, map[string][]float64{"a": {5}}},
		{"another value is another taint", []Observation{
			sees("1", 5, plain("a")), sees("2", 60, Taint{Key: "a", Value: "x"})}, map[string][]float64{"a": {60}}},
		{"gone and back is a new taintState", []Observation{
			sees("1", 5, plain("a")), sees("2", 5.1), sees("3", 5.2, plain("a")).changed(5)}, map[string][]float64{"a": {5.2}}},
		{"gone and back beside another is a new taintState", []Observation{
			sees("1", 5, plain("a"), plain("b")), sees("2", 7, plain("b")), sees("3", 9, plain("b"), plain("a"))},
			map[string][]float64{"a": {9}, "b": {5}}},
		{"a gap, and the list changed: in doubt, the later time", []Observation{
			sees("1", 5, plain("a")).wrote(4), sees("9", 60, plain("a")).wrote(50).relisted()}, map[string][]float64{"a": {51}}},
		{"a gap, and the list did not change", []Observation{
			sees("1", 5, plain("a")).changed(4).written(6), sees("9", 60, plain("a")).changed(4).relisted()}, map[string][]float64{"a": {5}}},
		{"a gap, and the list may have changed within the second in which it was seen", []Observation{
			sees("1", 4.2, plain("a")).wrote(4), sees("9", 60, plain("a")).changed(4).relisted()}, map[string][]float64{"a": {5}}},
		{"a gap between two sights of one version is none", []Observation{
			sees("1", 4.2, plain("a")).wrote(4), sees("1", 60, plain("a")).wrote(4).relisted()}, map[string][]float64{"a": {4.2}}},
		{"a gap between two sights of one version without managedFields is none", []Observation{
			sees("1", 4.2, plain("a")), sees("1", 60, plain("a")).relisted()}, map[string][]float64{"a": {4.2}}},
		{"a gap, and nothing is known of changes", []Observation{
			sees("1", 5, plain("a")), sees("9", 60, plain("a")).relisted()}, map[string][]float64{"a": {60}}},
		{"a gap, but the stamp is still there", []Observation{
			sees("1", 5, stamped("a", 2)), sees("9", 60, stamped("a", 2)).changed(50).relisted()}, map[string][]float64{"a": {3}}},
		{"not ready all the time proves nothing of another taint", []Observation{
			sees("1", 5, plain("a")).changed(4).notReady(3).written(5), sees("9", 60, plain("a")).changed(50).notReady(3).relisted()},
			map[string][]float64{"a": {51}}},
		{"another node of the same name", []Observation{
			sees("1", 5, plain("a")).changed(4).written(6), sees("2", 60, plain("a")).changed(4).ofAnother()}, map[string][]float64{"a": {5}}},
		{"another node of the same name, with nothing else known", []Observation{
			sees("1", 5, plain("a")), sees("2", 60, plain("a")).ofAnother()}, map[string][]float64{"a": {60}}},
		{"another taint does not go on while it is off", []Observation{
			sees("1", 5, plain("a")).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("4", 30, plain("a")).wrote(30).notReady(3)},
			map[string][]float64{"a": {30}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker(nil)
			observe(tracker, test.versions...)
			check(t, tracker.Taints("n"), test.want)
		})
	}
}

func TestEvidenceFromBeforeAnAbsenceIsDisproved(t *testing.T) {
	for _, test := range []struct {
		name     string
		versions []Observation
		want     float64
	}{
		{"timeAdded from before the last version without the taint", []Observation{
			sees("1", 50).written(50), sees("2", 60, stamped("a", 10)).wrote(59)}, 60},
		{"and where the watch is behind, the change counts", []Observation{
			sees("1", 50).written(50), sees("2", 70, stamped("a", 10)).wrote(59)}, 60},
		{"timeAdded from after it counts", []Observation{sees("1", 50).written(50), sees("2", 70, stamped("a", 55)).wrote(59)}, 56},
		{"timeAdded of the same second: in doubt, the later time", []Observation{
			sees("1", 50).written(50), sees("2", 70, stamped("a", 50)).wrote(59)}, 60},
		{"a writer with an old snapshot puts the taint back", []Observation{
			sees("1", 5, stamped("a", 4)).wrote(4), sees("2", 20).wrote(20), sees("3", 50, stamped("a", 4)).wrote(49)}, 50},
		{"it stays disproved", []Observation{
			sees("1", 50).written(50), sees("2", 60, stamped("a", 10)).wrote(59), sees("3", 90, stamped("a", 10)).changed(59).written(90)}, 60},
		{"over a gap in which the list did not change", []Observation{
			sees("1", 50).written(50), sees("2", 60, stamped("a", 10)).wrote(59), sees("3", 70, stamped("a", 10)).changed(59).written(65),
			sees("9", 90, stamped("a", 10)).changed(59).written(90).relisted()}, 60},
		{"and over one in which it did", []Observation{
			sees("1", 50).written(50), sees("2", 60, stamped("a", 10)).wrote(59),
			sees("9", 90, stamped("a", 10), plain("b")).wrote(80).relisted()}, 81},
		{"and across a gap", []Observation{
			sees("1", 50).written(50), sees("9", 90, stamped("a", 10)).wrote(80).relisted()}, 81},
		{"a change of the list that is older than a version without the taint: an admission plugin added it in another write", []Observation{
			sees("1", 50).changed(10).written(50), sees("2", 60, plain("a")).changed(10).written(60)}, 60},
		{"nor does that date it later on", []Observation{
			sees("1", 50).changed(10).written(50), sees("2", 60, plain("a")).changed(10).written(60), sees("3", 70, plain("a")).changed(10).written(70)}, 60},
		{"within the second of the last change that is known: in doubt, the later time", []Observation{
			sees("1", 50).wrote(50), sees("2", 60, plain("a")).changed(50).written(50)}, 60},
		{"within the second of another write: it is another change", []Observation{
			sees("1", 50).changed(20).written(50), sees("2", 60, stamped("a", 50)).changed(50).written(50)}, 51},
	} {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker(nil)
			observe(tracker, test.versions...)
			if got := tracker.Taints("n")[0].Start; !got.Equal(at(test.want)) {
				t.Errorf("started at %s, want %s", got, at(test.want))
			}
		})
	}
}

// What other nodes show, and reads of limit 1, tell the time of a version without the taint.
func TestOtherNodesTellTheTime(t *testing.T) {
	tracker := NewTracker(nil)
	first := sees("1", 1).written(1)
	tracker.Observe("n", first)
	tracker.Observe("other", sees("5", 40).written(40))
	second := sees("7", 60, stamped("a", 30)).wrote(59).After(first)
	tracker.Observe("n", second)
	if got := tracker.Taints("n")[0].Start; !got.Equal(at(60)) {
		t.Errorf("started at %s: the clock of its writer is behind", got)
	}
}

func TestObserveSaysWhatChanged(t *testing.T) {
	tracker := NewTracker(nil)
	for _, step := range []struct {
		name string
		o    Observation
		want bool
	}{
		{"no taints at first", sees("1", 1), false},
		{"a taint", sees("2", 2, plain("a")), true},
		{"a heartbeat", sees("3", 12, plain("a")), false},
		{"a later stamp", sees("4", 22, stamped("a", 20)), false},
		{"an earlier stamp", sees("5", 32, stamped("a", 0)), true},
		{"another taint", sees("6", 42, stamped("a", 0), plain("b")), true},
		{"no taints any more", sees("7", 52), true},
		{"still none", sees("8", 62), false},
	} {
		if got := tracker.Observe("n", step.o); got != step.want {
			t.Errorf("%s: changed %v", step.name, got)
		}
	}
}

func TestForget(t *testing.T) {
	tracker := NewTracker(nil)
	tracker.Observe("n", sees("1", 1, plain("a")))
	if !tracker.Forget("n", sees("9", 99)) || tracker.Forget("n", sees("9", 99)) {
		t.Error("Forget does not say whether there was a taint")
	}
	if got := tracker.Taints("n"); got != nil {
		t.Errorf("still has %v", got)
	}
}

func TestMemoryIsForTaintedNodesOnly(t *testing.T) {
	tracker := NewTracker(nil)
	tracker.Observe("well", sees("1", 1))
	tracker.Observe("ill", sees("1", 1, plain("a")))
	tracker.Observe("ill", sees("2", 2))
	if len(tracker.nodes) != 0 {
		t.Errorf("remembers %v", tracker.nodes)
	}
}

func TestResolve(t *testing.T) {
	observed := sees("1", 4.2, plain("a")).changed(4).written(4)
	for _, test := range []struct {
		name string
		live Observation
		want float64
	}{
		{"the version that was observed", sees("1", 60, plain("a")).changed(4).written(4), 4.2},
		{"a later one with the same list", sees("2", 60, plain("a")).changed(4).written(50), 5},
		{"a later one with another list", sees("2", 60, plain("a")).changed(30).written(50), 31},
		{"a taint that was not observed", sees("2", 60, plain("b")).changed(30).written(50), 31},
	} {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker(nil)
			tracker.Observe("n", observed)
			got := tracker.Resolve("n", test.live)
			if len(got) != 1 || !got[0].Start.Equal(at(test.want)) {
				t.Errorf("got %v, want %v", got, at(test.want))
			}
			evidence := &deadline.Evidence{Start: deadline.Dated{By: deadline.ByFirstSight, At: at(4.2)}}
			want := []deadline.Taint{{Key: "a", Start: at(4.2), Evidence: evidence}}
			if after := tracker.Taints("n"); !reflect.DeepEqual(after, want) {
				t.Errorf("the live read changed the memory: %v", after)
			}
		})
	}
}

func TestSeen(t *testing.T) {
	tracker := NewTracker(nil)
	for _, step := range []struct {
		name string
		o    Observation
		want time.Time
	}{
		{"no taints", sees("1", 1), time.Time{}},
		{"a taint", sees("2", 2, plain("a")), at(2)},
		{"a heartbeat", sees("3", 12, plain("a")), at(2)},
		{"another taint", sees("4", 22, plain("a"), plain("b")), at(22)},
	} {
		tracker.Observe("n", step.o)
		if got := tracker.ObservedAt("n"); !got.Equal(step.want) {
			t.Errorf("%s: seen at %v", step.name, got)
		}
	}
}

func TestAfter(t *testing.T) {
	before := sees("1", 5).written(4)
	for _, test := range []struct {
		name      string
		next      Observation
		gap       bool
		continues bool
	}{
		{"the next version", sees("2", 6), false, true},
		{"after a gap", sees("2", 6).relisted(), true, true},
		{"of another node", sees("2", 6).ofAnother(), false, false},
	} {
		got := test.next.After(before)
		if got.Continues != test.continues || got.Gap != test.gap || got.BeforeWritten.Equal(at(4)) != test.continues {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// TestNoScheduleTaintsCountWhereTheyAreNamed has a node that carries the same key with both effects.
func TestNoScheduleTaintsCountWhereTheyAreNamed(t *testing.T) {
	tracker := NewTracker(nil)
	named, other := Taint{Key: "a", NoSchedule: true}, Taint{Key: "b", NoSchedule: true}
	first := sees("1", 10, named, other).wrote(5)
	observe(tracker, first)
	if tracker.Tainted("n") || len(tracker.Nodes()) != 0 || len(tracker.Taints("n")) != 0 {
		t.Errorf("tainted by NoSchedule taints that nothing names: %v", tracker.Taints("n"))
	}
	tracker.SetNamed(map[string]bool{"a": true})
	taints := tracker.Taints("n")
	if len(taints) != 1 || taints[0].String() != "a:NoSchedule" || !taints[0].Start.Equal(at(6)) || !tracker.Tainted("n") || len(tracker.Nodes()) != 1 {
		t.Errorf("got %v", taints)
	}
	second := sees("2", 30, named, other, plain("a")).wrote(20)
	if !tracker.Observe("n", second.After(first)) {
		t.Error("a NoExecute taint came, and nothing changed")
	}
	if live := tracker.Resolve("n", second); len(live) != 2 || !live[0].Start.Equal(at(6)) || live[1].String() != "a:NoExecute" || !live[1].Start.Equal(at(21)) {
		t.Errorf("got %v", live)
	}
	if tracker.Observe("n", sees("3", 40, named, plain("a")).wrote(35).After(second)) {
		t.Error("a NoSchedule taint that nothing names went, and something changed")
	}
	tracker.SetNamed(nil)
	if taints := tracker.Taints("n"); len(taints) != 1 || taints[0].String() != "a:NoExecute" {
		t.Errorf("got %v", taints)
	}
}

// TestRecordsOfNoScheduleTaints has starts that the node does not show.
func TestRecordsOfNoScheduleTaints(t *testing.T) {
	tracker := NewTracker(nil)
	tracker.SetNamed(map[string]bool{"a": true})
	first := sees("1", 10, Taint{Key: "a", NoSchedule: true}, Taint{Key: "b", NoSchedule: true}, plain("a")).wrote(5)
	second := first
	second.ResourceVersion, second.Seen = "2", at(100)
	observe(tracker, first, second.wrote(95))
	starts := tracker.Records().Nodes["n"].Starts
	if len(starts) != 2 || starts[0].NoSchedule == starts[1].NoSchedule || starts[0].Key != "a" || starts[1].Key != "a" {
		t.Fatalf("got %+v", starts)
	}
	restarted := NewTracker(nil)
	restarted.SetNamed(map[string]bool{"a": true})
	restarted.Restore(tracker.Records())
	restarted.Observe("n", second.wrote(95))
	for _, taint := range restarted.Taints("n") {
		if !taint.Start.Equal(at(6)) {
			t.Errorf("%s started at %v after a restart", taint, taint.Start)
		}
	}
}
