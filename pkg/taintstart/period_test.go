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
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// step is something that happens to a tracker.
type step func(*history)

// history is what a node showed, and the evidence of the time.
type history struct {
	tracker *Tracker
	last    Observation
	t       *testing.T
}

// shows returns a step in which the tracker observes the next version of the node.
func shows(o Observation) step {
	return func(h *history) {
		if h.last.UID != "" {
			o = o.After(h.last)
		}
		h.tracker.Observe("n", o)
		h.last = o
	}
}

// confirms returns a step in which a read with limit 1 dates a resourceVersion.
func confirms(version string, sent float64) step {
	return func(h *history) { h.tracker.Confirm(at(sent), version) }
}

// reaches returns a step in which a bookmark tells how far the watch after the first list has come.
func reaches(after, version string) step {
	return func(h *history) { h.tracker.BookmarkReceived(1, after, version) }
}

// lists returns a step in which a list dates its resourceVersion.
func lists(list uint64, version string, sent float64) step {
	return func(h *history) { h.tracker.ListCompleted(list, at(sent), version) }
}

// unknown returns an observation of a node that the node lifecycle controller, not the kubelet, reports not ready.
func (o Observation) unknown() Observation {
	o.NotReady = "Unknown"
	return o
}

// restarts returns a step in which another process continues from the records of this one.
func restarts() step {
	return func(h *history) {
		h.tracker = restarted(h.t, h.tracker)
		h.last = Observation{}
	}
}

func run(t *testing.T, steps ...step) *Tracker {
	t.Helper()
	h := &history{tracker: NewTracker(nil), t: t}
	for _, step := range steps {
		step(h)
	}
	return h.tracker
}

// The node has not been ready since second 3. Its taint is put on at second 4.
func on(v string, seen float64, keys ...string) Observation {
	var taints []Taint
	for _, key := range keys {
		taints = append(taints, stamped(key, seen))
	}
	return sees(v, seen+0.5, taints...).wrote(seen).notReady(3)
}

func off(v string, seen float64) Observation { return sees(v, seen+0.5).written(4).notReady(3) }

