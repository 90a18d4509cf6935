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
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// versionOfNode returns the observation of a node with taints, without anything that dates them but timeAdded.
func versionOfNode(seen time.Time, taints ...v1.Taint) Observation {
	return Observe(&v1.Node{ObjectMeta: metav1.ObjectMeta{UID: "n", ResourceVersion: "5"}, Spec: v1.NodeSpec{Taints: taints}}, seen, 1)
}

func TestKnownEvidence(t *testing.T) {
	seen := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	added := metav1.NewTime(seen.Add(-time.Minute))
	tracker := NewTracker(nil)
	tracker.SetNamed(map[string]bool{"named": true})
	tracker.Observe("n", versionOfNode(seen,
		v1.Taint{Key: "dated", Effect: v1.TaintEffectNoExecute, TimeAdded: &added},
		v1.Taint{Key: "unnamed", Effect: v1.TaintEffectNoSchedule},
		v1.Taint{Key: "named", Effect: v1.TaintEffectNoSchedule},
		v1.Taint{Key: v1.TaintNodeNotReady, Effect: v1.TaintEffectNoExecute, TimeAdded: &added},
	))
	known := tracker.Known("n")
	if len(known) != 3 || known[0].Taint.Key != "dated" || known[1].Taint.Key != "named" || known[2].Taint.Key != v1.TaintNodeNotReady {
		t.Fatalf("got %+v", known)
	}
	end := added.Add(time.Second)
	if !known[0].Start.Server.Equal(end) || !known[1].Start.Server.IsZero() || !known[1].Start.Seen.Equal(seen) || !known[2].Period.Server.Equal(end) {
		t.Errorf("got %+v", known)
	}
	if got := tracker.Known("other"); got != nil {
		t.Errorf("a node without taints: got %+v", got)
	}
}

// TestEvidenceOfTaints says for each kind of evidence that it is named, that the earliest counts, and that it stays while later versions say less.
func TestEvidenceOfTaints(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
	}
	version := func(seen float64, added, changed float64, taints ...string) Observation {
		o := versionOfNode(at(seen))
		for _, key := range taints {
			o.Taints = append(o.Taints, Taint{Key: key})
			if added != 0 {
				o.Taints[len(o.Taints)-1].TimeAdded = at(added)
			}
		}
		if changed != 0 {
			o.Changed = at(changed)
		}
		return o
	}
	restored := func(tracker *Tracker) {
		tracker.Restore(Records{Nodes: map[string]Record{"n": {UID: "n", ResourceVersion: "5", Starts: []RecordedStart{{Key: "a", Time: at(3.5)}}}}})
	}
	for _, test := range []struct {
		name     string
		restore  bool
		versions []Observation
		want     deadline.Dated
	}{
		{"nothing", false, []Observation{version(10.2, 0, 0, "a")}, deadline.Dated{By: deadline.ByFirstSight, At: at(10.2)}},
		{"timeAdded", false, []Observation{version(10.2, 5, 0, "a")}, deadline.Dated{By: deadline.ByTimeAdded, At: at(6)}},
		{"the last change", false, []Observation{version(10.2, 0, 5, "a")}, deadline.Dated{By: deadline.ByLastChange, At: at(6)}},
		{"both in one second", false, []Observation{version(10.2, 5, 5, "a")}, deadline.Dated{By: deadline.ByTimeAdded, At: at(6)}},
		{"the last change before timeAdded", false, []Observation{version(10.2, 7, 5, "a")}, deadline.Dated{By: deadline.ByLastChange, At: at(6)}},
		{"a second that has not ended", false, []Observation{version(10.2, 10, 10, "a")}, deadline.Dated{By: deadline.ByFirstSight, At: at(10.2)}},
		{"a record", true, []Observation{version(10.2, 0, 0, "a")}, deadline.Dated{By: deadline.ByRecord, At: at(3.5)}},
		{"another taint later", false, []Observation{version(10.2, 0, 5, "a"), version(20, 0, 20, "a", "b")}, deadline.Dated{By: deadline.ByLastChange, At: at(6)}},
		{"a timeAdded anew", false, []Observation{version(10.2, 5, 5, "a"), version(20, 20, 20, "a")}, deadline.Dated{By: deadline.ByTimeAdded, At: at(6)}},
		{"an earlier timeAdded later", false, []Observation{version(10.2, 8, 8, "a"), version(20, 5, 8, "a")}, deadline.Dated{By: deadline.ByTimeAdded, At: at(6)}},
	} {
		tracker := NewTracker(nil)
		if test.restore {
			restored(tracker)
		}
		for _, o := range test.versions {
			tracker.Observe("n", o)
		}
		if taints := tracker.Taints("n"); len(taints) == 0 || taints[0].Evidence.Start != test.want || !taints[0].Start.Equal(test.want.At) || taints[0].Evidence.Period != (deadline.Dated{}) {
			t.Errorf("%s: got %+v, want %+v", test.name, taints, test.want)
		}
	}
	tracker := NewTracker(nil)
	tracker.Observe("n", version(10.2, 5, 5, v1.TaintNodeUnreachable))
	tracker.Observe("n", version(20, 15, 15, v1.TaintNodeNotReady))
	got := tracker.Taints("n")[0].Evidence
	if want := (deadline.Evidence{Start: deadline.Dated{By: deadline.ByTimeAdded, At: at(16)}, Period: deadline.Dated{By: deadline.ByTimeAdded, At: at(6)}}); *got != want {
		t.Errorf("of a node that is not ready: got %+v, want %+v", got, want)
	}
}

// TestNextVersion says what a client would change that writes other taints: what stays keeps its start, also where nothing but the tracker
// knows it, and what is new starts now.
func TestNextVersion(t *testing.T) {
	seen := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	now := seen.Add(10 * time.Minute)
	stays, comes := v1.Taint{Key: "stays", Effect: v1.TaintEffectNoExecute}, v1.Taint{Key: "comes", Effect: v1.TaintEffectNoExecute}
	tracker := NewTracker(nil)
	tracker.Observe("n", versionOfNode(seen, stays))
	tracker.Observe("clean", versionOfNode(seen))
	before := tracker.Known("n")

	after := tracker.Next("n", Written(versionOfNode(seen, stays), []v1.Taint{stays, comes}, now, now))
	if len(after) != 2 || !after[0].Start.Equal(seen) || !after[1].Start.Equal(now) {
		t.Errorf("got %+v, want stays from %v and comes from %v", after, seen, now)
	}
	old := versionOfNode(seen)
	old.Changed = seen.Add(-time.Hour) // the last change took the last taint off
	if after = tracker.Next("clean", Written(old, []v1.Taint{comes}, now, now)); len(after) != 1 || !after[0].Start.Equal(now) {
		t.Errorf("on a node without taints: got %+v, want comes from %v", after, now)
	}
	if after = tracker.Next("n", Written(versionOfNode(seen, stays), nil, now, now)); len(after) != 0 {
		t.Errorf("without taints: got %+v", after)
	}
	if got := tracker.Known("n"); len(got) != 1 || got[0] != before[0] {
		t.Errorf("the state changed: %+v", got)
	}
}
