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

package policy

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

func TestTally(t *testing.T) {
	evict, keep, preview := &deadline.Policy{Name: "evict"}, &deadline.Policy{Name: "keep"}, &deadline.Policy{Name: "preview"}
	tally := NewTally()
	expect := func(what, policy string, want Counts) {
		t.Helper()
		if got := tally.Counts(policy); got != want {
			t.Errorf("%s: policy %s: got %+v, want %+v", what, policy, got, want)
		}
	}
	scheduled := deadline.Decision{Evict: true, Policy: evict, Held: []deadline.Step{
		{Mode: deadline.ModeKeep, Policy: keep}, {Mode: deadline.ModeKeep, Policy: keep}, {Mode: deadline.ModePreview, Policy: preview},
	}}
	tally.Set("a", "node-1", scheduled)
	tally.Set("b", "node-1", deadline.Decision{Evict: true, Policy: evict})
	tally.Set("c", "node-2", deadline.Decision{Evict: true, Policy: evict})
	tally.Set("d", "node-2", deadline.Decision{Evict: true})
	expect("set", "evict", Counts{Pods: [roles]int{Scheduled: 3}, Nodes: 2})
	expect("set", "keep", Counts{Pods: [roles]int{Kept: 1}, Nodes: 1})
	expect("set", "preview", Counts{Pods: [roles]int{Previewed: 1}, Nodes: 1})

	tally.SetBlocked("a", true)
	tally.SetBlocked("c", true)
	tally.SetBlocked("d", true)
	expect("blocked", "evict", Counts{Pods: [roles]int{Scheduled: 3, Blocked: 2}, Nodes: 2})
	tally.Set("a", "node-1", scheduled)
	expect("decided again, as before", "evict", Counts{Pods: [roles]int{Scheduled: 3, Blocked: 2}, Nodes: 2})
	tally.SetBlocked("c", false)
	tally.Set("a", "node-1", deadline.Decision{Reason: deadline.HeldByPolicy, Held: []deadline.Step{{Mode: deadline.ModePreview, Policy: preview}}})
	expect("no longer blocked, and no longer scheduled", "evict", Counts{Pods: [roles]int{Scheduled: 2}, Nodes: 2})
	expect("no longer kept", "keep", Counts{})

	for _, pod := range []string{"a", "b", "c"} {
		tally.Remove(types.UID(pod))
	}
	tally.Remove("never seen")
	expect("removed", "evict", Counts{})
	expect("removed", "preview", Counts{})
	if len(tally.pods)+len(tally.counts) != 0 {
		t.Errorf("what is gone is kept: %v, %v", tally.pods, tally.counts)
	}
}
