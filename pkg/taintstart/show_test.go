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
