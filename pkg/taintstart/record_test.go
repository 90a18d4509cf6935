package taintstart

import (
	"encoding/json"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

// restarted is a tracker of another process, to which went what the first one recorded at a moment.
func restarted(t *testing.T, before *Tracker, now float64) *Tracker {
	t.Helper()
	data, err := json.Marshal(before.Records(at(now), nil))
	if err != nil {
		t.Fatal(err)
	}
	var records map[string]Record
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatal(err)
	}
	after := NewTracker()
	after.Recall(records)
	return after
}

// startOf is when the first taint of the node began.
func startOf(t *testing.T, tracker *Tracker) time.Time {
	t.Helper()
	taints := tracker.Taints("n")
	if len(taints) == 0 {
		t.Fatal("the node has no taints")
	}
	return taints[0].Start
}

func TestWhatIsRecordedStandsWhereItIsProven(t *testing.T) {
	unreachable := v1.TaintNodeUnreachable
	for _, test := range []struct {
		name   string
		before []Observation
		record float64 // when it is written down
		after  Observation
		want   float64
	}{
		{"the taint of an illness is stamped anew",
			[]Observation{sees("1", 10.5, stamped(unreachable, 10)).changed(10).notReady(9)}, 20,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(9), 10.5},
		{"it is the other taint of the illness by now",
			[]Observation{sees("1", 10.5, stamped(v1.TaintNodeNotReady, 10)).changed(10).notReady(9)}, 20,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(9), 10.5},
		{"the taint of an illness is off as it is written down",
			[]Observation{
				sees("1", 10.5, stamped(unreachable, 10)).changed(10).notReady(9),
				sees("2", 20).notReady(9),
			}, 25,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(9), 10.5},
		{"the node was well meanwhile",
			[]Observation{sees("1", 10.5, stamped(unreachable, 10)).changed(10).notReady(9)}, 20,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(88), 91},
		{"another node has the name",
			[]Observation{sees("1", 10.5, stamped(unreachable, 10)).changed(10).notReady(9)}, 20,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(9).ofAnother(), 91},
		{"too new to be written down",
			[]Observation{sees("1", 10.5, stamped(unreachable, 10)).changed(10).notReady(9)}, 15,
			sees("9", 100, stamped(unreachable, 90)).changed(90).notReady(9), 91},
		{"a taint without a stamp, beside which another came",
			[]Observation{sees("1", 10.5, plain("a")).changed(10), sees("2", 50, plain("a"), plain("b")).changed(50)}, 60,
			sees("9", 100, plain("a"), plain("b")).changed(50), 10.5},
		{"whose list has been changed once more",
			[]Observation{sees("1", 10.5, plain("a")).changed(10), sees("2", 50, plain("a"), plain("b")).changed(50)}, 60,
			sees("9", 100, plain("a"), plain("b")).changed(80), 81},
		{"another value",
			[]Observation{sees("1", 10.5, plain("a")).changed(10), sees("2", 50, plain("a"), plain("b")).changed(50)}, 60,
			sees("9", 100, Taint{Key: "a", Value: "x"}, plain("b")).changed(50), 51},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := NewTracker()
			for _, o := range test.before {
				before.Observe("n", o)
			}
			after := restarted(t, before, test.record)
			after.Observe("n", test.after)
			if got := startOf(t, after); !got.Equal(at(test.want)) {
				t.Errorf("began at %s, want %s", got, at(test.want))
			}
		})
	}
}

func TestOnlyWhatTheAPIDoesNotShowIsRecorded(t *testing.T) {
	for _, test := range []struct {
		name string
		last Observation
		want int
	}{
		{"a stamp", sees("1", 10.5, stamped("a", 10)).changed(50), 0},
		{"the change of the list", sees("1", 10.5, plain("a")).changed(10), 0},
		{"seen some milliseconds before the end of the second", sees("1", 10.1, plain("a")).changed(10), 0},
		{"nothing", sees("1", 10.5, plain("a")), 1},
		{"an illness", sees("1", 10.5, stamped(v1.TaintNodeUnreachable, 10), stamped("a", 10)).changed(10).notReady(9), 1},
		{"no taint", sees("1", 10.5), 0},
	} {
		tracker := NewTracker()
		tracker.Observe("n", test.last)
		if n := len(tracker.Records(at(100), nil)["n"].Starts); n != test.want {
			t.Errorf("%s: %d starts", test.name, n)
		}
	}
}

// A version that is too new does not drop what was recorded of the node before, but another node's is dropped.
func TestRecordsOfBeforeStayForAWhile(t *testing.T) {
	tracker := NewTracker()
	tracker.Observe("n", sees("1", 10.5, stamped(v1.TaintNodeUnreachable, 10)).notReady(9))
	old := tracker.Records(at(20), nil)
	tracker.Observe("n", sees("2", 21, stamped(v1.TaintNodeUnreachable, 21)).notReady(9).changed(21))
	if got := tracker.Records(at(22), old)["n"]; len(got.Starts) != 1 || !got.Changed.IsZero() {
		t.Errorf("got %+v", got)
	}
	if got := tracker.Records(at(30), old)["n"]; len(got.Starts) != 1 || !got.Changed.Equal(at(21)) {
		t.Errorf("got %+v", got)
	}
	tracker.Observe("n", sees("3", 40, stamped(v1.TaintNodeUnreachable, 40)).notReady(40).changed(40).ofAnother())
	if got := tracker.Records(at(41), old); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	tracker.Forget("n")
	if got := tracker.Records(at(60), old); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestRecordsThatNobodyAskedForAreDropped(t *testing.T) {
	after := NewTracker()
	after.Recall(map[string]Record{"n": {UID: "node", NotReadySince: at(9), Starts: []Start{{Time: at(10)}, {Key: "a"}}}})
	after.ForgetRecalled()
	after.Observe("n", sees("9", 100, stamped(v1.TaintNodeUnreachable, 90)).changed(90).notReady(9))
	if got := startOf(t, after); !got.Equal(at(91)) {
		t.Errorf("began at %s", got)
	}
}

func TestRecordsAreEqual(t *testing.T) {
	record := func(change ...func(*Record)) Record {
		r := Record{UID: "node", Changed: at(8), NotReadySince: at(9), Starts: []Start{{Time: at(10)}, {Key: "a", Value: "b", Time: at(11)}}}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	elsewhere := time.FixedZone("elsewhere", 3600)
	if !record().Equal(record(func(r *Record) { r.Changed, r.Starts[0].Time = r.Changed.In(elsewhere), at(10).In(elsewhere) })) {
		t.Error("another zone makes another record")
	}
	for name, change := range map[string]func(*Record){
		"UID":             func(r *Record) { r.UID = "other" },
		"changed":         func(r *Record) { r.Changed = at(7) },
		"not ready since": func(r *Record) { r.NotReadySince = at(7) },
		"fewer starts":    func(r *Record) { r.Starts = r.Starts[:1] },
		"key":             func(r *Record) { r.Starts[1].Key = "c" },
		"value":           func(r *Record) { r.Starts[1].Value = "c" },
		"start":           func(r *Record) { r.Starts[1].Time = at(12) },
	} {
		if record().Equal(record(change)) {
			t.Errorf("another %s, and they are equal", name)
		}
	}
}