func TestNotReadyPeriods(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []step
		want  map[string][]float64
	}{
		{"the taints take turns", []step{shows(on("1", 4, notReady)), shows(on("2", 60, notReady, unreachable)), shows(on("3", 61, unreachable))},
			map[string][]float64{unreachable: {60.5, 4.5}}},
		{"and in one write", []step{shows(on("1", 4, notReady)), shows(on("3", 61, unreachable))}, map[string][]float64{unreachable: {61.5, 4.5}}},
		{"and back", []step{shows(on("1", 4, notReady)), shows(on("3", 61, unreachable)), shows(on("4", 90, notReady))},
			map[string][]float64{notReady: {90.5, 4.5}}},
		{"both at first sight", []step{shows(sees("1", 50, stamped(notReady, 10), stamped(unreachable, 20)).wrote(20).notReady(3))},
			map[string][]float64{notReady: {11, 11}, unreachable: {21, 11}}},
		{"an absence does not move the taint's own start", []step{
			shows(on("1", 4, notReady)), confirms("2", 50), shows(off("3", 60)), shows(on("4", 61, notReady))},
			map[string][]float64{notReady: {4.5, 4.5}}},
		{"an absence disproves an older timeAdded, and stays so", []step{
			shows(sees("1", 50.5, stamped(notReady, 40)).wrote(40).notReady(3)), confirms("2", 59), shows(off("3", 60)),
			shows(sees("4", 61.5, stamped(notReady, 10)).wrote(61).notReady(3)), shows(sees("5", 70.5, stamped(notReady, 10)).changed(61).written(70).notReady(3))},
			map[string][]float64{notReady: {41, 41}}},
		{"nor one of a taint that came in place of the other", []step{
			shows(on("1", 4, unreachable)), shows(on("2", 30, notReady)), shows(off("3", 60)), shows(on("4", 61, notReady))},
			map[string][]float64{notReady: {30.5, 4.5}}},
		{"an absence after which the other one is on", []step{
			shows(on("1", 4, notReady)), confirms("2", 50), shows(off("3", 60)), shows(on("4", 61, unreachable))},
			map[string][]float64{unreachable: {61.5, 4.5}}},
		{"an absence of over a minute begins a new period", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(off("3", 60)), shows(on("4", 125, notReady))},
			map[string][]float64{notReady: {125.5, 125.5}}},
		{"an absence that is not known to be shorter does too", []step{
			shows(on("1", 4, notReady)), shows(off("3", 60)), shows(on("4", 65, notReady))},
			map[string][]float64{notReady: {65.5, 65.5}}},
		{"an absence in which the node was ready", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(off("3", 60)), shows(sees("4", 61).wrote(61)), shows(on("5", 62, notReady))},
			map[string][]float64{notReady: {62.5, 62.5}}},
		{"ready before the taint goes: it is over when the taint has gone", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(sees("3", 60, stamped(notReady, 4)).changed(4).written(60)),
			shows(sees("4", 61).written(60)), shows(on("5", 62, notReady))},
			map[string][]float64{notReady: {62.5, 62.5}}},
		{"a removal that is shown late is dated by its resourceVersion", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), confirms("8", 300), shows(off("3", 330)), shows(on("4", 331, notReady).wrote(61))},
			map[string][]float64{notReady: {4.5, 4.5}}},
		{"and a long absence that is shown at once is long", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), confirms("8", 660), shows(off("3", 665)), shows(on("9", 665.1, notReady).wrote(660))},
			map[string][]float64{notReady: {661, 661}}},

		{"a relist, and the watch had been observed up to a minute before", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), shows(on("20", 150, notReady).relisted())},
			map[string][]float64{notReady: {150.5, 4.5}}},
		{"a relist that may hide the end of the period: the change that both versions show counts", []step{
			shows(on("1", 4, notReady)), shows(on("20", 150, notReady).changed(4).written(4).notReady(140).relisted())},
			map[string][]float64{notReady: {5, 5}}},
		{"a relist, and it had not", []step{
			shows(on("1", 4, notReady)), confirms("7", 80), reaches("1", "8"), shows(on("20", 150, notReady).relisted())},
			map[string][]float64{notReady: {150.5, 150.5}}},
		{"a relist, and it had been observed up to less than what told the time", []step{
			shows(on("1", 4, notReady)), confirms("9", 100), reaches("1", "8"), shows(on("20", 150, notReady).relisted())},
			map[string][]float64{notReady: {150.5, 150.5}}},
		{"a relist, and the events before the bookmark have not been observed", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("6", "8"), shows(on("20", 150, notReady).relisted())},
			map[string][]float64{notReady: {150.5, 150.5}}},
		{"a relist, and the node may have been ready", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), shows(on("20", 150, notReady).notReady(140).relisted())},
			map[string][]float64{notReady: {150.5, 150.5}}},
		{"a relist, and another writer says that it is not ready, with the same time by its clock", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), shows(on("20", 150, notReady).unknown().relisted())},
			map[string][]float64{notReady: {150.5, 150.5}}},
		{"the list that a watch began with confirms what it has", []step{
			lists(1, "9", 100), shows(on("1", 4, notReady)), shows(off("12", 110)), shows(on("13", 120, notReady))},
			map[string][]float64{notReady: {4.5, 4.5}}},
		{"and over a relist", []step{
			lists(1, "9", 100), shows(on("1", 4, notReady)), shows(on("20", 150, notReady).relisted())},
			map[string][]float64{notReady: {150.5, 4.5}}},
		{"and it was made too long ago", []step{
			lists(1, "9", 55), shows(on("1", 4, notReady)), shows(off("12", 110)), shows(on("13", 120, notReady))},
			map[string][]float64{notReady: {120.5, 120.5}}},
		{"a relist, in which the other one may have been on: in doubt, its own start is later", []step{
			shows(on("1", 4, notReady)), shows(on("2", 30, unreachable)), confirms("7", 100), reaches("2", "8"), shows(on("20", 150, unreachable).relisted())},
			map[string][]float64{unreachable: {150.5, 4.5}}},
		{"a relist, and another timeAdded dates the period too", []step{
			shows(sees("1", 50.5, stamped(notReady, 43)).wrote(43).notReady(3)), confirms("7", 100), reaches("1", "8"),
			shows(sees("20", 120.5, stamped(notReady, 41)).wrote(120).notReady(3).relisted())},
			map[string][]float64{notReady: {42, 42}}},
		{"a relist, and the list has not changed", []step{
			shows(on("1", 4, notReady)), shows(on("2", 30, unreachable)), confirms("3", 40), reaches("2", "3"),
			shows(on("20", 150, unreachable).changed(30).written(150).relisted())},
			map[string][]float64{unreachable: {30.5, 4.5}}},
		{"a relist while both are off", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(off("3", 60)), shows(off("3", 70).relisted()), shows(on("9", 80, notReady).relisted())},
			map[string][]float64{notReady: {4.5, 4.5}}},
		{"off and on again within the second that was confirmed, and a relist a minute later", []step{
			shows(on("1", 4, notReady)), confirms("2", 59.1), shows(off("3", 59.3)), shows(on("20", 200, notReady).changed(59).relisted())},
			map[string][]float64{notReady: {60, 4.5}}},
		{"the same, and another taint that stays dates both changes", []step{
			shows(on("1", 4, notReady)), confirms("2", 59.1), shows(sees("3", 59.3, plain("a")).wrote(59).notReady(3)),
			shows(sees("20", 200.5, plain("a"), stamped(notReady, 59)).changed(59).written(200).notReady(3).relisted())},
			map[string][]float64{"a": {60}, notReady: {200.5, 4.5}}},
		{"the same without a version in between", []step{
			shows(on("1", 4, notReady)), confirms("2", 59.1), reaches("1", "2"), shows(on("20", 200, notReady).changed(59).relisted())},
			map[string][]float64{notReady: {60, 4.5}}},
		{"a relist that shows both off: the other one may have been on before", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), shows(off("20", 110).relisted()), shows(on("21", 120, notReady).relisted())},
			map[string][]float64{notReady: {120.5, 4.5}}},
		{"and a restart during that", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), shows(off("20", 110).relisted()), restarts(),
			shows(off("20", 110)), shows(on("21", 120, notReady))},
			map[string][]float64{notReady: {120.5, 4.5}}},

		{"a restart, and the record is fresh", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), restarts(), shows(on("20", 150, notReady))},
			map[string][]float64{notReady: {150.5, 4.5}}},
		{"a restart, and the record is old", []step{
			shows(on("1", 4, notReady)), confirms("7", 100), reaches("1", "8"), restarts(), shows(on("20", 170, notReady))},
			map[string][]float64{notReady: {170.5, 170.5}}},
		{"a restart, and the list has not changed", []step{
			shows(on("1", 4, notReady)), shows(on("2", 30, unreachable)), confirms("3", 40), reaches("2", "3"), restarts(),
			shows(on("20", 900, unreachable).changed(30).written(900))},
			map[string][]float64{unreachable: {30.5, 4.5}}},
		{"a restart while both are off", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(off("3", 60)), confirms("4", 100), restarts(), shows(on("9", 110, notReady))},
			map[string][]float64{notReady: {110.5, 4.5}}},
		{"a restart while both are off, for long", []step{
			shows(on("1", 4, notReady)), confirms("2", 59), shows(off("3", 60)), confirms("4", 100), restarts(), shows(on("9", 125, notReady))},
			map[string][]float64{notReady: {125.5, 125.5}}},
	} {
		t.Run(test.name, func(t *testing.T) { check(t, run(t, test.steps...).Taints("n"), test.want) })
	}
}

