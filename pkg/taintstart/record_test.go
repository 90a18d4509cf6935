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
	"encoding/json"
	"testing"
	"time"
)

// restarted returns the tracker of another process that restored the records of the first one.
func restarted(t *testing.T, before *Tracker) *Tracker {
	t.Helper()
	records := before.Records()
	data, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	var restored Records
	if err := json.Unmarshal(data, &restored); err != nil {
		t.Fatal(err)
	}
	after := NewTracker(nil)
	after.Restore(restored)
	return after
}

func TestARecordStandsWhereItIsProven(t *testing.T) {
	beside := []step{
		shows(sees("1", 10.5, plain("a")).wrote(10)), shows(sees("2", 50, plain("a"), plain("b")).wrote(50)), confirms("3", 60), reaches("2", "4"),
	}
	disproved := []step{
		shows(sees("1", 50).written(50)), shows(sees("2", 59.5, stamped("a", 10)).wrote(59)), confirms("3", 70), reaches("2", "4"),
	}
	for _, test := range []struct {
		name  string
		steps []step
		after Observation
		want  float64
	}{
		{"a taint without timeAdded, beside which another came", beside, sees("9", 100, plain("a"), plain("b")).changed(50), 10.5},
		{"whose list has been changed once more", beside, sees("9", 100, plain("a"), plain("b")).changed(80), 81},
		{"another value", beside, sees("9", 100, Taint{Key: "a", Value: "x"}, plain("b")).changed(50), 51},
		{"another node of the same name", beside, sees("9", 100, plain("a"), plain("b")).changed(50).ofAnother(), 51},
		{"recorded within the second of its change", beside[:2], sees("9", 100, plain("a"), plain("b")).changed(50), 51},
		{"the same version proves it all the same", beside[:2], sees("2", 100, plain("a"), plain("b")).changed(50), 10.5},
		{"a node without managedFields, and the same version", []step{shows(sees("7", 10.5, plain("a")))}, sees("7", 100, plain("a")), 10.5},
		{"a node without managedFields, and another version: in doubt, the later time",
			[]step{shows(sees("7", 10.5, plain("a")))}, sees("8", 100, plain("a")), 100},
		{"a timeAdded that was recorded is not disproved by the record",
			[]step{shows(sees("7", 10.5, stamped(notReady, 10)).notReady(3))}, sees("8", 100, stamped(notReady, 10)).notReady(3), 11},
		{"nor is an earlier one: no version without the taint was seen",
			[]step{shows(sees("7", 10.5, stamped(notReady, 10)).notReady(3))}, sees("8", 100, stamped(notReady, 9)).notReady(3), 10},
		{"a record of a start does not disprove a timeAdded from after the taint was last known to be off",
			[]step{shows(sees("1", 10).written(10)), shows(sees("2", 90, plain("a"))), confirms("3", 95)}, sees("9", 100, stamped("a", 60)), 61},
		{"a timeAdded that was disproved stays so", disproved, sees("9", 100, stamped("a", 10)).changed(59), 59.5},
		{"and where the list has been changed", disproved, sees("9", 100, stamped("a", 10)).changed(80), 81},
	} {
		t.Run(test.name, func(t *testing.T) {
			after := restarted(t, run(t, test.steps...))
			after.Observe("n", test.after)
			if got := after.Taints("n")[0].Start; !got.Equal(at(test.want)) {
				t.Errorf("began at %s, want %s", got, at(test.want))
			}
		})
	}
}

