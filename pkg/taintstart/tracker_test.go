package taintstart

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// at is some seconds after noon.
func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// sees is an observation at a moment, of version v.
func sees(v string, seen float64, taints ...Taint) Observation {
	return Observation{UID: "node", ResourceVersion: v, Seen: at(seen), Taints: taints}
}

func (o Observation) changed(seconds float64) Observation {
	o.Changed = at(seconds)
	return o
}

func (o Observation) written(seconds float64) Observation {
	o.Written = at(seconds)
	return o
}

func (o Observation) notReady(seconds float64) Observation {
	o.NotReadySince = at(seconds)
	return o
}

func (o Observation) gap() Observation {
	o.Gap = true
	return o
}

// after tells when the version before was written.
func (o Observation) after(written float64) Observation {
	o.Previous = at(written)
	return o
}

// ofAnother is of another node of the same name.
func (o Observation) ofAnother() Observation {
	o.UID = "other"
	return o
}

func plain(key string) Taint { return Taint{Key: key} }

func stamped(key string, seconds float64) Taint { return Taint{Key: key, TimeAdded: at(seconds)} }

func TestTaintsAreDatedByTheirEarliestEvidence(t *testing.T) {
	for _, test := range []struct {
		name     string
		versions []Observation
		want     map[string]float64 // taint to the start that it has after the last version
	}{
		{"first seen, where there is nothing else", []Observation{sees("1", 5.25, plain("a"))}, map[string]float64{"a": 5.25}},
		{"timeAdded, at the end of its second", []Observation{sees("1", 50, stamped("a", 5))}, map[string]float64{"a": 6}},
		{"timeAdded in the future has no effect", []Observation{sees("1", 50, stamped("a", 5000))}, map[string]float64{"a": 50}},
		{"the change of the list, at the end of its second", []Observation{sees("1", 50, plain("a")).changed(7)}, map[string]float64{"a": 8}},
		{"seen within the second of the change", []Observation{sees("1", 7.2, plain("a")).changed(7)}, map[string]float64{"a": 7.2}},
		{"the earliest of all", []Observation{sees("1", 50, stamped("a", 9), plain("b")).changed(20)}, map[string]float64{"a": 10, "b": 21}},
		{"a stamp that comes later does not move it", []Observation{
			sees("1", 5, plain("a")), sees("2", 90, stamped("a", 80)).changed(90)}, map[string]float64{"a": 5}},
		{"a stamp that is earlier moves it", []Observation{
			sees("1", 50, plain("a")), sees("2", 60, stamped("a", 10))}, map[string]float64{"a": 11}},
		{"another value is another taint", []Observation{
			sees("1", 5, plain("a")), sees("2", 60, Taint{Key: "a", Value: "x"})}, map[string]float64{"a": 60}},
		{"gone and back is a new presence", []Observation{
			sees("1", 5, plain("a")), sees("2", 5.1), sees("3", 5.2, plain("a")).changed(5)}, map[string]float64{"a": 5.2}},
		{"gone and back beside another is a new presence", []Observation{
			sees("1", 5, plain("a"), plain("b")), sees("2", 7, plain("b")), sees("3", 9, plain("b"), plain("a"))},
			map[string]float64{"a": 9, "b": 5}},
		{"not-ready and unreachable take turns", []Observation{
			sees("1", 5, stamped(v1.TaintNodeNotReady, 4)),
			sees("2", 60, stamped(v1.TaintNodeNotReady, 4), stamped(v1.TaintNodeUnreachable, 60)),
			sees("3", 61, stamped(v1.TaintNodeUnreachable, 60)),
		}, map[string]float64{v1.TaintNodeUnreachable: 5}},
		{"an illness that ended is over", []Observation{
			sees("1", 5, plain(v1.TaintNodeNotReady)), sees("2", 60, plain("a")), sees("3", 70, plain("a"), plain(v1.TaintNodeUnreachable))},
			map[string]float64{"a": 60, v1.TaintNodeUnreachable: 70}},

		{"a gap, and the list changed: in doubt, the later time", []Observation{
			sees("1", 5, plain("a")).changed(4), sees("9", 60, plain("a")).changed(50).gap()}, map[string]float64{"a": 51}},
		{"a gap, and the list did not change", []Observation{
			sees("1", 5, plain("a")).changed(4).written(6), sees("9", 60, plain("a")).changed(4).gap()}, map[string]float64{"a": 5}},
		{"a gap, and the list may have changed within the second in which it was seen", []Observation{
			sees("1", 4.2, plain("a")).changed(4).written(4), sees("9", 60, plain("a")).changed(4).gap()}, map[string]float64{"a": 5}},
		{"a gap between two sights of one version is none", []Observation{
			sees("1", 4.2, plain("a")).changed(4).written(4), sees("1", 60, plain("a")).changed(4).written(4).gap()}, map[string]float64{"a": 4.2}},
		{"a gap, and nothing is known of changes", []Observation{
			sees("1", 5, plain("a")), sees("9", 60, plain("a")).gap()}, map[string]float64{"a": 60}},
		{"a gap, but the stamp is still there", []Observation{
			sees("1", 5, stamped("a", 2)), sees("9", 60, stamped("a", 2)).changed(50).gap()}, map[string]float64{"a": 3}},
		{"a gap, and the node has been ill all the time", []Observation{
			sees("1", 5, plain(v1.TaintNodeNotReady)).changed(4).notReady(3).written(5),
			sees("9", 60, stamped(v1.TaintNodeUnreachable, 50)).changed(50).notReady(3).gap()},
			map[string]float64{v1.TaintNodeUnreachable: 5}},
		{"a gap, and the node may have been well in between", []Observation{
			sees("1", 5, plain(v1.TaintNodeNotReady)).changed(4).notReady(3).written(5),
			sees("9", 60, stamped(v1.TaintNodeUnreachable, 50)).changed(50).notReady(40).gap()},
			map[string]float64{v1.TaintNodeUnreachable: 51}},
		{"an illness proves nothing of another taint", []Observation{
			sees("1", 5, plain("a")).changed(4).notReady(3).written(5), sees("9", 60, plain("a")).changed(50).notReady(3).gap()},
			map[string]float64{"a": 51}},
		{"another node of the same name", []Observation{
			sees("1", 5, plain("a")).changed(4).written(6), sees("2", 60, plain("a")).changed(4).ofAnother()}, map[string]float64{"a": 5}},
		{"an illness goes on while its taints are off for a moment", []Observation{
			sees("1", 5, plain(v1.TaintNodeUnreachable)).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("3", 50).notReady(3).written(50),
			sees("4", 60, stamped(v1.TaintNodeUnreachable, 60)).changed(60).notReady(3).written(60)},
			map[string]float64{v1.TaintNodeUnreachable: 5}},
		{"and with other taints beside it", []Observation{
			sees("1", 5, plain("a"), plain(v1.TaintNodeNotReady)).changed(4).notReady(3).written(5),
			sees("2", 20, plain("a")).changed(20).notReady(3).written(20),
			sees("4", 60, plain("a"), stamped(v1.TaintNodeUnreachable, 60)).changed(60).notReady(3).written(60)},
			map[string]float64{"a": 5, v1.TaintNodeUnreachable: 5}},
		{"an illness whose taints are off for long begins anew", []Observation{
			sees("1", 5, plain(v1.TaintNodeUnreachable)).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("4", 81, stamped(v1.TaintNodeUnreachable, 81)).changed(81).notReady(3).written(81)},
			map[string]float64{v1.TaintNodeUnreachable: 81}},
		{"an illness whose taints are off is over when the node is ready", []Observation{
			sees("1", 5, plain(v1.TaintNodeUnreachable)).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("3", 25).written(25),
			sees("4", 30, stamped(v1.TaintNodeUnreachable, 30)).changed(30).notReady(28).written(30)},
			map[string]float64{v1.TaintNodeUnreachable: 30}},
		{"an illness may have ended in a gap while its taints were off", []Observation{
			sees("1", 5, plain(v1.TaintNodeUnreachable)).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("4", 30, stamped(v1.TaintNodeUnreachable, 29)).changed(29).notReady(25).written(30).gap()},
			map[string]float64{v1.TaintNodeUnreachable: 30}},
		{"another taint does not go on while it is off", []Observation{
			sees("1", 5, plain("a")).changed(4).notReady(3).written(5),
			sees("2", 20).notReady(3).written(20),
			sees("4", 30, plain("a")).changed(30).notReady(3).written(30)},
			map[string]float64{"a": 30}},

		{"a change of the list that is older than a version without the taint dates nothing", []Observation{
			sees("2", 60, plain("a")).changed(10).written(60).after(50)}, map[string]float64{"a": 60}},
		{"but it dates what was there", []Observation{
			sees("1", 50, plain("a")).changed(10).written(50), sees("2", 60, plain("a")).changed(10).written(60).after(50)}, map[string]float64{"a": 11}},
		{"a change within the second of the version before dates", []Observation{
			sees("2", 60, plain("a")).changed(50).written(50).after(50)}, map[string]float64{"a": 51}},
		{"another node of the same name, with nothing else known", []Observation{
			sees("1", 5, plain("a")), sees("2", 60, plain("a")).ofAnother()}, map[string]float64{"a": 60}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker()
			for _, version := range test.versions {
				tracker.Observe("n", version)
			}
			got := tracker.Taints("n")
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for _, taint := range got {
				if want := at(test.want[taint.Key]); !taint.Start.Equal(want) {
					t.Errorf("%s started at %v, want %v", taint.Key, taint.Start, want)
				}
			}
		})
	}
}