// A live read that is ahead of the watch.
func TestNotReadyPeriodsOfALiveRead(t *testing.T) {
	for _, test := range []struct {
		confirmed float64
		want      []float64
	}{{100, []float64{150.5, 4.5}}, {80, []float64{150.5, 150.5}}} {
		tracker := run(t, shows(on("1", 4, notReady)), confirms("7", test.confirmed), reaches("1", "8"))
		live := on("20", 150, notReady)
		live.List = 0
		check(t, tracker.Resolve("n", live), map[string][]float64{notReady: test.want})
		check(t, tracker.Taints("n"), map[string][]float64{notReady: {4.5, 4.5}})
	}
}

func TestAnAbsenceIsForgotten(t *testing.T) {
	tracker := run(t, shows(on("1", 4, unreachable)), confirms("2", 59), shows(off("3", 60)))
	if len(tracker.Taints("n")) != 0 || len(tracker.nodes) != 1 {
		t.Error("the taint is not off, or the absence is not remembered")
	}
	if tracker.Prune(); len(tracker.nodes) != 1 {
		t.Error("the absence is not remembered")
	}
	tracker.Confirm(at(121), "9")
	tracker.BookmarkReceived(1, "3", "10")
	if tracker.Prune(); len(tracker.nodes) != 0 {
		t.Error("the absence is remembered for too long")
	}
	tracker = run(t, shows(on("1", 4, unreachable)), confirms("2", 59), shows(off("3", 60)))
	if tracker.Forget("n", off("5", 61)) || len(tracker.nodes) != 0 {
		t.Error("an absence is no taint, and is forgotten with its node")
	}
}