func TestOnlyWhatTheAPIDoesNotShowIsRecorded(t *testing.T) {
	for _, test := range []struct {
		name            string
		steps           []step
		starts, periods int
	}{
		{"a stamp", []step{shows(sees("1", 10.5, stamped("a", 10)).changed(50))}, 0, 0},
		{"the change of the list", []step{shows(sees("1", 10.5, plain("a")).changed(10))}, 0, 0},
		{"seen some milliseconds before the end of the second", []step{shows(sees("1", 10.1, plain("a")).changed(10))}, 0, 0},
		{"a stamp that is a second later than the one before", []step{
			shows(sees("1", 11.2, stamped("a", 10)).wrote(10)), shows(sees("2", 11.5, stamped("a", 11)).wrote(11))}, 1, 0},
		{"a stamp that is disproved, of a second before", []step{
			shows(sees("1", 10.5).written(10)), shows(sees("2", 11.5, stamped("a", 9)).wrote(10))}, 1, 0},
		{"nothing", []step{shows(sees("1", 10.5, plain("a")))}, 1, 0},
		{"a stamp that is disproved", []step{shows(sees("1", 10).written(10)), shows(sees("2", 20, stamped("a", 5)).wrote(20))}, 1, 0},
		{"a not-ready period", []step{shows(on("1", 4, notReady))}, 0, 1},
		{"a not-ready period with its taints off", []step{shows(on("1", 4, notReady)), shows(off("2", 5))}, 0, 1},
		{"no taint", []step{shows(sees("1", 10.5))}, 0, 0},
	} {
		got := run(t, test.steps...).Records().Nodes["n"]
		if len(got.Starts) != test.starts || len(got.Periods) != test.periods {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestRecordsAreConfirmedAsFarAsTheWatchWasObserved(t *testing.T) {
	tracker := run(t, shows(on("1", 4, notReady)), confirms("7", 100), confirms("9", 110), reaches("1", "8"))
	if got := tracker.Records(); !got.ConfirmedUntil.Equal(at(100)) || !got.HasPeriods() || got.Unconfirmed() > 0 {
		t.Errorf("%+v", got)
	}
	if got := run(t, shows(on("1", 4, notReady))).Records(); got.Unconfirmed() != 1 {
		t.Errorf("%+v", got)
	}
}

func TestRecordsThatNobodyAskedForAreDropped(t *testing.T) {
	after := NewTracker(nil)
	after.Restore(Records{ConfirmedUntil: at(99), Nodes: map[string]Record{"n": {
		UID: "node", NotReadySince: at(3), Periods: []RecordedPeriod{{Time: at(10), On: []RecordedStart{{Key: notReady, Time: at(10)}}}},
	}}})
	after.DropRestored()
	after.Observe("n", on("9", 100, notReady))
	check(t, after.Taints("n"), map[string][]float64{notReady: {100.5, 100.5}})
}

func TestRecordsAreEqual(t *testing.T) {
	record := func(change ...func(*Record)) Record {
		r := Record{
			UID: "node", ResourceVersion: "1", Changed: at(8), NotReadySince: at(9), Starts: []RecordedStart{{Key: "a", Value: "b", Time: at(11)}},
			Periods: []RecordedPeriod{{Time: at(10), On: []RecordedStart{{Key: notReady, Time: at(10)}}}},
		}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	elsewhere := time.FixedZone("elsewhere", 3600)
	for name, change := range map[string]func(*Record){
		"zone":             func(r *Record) { r.Changed, r.Starts[0].Time = r.Changed.In(elsewhere), at(11).In(elsewhere) },
		"resource version": func(r *Record) { r.ResourceVersion, r.Confirmed = "2", at(90) },
	} {
		if !record().Equal(record(change)) {
			t.Errorf("another %s makes another record", name)
		}
	}
	for name, change := range map[string]func(*Record){
		"UID":              func(r *Record) { r.UID = "other" },
		"changed":          func(r *Record) { r.Changed = at(7) },
		"not ready since":  func(r *Record) { r.NotReadySince = at(7) },
		"not ready":        func(r *Record) { r.NotReady = "Unknown" },
		"fewer starts":     func(r *Record) { r.Starts = nil },
		"key":              func(r *Record) { r.Starts[0].Key = "c" },
		"value":            func(r *Record) { r.Starts[0].Value = "c" },
		"start":            func(r *Record) { r.Starts[0].Time = at(12) },
		"period":           func(r *Record) { r.Periods[0].Time = at(12) },
		"own start":        func(r *Record) { r.Periods[0].On[0].Time = at(12) },
		"may have swapped": func(r *Record) { r.Periods[0].MayHaveSwapped = true },
		"absence":          func(r *Record) { r.Periods[0].LastOn = at(12) },
	} {
		if record().Equal(record(change)) {
			t.Errorf("another %s, and they are equal", name)
		}
	}
}
