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
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// number is a gauge that shows nothing until it is set.
type number struct{ value *float64 }

func (n *number) Set(value float64) { n.value = &value }

// gauges are gauges for a tally.
type gauges struct {
	byMode  map[deadline.Mode]*number
	blocked number
}

func newGauges() *gauges {
	g := &gauges{byMode: map[deadline.Mode]*number{}}
	for _, mode := range []deadline.Mode{"Delete", "Evict", "Preview", "Keep"} {
		g.byMode[mode] = &number{}
	}
	return g
}

func (g *gauges) all() Gauges {
	all := Gauges{Pods: map[deadline.Mode]Gauge{}, Blocked: &g.blocked}
	for mode, gauge := range g.byMode {
		all.Pods[mode] = gauge
	}
	return all
}

// show checks what the gauges show: of Delete, Evict, Preview and Keep, and of blocked pods.
func (g *gauges) show(t *testing.T, what string, want ...float64) {
	t.Helper()
	for i, gauge := range []*number{g.byMode["Delete"], g.byMode["Evict"], g.byMode["Preview"], g.byMode["Keep"], &g.blocked} {
		if gauge.value == nil || *gauge.value != want[i] {
			t.Errorf("%s: gauge %d shows %v, want %v", what, i, ptr.Deref(gauge.value, -1), want[i])
		}
	}
}

func TestTallyGauges(t *testing.T) {
	g := newGauges()
	tally := NewTally(g.all())
	g.show(t, "nothing was counted", 0, 0, 0, 0, 0)
	one, other, third := &deadline.Policy{Name: "one", Mode: deadline.ModeEvict}, &deadline.Policy{Name: "other"}, &deadline.Policy{Name: "third"}
	at := time.Now()
	tally.Set("a", "node", deadline.Decision{Evict: true, Mode: deadline.ModeEvict, Policy: one, Held: []deadline.Step{
		{Mode: deadline.ModeKeep, Policy: other}, {Mode: deadline.ModeKeep, Policy: third}, {Mode: deadline.ModePreview, Policy: other},
	}}, at)
	g.show(t, "a pod that three policies have to do with", 0, 1, 1, 1, 0)
	tally.Set("b", "node", deadline.Decision{Evict: true, Mode: deadline.ModeEvict, Policy: one}, at)
	tally.Set("c", "node", deadline.Decision{Evict: true, Mode: deadline.ModeDelete}, at)
	tally.Set("d", "node", deadline.Decision{Held: []deadline.Step{{Mode: deadline.ModePreview}}}, at)
	g.show(t, "one without a policy, and one that a dry run holds back", 0, 2, 2, 1, 0)
	tally.SetBlocked("a", one)
	tally.SetBlocked("c", one)
	g.show(t, "one is blocked", 0, 2, 2, 1, 1)
	tally.Set("b", "node", deadline.Decision{Evict: true, Mode: deadline.ModeDelete, Policy: one}, at)
	g.show(t, "the pod is deleted by a policy that evicted it", 0, 2, 2, 1, 1)
	tally.Set("b", "node", deadline.Decision{Evict: true, Mode: deadline.ModeDelete, Policy: &deadline.Policy{Name: "one", Mode: deadline.ModeDelete}}, at)
	g.show(t, "the policy has another mode", 1, 1, 2, 1, 1)
	tally.Remove("a")
	g.show(t, "one is gone", 1, 0, 1, 0, 0)
	tally.Remove("b")
	tally.Remove("c")
	tally.Remove("d")
	g.show(t, "all are gone", 0, 0, 0, 0, 0)
}

func TestTally(t *testing.T) {
	evict, keep, preview := &deadline.Policy{Name: "evict"}, &deadline.Policy{Name: "keep"}, &deadline.Policy{Name: "preview"}
	at := time.Now()
	tally := NewTally(newGauges().all())
	expect := func(what, policy string, want Counts) {
		t.Helper()
		if got := tally.Counts(policy); got != want {
			t.Errorf("%s: policy %s: got %+v, want %+v", what, policy, got, want)
		}
	}
	scheduled := deadline.Decision{Evict: true, Mode: deadline.ModeEvict, Policy: evict, Held: []deadline.Step{
		{Mode: deadline.ModeKeep, Policy: keep}, {Mode: deadline.ModeKeep, Policy: keep}, {Mode: deadline.ModePreview, Policy: preview},
	}}
	tally.Set("a", "node-1", scheduled, at)
	tally.Set("b", "node-1", deadline.Decision{Evict: true, Mode: deadline.ModeEvict, Policy: evict}, at)
	tally.Set("c", "node-2", deadline.Decision{Evict: true, Mode: deadline.ModeEvict, Policy: evict}, at)
	tally.Set("d", "node-2", deadline.Decision{Evict: true}, at)
	expect("set", "evict", Counts{Pods: [roles]int{Scheduled: 3}, Nodes: 2})
	expect("set", "keep", Counts{Pods: [roles]int{Kept: 1}, Nodes: 1})
	expect("set", "preview", Counts{Pods: [roles]int{Previewed: 1}, Nodes: 1})

	tally.SetBlocked("a", evict)
	tally.SetBlocked("c", evict)
	tally.SetBlocked("d", evict)
	expect("blocked", "evict", Counts{Pods: [roles]int{Scheduled: 3, Blocked: 2}, Nodes: 2})
	tally.Set("a", "node-1", scheduled, at)
	expect("decided again, as before", "evict", Counts{Pods: [roles]int{Scheduled: 3, Blocked: 2}, Nodes: 2})
	tally.SetBlocked("c", nil)
	tally.Set("a", "node-1", deadline.Decision{Reason: deadline.HeldByPolicy, Held: []deadline.Step{{Mode: deadline.ModePreview, Policy: preview}}}, at)
	expect("no longer blocked, and no longer scheduled", "evict", Counts{Pods: [roles]int{Scheduled: 2}, Nodes: 2})
	expect("no longer kept", "keep", Counts{})

	other := &deadline.Policy{Name: "other", Mode: deadline.ModeEvict}
	deleted := deadline.Decision{Evict: true, Mode: deadline.ModeDelete, Policy: evict}
	tally.Set("b", "node-1", deleted, at)
	tally.SetBlocked("b", other)
	expect("the brake lets it go by another policy alone", "evict", Counts{Pods: [roles]int{Scheduled: 2}, Nodes: 2})
	expect("the brake lets it go by another policy alone", "other", Counts{})
	tally.SetBlocked("b", evict)
	tally.Set("b", "node-1", deleted, at)
	expect("it is to be deleted by now", "evict", Counts{Pods: [roles]int{Scheduled: 2}, Nodes: 2})

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