func TestObserveSaysWhatChanged(t *testing.T) {
	tracker := NewTracker()
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
	tracker := NewTracker()
	tracker.Observe("n", sees("1", 1, plain("a")))
	if !tracker.Forget("n") || tracker.Forget("n") {
		t.Error("Forget does not say whether there was a taint")
	}
	if got := tracker.Taints("n"); got != nil {
		t.Errorf("still has %v", got)
	}
}

func TestMemoryIsForTaintedNodesOnly(t *testing.T) {
	tracker := NewTracker()
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
			tracker := NewTracker()
			tracker.Observe("n", observed)
			got := tracker.Resolve("n", test.live)
			if len(got) != 1 || !got[0].Start.Equal(at(test.want)) {
				t.Errorf("got %v, want %v", got, at(test.want))
			}
			if after := tracker.Taints("n"); len(after) != 1 || after[0] != (deadline.Taint{Key: "a", Start: at(4.2)}) {
				t.Errorf("the live read changed the memory: %v", after)
			}
		})
	}
}

func TestSeen(t *testing.T) {
	tracker := NewTracker()
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
		if got := tracker.Seen("n"); !got.Equal(step.want) {
			t.Errorf("%s: seen at %v", step.name, got)
		}
	}
}

func TestMemoryOfAPauseEnds(t *testing.T) {
	tracker := NewTracker()
	tracker.Observe("n", sees("1", 5, plain(v1.TaintNodeUnreachable)).notReady(3).written(5))
	if !tracker.Observe("n", sees("2", 20).notReady(3).written(20)) || len(tracker.Taints("n")) != 0 {
		t.Error("the taint is not off")
	}
	if len(tracker.nodes) != 1 || tracker.Observe("n", sees("3", 70).notReady(3).written(70)) {
		t.Error("the pause is not remembered, or is a change")
	}
	if tracker.Observe("n", sees("4", 90).notReady(3).written(90)); len(tracker.nodes) != 0 {
		t.Error("the pause is remembered for too long")
	}
	tracker.Observe("n", sees("5", 105, plain(v1.TaintNodeUnreachable)).notReady(3).written(105))
	tracker.Observe("n", sees("6", 120).notReady(3).written(120))
	if tracker.Forget("n") || len(tracker.nodes) != 0 {
		t.Error("a pause is no taint, and is forgotten with its node")
	}
}

func TestAfter(t *testing.T) {
	before := sees("1", 5).written(4)
	for _, test := range []struct {
		name string
		next Observation
		gap  bool
		want time.Time
	}{
		{"the next version", sees("2", 6), false, at(4)},
		{"after a gap", sees("2", 6), true, time.Time{}},
		{"of another node", sees("2", 6).ofAnother(), false, time.Time{}},
	} {
		if got := test.next.After(before, test.gap); !got.Previous.Equal(test.want) || got.Gap != test.gap {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