func TestNeedsConfirmation(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []step
		now   float64
		want  bool
	}{
		{"no node", nil, 100, false},
		{"another taint that its node shows", []step{shows(sees("1", 4, plain("a")).wrote(4))}, 100, false},
		{"not ready, and just seen", []step{shows(on("1", 4, notReady))}, 20, false},
		{"not ready, and nothing has told the time for long", []step{shows(on("1", 4, notReady))}, 30, true},
		{"not ready, and told", []step{shows(on("1", 4, notReady)), confirms("9", 29)}, 30, false},
		{"both off", []step{shows(on("1", 4, notReady)), shows(off("2", 5))}, 60, true},
	} {
		if got := run(t, test.steps...).NeedsConfirmation(at(test.now)); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestMarks(t *testing.T) {
	m := &timeline{}
	for _, e := range []struct {
		version uint64
		time    float64
	}{{10, 5}, {20, 9}, {15, 6}, {12, 7}, {20, 8}, {30, 9}, {0, 50}, {25, 20}} {
		m.add(e.version, at(e.time))
	}
	for version, want := range map[uint64]float64{9: -1, 10: 5, 11: 5, 12: 7, 15: 7, 19: 7, 20: 9, 24: 9, 25: 20, 1000: 20} {
		got := m.lowerBound(version)
		if (want < 0) != got.IsZero() || (want >= 0 && !got.Equal(at(want))) {
			t.Errorf("up to %d: %s, want %v", version, got, want)
		}
	}
	for i := range uint64(1000) {
		m.add(100+i, at(100).Add(time.Duration(i)*time.Second))
	}
	if len(m.entries) > maxTimelineEntries || !m.lowerBound(2000).Equal(at(1099)) {
		t.Errorf("%d timeline, the last %s", len(m.entries), m.last())
	}
	if got := fmt.Sprint(versionOf("x"), versionOf(""), versionOf("17")); got != "0 0 17" {
		t.Error(got)
	}
}

// Node lifecycle controllers taint a node within the second in which it becomes not ready. Only a read of the node itself
// confirms the state past that second.
func TestAReadOfTheNodeSettlesItsPeriod(t *testing.T) {
	node := sees("1", 4.5, stamped(notReady, 4)).wrote(4).notReady(4)
	again := sees("20", 30.5, stamped(notReady, 30)).wrote(30).notReady(4)
	for _, test := range []struct {
		name string
		do   func(*Tracker)
		want float64
	}{
		{"not read", func(*Tracker) {}, 30.5},
		{"read as it is", func(tracker *Tracker) { tracker.ConfirmNode("n", at(6), "1") }, 4.5},
		{"read within the second", func(tracker *Tracker) { tracker.ConfirmNode("n", at(4.7), "1") }, 30.5},
		{"read in another version", func(tracker *Tracker) { tracker.ConfirmNode("n", at(6), "2") }, 30.5},
	} {
		for name, went := range map[string]step{"relist": func(*history) {}, "restart": restarts()} {
			t.Run(test.name+", and "+name, func(t *testing.T) {
				tracker := run(t, shows(node), func(h *history) {
					if got := h.tracker.Unconfirmed(at(4.8), 9); len(got) != 0 {
						t.Errorf("within the second, these are to be read: %v", got)
					}
					if got := h.tracker.Unconfirmed(at(6), 9); len(got) != 1 {
						t.Errorf("to be read are %v", got)
					}
					test.do(h.tracker)
				}, went, shows(again.relisted()))
				check(t, tracker.Taints("n"), map[string][]float64{notReady: {30.5, test.want}})
			})
		}
	}
}

// The clock of an API server may be set back. What was written before has times in the future.
func TestTimesToComeProveNothing(t *testing.T) {
	clock := serverclock.New(still{at(0)})
	clock.Observe(at(0), at(0), at(0))
	tracker := NewTracker(clock)
	ahead := func(o Observation) Observation { return o.written(3600) }
	first := ahead(sees("1", 4.5, stamped(notReady, 4)).changed(4).notReady(3))
	second := ahead(sees("5", 65, plain("a")).changed(65).notReady(3)).After(first)
	third := ahead(sees("9", 665.5, stamped(notReady, 665)).changed(665).notReady(3)).After(second)
	for _, o := range []Observation{first, second, third} {
		tracker.Observe("n", o)
	}
	if got := tracker.Taints("n")[0].Period; got.Before(at(665)) {
		t.Errorf("the period began at %s, ten minutes before its taint was back", got)
	}
}

// still is a clock that does not advance.
type still struct{ time.Time }

func (s still) Now() time.Time                  { return s.Time }
func (s still) Since(t time.Time) time.Duration { return s.Sub(t) }

// Nodes that have not changed since the list before are not observed again.
func TestANodeThatAListShowsUnchangedIsConfirmedByIt(t *testing.T) {
	tracker := run(t, shows(on("1", 4, notReady)))
	tracker.NodeReceived("n", "1", 2)
	tracker.ListCompleted(2, at(300), "50")
	if got := tracker.Records().ConfirmedUntil; !got.Equal(at(300)) {
		t.Errorf("confirmed until %s", got)
	}
	tracker.NodeReceived("n", "1", 3) // of a list that is never complete
	if got := tracker.Records().ConfirmedUntil; !got.Equal(at(300)) {
		t.Errorf("a list that is not complete confirms until %s", got)
	}
	tracker.ListCompleted(2, at(310), "51")
	again := on("60", 340, notReady).After(on("1", 4, notReady))
	again.List = 4
	again.Gap = true
	tracker.Observe("n", again)
	check(t, tracker.Taints("n"), map[string][]float64{notReady: {340.5, 4.5}})
}

// The record of a start does not change while nothing happens, however much the clocks drift.
func TestARecordStaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := serverclock.NewSteady()
		clock := serverclock.New(local)
		now := local.Now()
		clock.Observe(now, now, now)
		tracker := NewTracker(clock)
		o := sees("1", 0, stamped(notReady, 0))
		o.Seen, o.Taints[0].TimeAdded = now, now.Add(time.Minute)
		tracker.Observe("n", o)
		first := tracker.Records().Nodes["n"]
		for range 10 {
			time.Sleep(10 * time.Second)
			clock.Observe(local.Now(), local.Now(), local.Now().Add(300*time.Millisecond))
			if !tracker.Records().Nodes["n"].Equal(first) {
				t.Fatalf("%+v became %+v", first, tracker.Records().Nodes["n"])
			}
		}
	})
}
