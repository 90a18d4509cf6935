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
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

// exactly returns a pattern of one NoExecute taint.
func exactly(key string) TaintPattern { return TaintPattern{Key: key, Effect: v1.TaintEffectNoExecute} }

// policyFor returns a policy of a mode for one taint.
func policyFor(key string, mode Mode) Policy {
	return Policy{Name: string(mode) + " " + key, Mode: mode, Taints: []TaintPattern{exactly(key)}}
}

func (p Policy) with(change func(*Policy)) Policy {
	change(&p)
	return p
}

// step is what a test expects of a Step.
type step struct {
	from   time.Time
	mode   Mode
	taint  string
	policy string // "" for none
}

func stepOf(s Step) step {
	is := step{from: s.From, mode: s.Mode, taint: s.Taint.Key}
	if s.Policy != nil {
		is.policy = s.Policy.Name
	}
	return is
}

// stepsOf returns all steps of a decision.
func stepsOf(d Decision) (steps []step) {
	if d.Evict {
		steps = append(steps, stepOf(Step{d.Deadline, d.Mode, d.Reason, d.Taint, d.Toleration, d.Policy}))
	}
	for _, s := range d.Then {
		steps = append(steps, stepOf(s))
	}
	return steps
}

func expectSteps(t *testing.T, what string, got, want []step) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
	for i := range got {
		if !got[i].from.Equal(want[i].from) || got[i].mode != want[i].mode || got[i].taint != want[i].taint || got[i].policy != want[i].policy {
			t.Errorf("%s, step %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestPolicies(t *testing.T) {
	expiring := func(seconds float64) func(*Policy) { return func(p *Policy) { p.Expires = at(seconds) } }
	tolerated := Pod{Tolerations: []v1.Toleration{tolerates("a", 30)}}
	for _, test := range []struct {
		name        string
		pod         Pod
		taints      []Taint
		policies    []Policy
		reason      Reason
		steps, held []step
	}{
		{name: "no policy for this taint", taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("b", ModeKeep)},
			reason: Untolerated, steps: []step{{at(10), ModeDelete, "a", ""}}},
		{name: "Delete is as without", pod: tolerated, taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeDelete)},
			reason: TolerationEnds, steps: []step{{at(40), ModeDelete, "a", "Delete a"}}},
		{name: "Evict for ever", pod: tolerated, taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeEvict)},
			reason: TolerationEnds, steps: []step{{at(40), ModeEvict, "a", "Evict a"}}},
		{name: "Evict, then Delete", pod: tolerated, taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict).with(func(p *Policy) { p.DeleteAfter = ptr.To[int64](900) })},
			reason:   TolerationEnds, steps: []step{{at(40), ModeEvict, "a", "Evict a"}, {at(940), ModeDelete, "a", "Evict a"}}},
		{name: "Evict, and Delete after what the API can express", pod: tolerated, taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict).with(func(p *Policy) { p.DeleteAfter = ptr.To[int64](latest) })},
			reason:   TolerationEnds, steps: []step{{at(40), ModeEvict, "a", "Evict a"}}},
		{name: "Keep", pod: tolerated, taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeKeep)},
			reason: HeldByPolicy, held: []step{{at(40), ModeKeep, "a", "Keep a"}}},
		{name: "Preview", taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModePreview)},
			reason: HeldByPolicy, held: []step{{at(10), ModePreview, "a", "Preview a"}}},
		{name: "Keep holds back nothing that is tolerated", pod: Pod{Tolerations: []v1.Toleration{always("a")}}, taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeKeep)}, reason: Tolerated},
		{name: "the first that matches applies", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict), policyFor("a", ModeKeep)}, reason: Untolerated, steps: []step{{at(10), ModeEvict, "a", "Evict a"}}},
		{name: "a kept taint does not save from another", taints: []Taint{taint("a", 10), taint("b", 20)}, policies: []Policy{policyFor("a", ModeKeep)},
			reason: Untolerated, steps: []step{{at(20), ModeDelete, "b", ""}}, held: []step{{at(10), ModeKeep, "a", "Keep a"}}},
		{name: "without taints, all NoExecute taints", taints: []Taint{taint("a", 10), notReadyTaint(notReady, 20)},
			policies: []Policy{{Name: "all", Mode: ModeKeep}}, reason: HeldByPolicy,
			held: []step{{at(10), ModeKeep, "a", "all"}, {at(0), ModeKeep, notReady, "all"}}},
		{name: "an eviction that is blocked until another taint's delete falls due", taints: []Taint{taint("a", 10), taint("b", 20)},
			policies: []Policy{policyFor("a", ModeEvict)}, reason: Untolerated,
			steps: []step{{at(10), ModeEvict, "a", "Evict a"}, {at(20), ModeDelete, "b", ""}}},
		{name: "a delete before another taint's eviction", taints: []Taint{taint("a", 20), taint("b", 10)},
			policies: []Policy{policyFor("a", ModeEvict)}, reason: Untolerated, steps: []step{{at(10), ModeDelete, "b", ""}}},
		{name: "the taint is too young", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeDelete).with(func(p *Policy) { p.MinTaintAge = 5 })},
			reason:   Untolerated, steps: []step{{at(15), ModeDelete, "a", "Delete a"}}},
		{name: "the taint is old enough, the pod is new", pod: Pod{Bound: at(100)}, taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeDelete).with(func(p *Policy) { p.MinTaintAge = 5 })},
			reason:   Untolerated, steps: []step{{at(100), ModeDelete, "a", "Delete a"}}},
		{name: "in a not-ready period, the deadline is that of the period", taints: []Taint{notReadyTaint(notReady, 60)},
			policies: []Policy{policyFor(notReady, ModeEvict).with(func(p *Policy) { p.DeleteAfter = ptr.To[int64](900) })},
			reason:   Untolerated, steps: []step{{at(0), ModeEvict, notReady, "Evict " + notReady}, {at(900), ModeDelete, notReady, "Evict " + notReady}}},
		{name: "the taint is too young, and the period is not", taints: []Taint{notReadyTaint(notReady, 60)},
			policies: []Policy{policyFor(notReady, ModeDelete).with(func(p *Policy) { p.MinTaintAge = 5 })},
			reason:   Untolerated, steps: []step{{at(65), ModeDelete, notReady, "Delete " + notReady}}},
		{name: "Keep expires after the deadline", taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeKeep).with(expiring(60))},
			reason: Untolerated, steps: []step{{at(60), ModeDelete, "a", ""}}, held: []step{{at(10), ModeKeep, "a", "Keep a"}}},
		{name: "Keep expires before the deadline", pod: tolerated, taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeKeep).with(expiring(20))},
			reason: TolerationEnds, steps: []step{{at(40), ModeDelete, "a", ""}}},
		{name: "the next policy applies when one expires", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeKeep).with(expiring(60)), policyFor("a", ModeEvict).with(expiring(90)), policyFor("a", ModeDelete)},
			reason:   Untolerated, held: []step{{at(10), ModeKeep, "a", "Keep a"}},
			steps: []step{{at(60), ModeEvict, "a", "Evict a"}, {at(90), ModeDelete, "a", "Delete a"}}},
		{name: "one that expires before the one before it never applies", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeKeep).with(expiring(60)), policyFor("a", ModeEvict).with(expiring(60)), policyFor("a", ModeKeep)},
			reason:   HeldByPolicy, held: []step{{at(10), ModeKeep, "a", "Keep a"}, {at(60), ModeKeep, "a", "Keep a"}}},
		{name: "an eviction expires, and then the pod is kept", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict).with(expiring(60)), policyFor("a", ModeKeep)}, reason: Untolerated,
			steps: []step{{at(10), ModeEvict, "a", "Evict a"}, {at(60), ModeKeep, "", ""}}, held: []step{{at(60), ModeKeep, "a", "Keep a"}}},
		{name: "an eviction becomes a delete only until it expires", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict).with(func(p *Policy) { p.DeleteAfter, p.Expires = ptr.To[int64](50), at(60) }), policyFor("a", ModeKeep)},
			reason:   Untolerated, steps: []step{{at(10), ModeEvict, "a", "Evict a"}, {at(60), ModeKeep, "", ""}},
			held: []step{{at(60), ModeKeep, "a", "Keep a"}}},
		{name: "a mirror pod is left alone", pod: Pod{Mirror: true}, taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeEvict)}, reason: IsMirror},
	} {
		t.Run(test.name, func(t *testing.T) {
			decision := Decide(test.pod, test.taints, Rules{Policies: test.policies})
			if decision.Reason != test.reason {
				t.Errorf("got reason %q, want %q", decision.Reason, test.reason)
			}
			expectSteps(t, "steps", stepsOf(decision), test.steps)
			var held []step
			for _, h := range decision.Held {
				held = append(held, stepOf(h))
			}
			expectSteps(t, "held", held, test.held)
		})
	}
}

func TestWhatAPolicyMatches(t *testing.T) {
	selector := func(text string) labels.Selector {
		parsed, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	known := Labels{Node: labels.Set{"zone": "a"}, Namespace: labels.Set{"team": "x"}, Pod: labels.Set{"app": "web"}}
	prefix := func(key string) []TaintPattern {
		return []TaintPattern{{Key: key, Prefix: true, Effect: v1.TaintEffectNoExecute}}
	}
	for _, test := range []struct {
		name   string
		policy Policy
		taint  Taint
		labels Labels
		kept   bool
	}{
		{name: "the key", policy: policyFor("a", ModeKeep), taint: taint("a", 0), kept: true},
		{name: "another key", policy: policyFor("a", ModeKeep), taint: taint("aa", 0)},
		{name: "the value", policy: Policy{Mode: ModeKeep, Taints: []TaintPattern{{Key: "a", Value: ptr.To("x"), Effect: v1.TaintEffectNoExecute}}},
			taint: Taint{Key: "a", Value: "x", Start: at(0)}, kept: true},
		{name: "another value", policy: Policy{Mode: ModeKeep, Taints: []TaintPattern{{Key: "a", Value: ptr.To(""), Effect: v1.TaintEffectNoExecute}}},
			taint: Taint{Key: "a", Value: "x", Start: at(0)}},
		{name: "one of two taints", policy: Policy{Mode: ModeKeep, Taints: []TaintPattern{exactly("b"), exactly("a")}}, taint: taint("a", 0), kept: true},
		{name: "a prefix", policy: Policy{Mode: ModeKeep, Taints: prefix("example.com/")}, taint: taint("example.com/disk", 0), kept: true},
		{name: "a prefix of another domain", policy: Policy{Mode: ModeKeep, Taints: prefix("example.com/")}, taint: taint("my.example.com/disk", 0)},
		{name: "a prefix never matches a node-condition taint", policy: Policy{Mode: ModeKeep, Taints: prefix("node.kubernetes.io/")},
			taint: taint(v1.TaintNodeOutOfService, 0)},
		{name: "the exact key of a node-condition taint", policy: policyFor(v1.TaintNodeOutOfService, ModeKeep), taint: taint(v1.TaintNodeOutOfService, 0), kept: true},
		{name: "the node", policy: Policy{Mode: ModeKeep, Node: selector("zone=a")}, taint: taint("a", 0), labels: known, kept: true},
		{name: "another node", policy: Policy{Mode: ModeKeep, Node: selector("zone=b")}, taint: taint("a", 0), labels: known},
		{name: "another namespace", policy: Policy{Mode: ModeKeep, Namespace: selector("team=y")}, taint: taint("a", 0), labels: known},
		{name: "another pod", policy: Policy{Mode: ModeKeep, Pod: selector("app!=web")}, taint: taint("a", 0), labels: known},
		{name: "all three", policy: Policy{Mode: ModeKeep, Node: selector("zone"), Namespace: selector("team in (x,y)"), Pod: selector("!job")},
			taint: taint("a", 0), labels: known, kept: true},
		{name: "labels that are not known keep the pod", policy: Policy{Mode: ModeDelete, Namespace: selector("team=x")}, taint: taint("a", 0), kept: true},
		{name: "but not where another selector does not match", policy: Policy{Mode: ModeDelete, Namespace: selector("team=x"), Pod: selector("app=db")},
			taint: taint("a", 0), labels: Labels{Pod: labels.Set{"app": "web"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			decision := Decide(Pod{Labels: test.labels}, []Taint{test.taint}, Rules{Policies: []Policy{test.policy}})
			if decision.Evict == test.kept || (len(decision.Held) == 1) != test.kept {
				t.Errorf("got %+v, want kept: %t", decision, test.kept)
			}
		})
	}
}

func TestNoScheduleTaints(t *testing.T) {
	noSchedule := Taint{Key: "a", Effect: v1.TaintEffectNoSchedule, Start: at(10)}
	named := Policy{Name: "named", Mode: ModeDelete, MinTaintAge: 5, Taints: []TaintPattern{{Key: "a", Effect: v1.TaintEffectNoSchedule}}}
	tolerating := func(effect v1.TaintEffect, seconds *int64) Pod {
		return Pod{Tolerations: []v1.Toleration{{Key: "a", Operator: v1.TolerationOpExists, Effect: effect, TolerationSeconds: seconds}}}
	}
	for _, test := range []struct {
		name     string
		pod      Pod
		policies []Policy
		steps    []step
	}{
		{name: "without policies"},
		{name: "a policy of the NoExecute taint", policies: []Policy{policyFor("a", ModeDelete)}},
		{name: "a policy of all taints", policies: []Policy{{Mode: ModeKeep}}},
		{name: "named", policies: []Policy{named}, steps: []step{{at(15), ModeDelete, "a", "named"}}},
		{name: "from when the policy came", policies: []Policy{named.with(func(p *Policy) { p.Since = at(100) })}, steps: []step{{at(105), ModeDelete, "a", "named"}}},
		{name: "until it expires", policies: []Policy{named.with(func(p *Policy) { p.Expires = at(60) })},
			steps: []step{{at(15), ModeDelete, "a", "named"}, {at(60), ModeKeep, "", ""}}},
		{name: "NoSchedule tolerates", pod: tolerating(v1.TaintEffectNoSchedule, nil), policies: []Policy{named}},
		{name: "NoExecute tolerates", pod: tolerating(v1.TaintEffectNoExecute, nil), policies: []Policy{named}},
		{name: "the seconds of NoExecute count", pod: tolerating(v1.TaintEffectNoExecute, ptr.To[int64](30)), policies: []Policy{named},
			steps: []step{{at(40), ModeDelete, "a", "named"}}},
		{name: "PreferNoSchedule does not tolerate", pod: tolerating(v1.TaintEffectPreferNoSchedule, nil), policies: []Policy{named},
			steps: []step{{at(15), ModeDelete, "a", "named"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectSteps(t, "steps", stepsOf(Decide(test.pod, []Taint{noSchedule}, Rules{Policies: test.policies})), test.steps)
		})
	}
	if text := noSchedule.String(); text != "a:NoSchedule" {
		t.Errorf("got %q", text)
	}
}

func TestADecisionOverTime(t *testing.T) {
	kept := policyFor("a", ModeEvict).with(func(p *Policy) { p.DeleteAfter, p.Expires = ptr.To[int64](20), at(60) })
	again := policyFor("a", ModeKeep).with(func(p *Policy) { p.Expires = at(90) })
	decision := Decide(Pod{}, []Taint{taint("a", 10)}, Rules{Policies: []Policy{kept, again}})
	for _, test := range []struct {
		at, due, next float64 // due, next: -1 for none
		mode          Mode
	}{
		{at: 9.9, due: 10, next: 10},
		{at: 10, due: 10, next: 30, mode: ModeEvict},
		{at: 29.9, due: 10, next: 30, mode: ModeEvict},
		{at: 30, due: 10, next: 60, mode: ModeDelete},
		{at: 60, due: 90, next: 90},
		{at: 90, due: 90, next: -1, mode: ModeDelete},
		{at: 1000, due: 90, next: -1, mode: ModeDelete},
	} {
		step, due := decision.At(at(test.at))
		if due != (test.mode != "") || due && step.Mode != test.mode || decision.Due(at(test.at)) != due {
			t.Errorf("at %v: got %v, %t, want %q", test.at, step.Mode, due, test.mode)
		}
		if from, ok := decision.DueFrom(at(test.at)); ok != (test.due >= 0) || ok && !from.Equal(at(test.due)) {
			t.Errorf("due at %v: got %v, %t, want %v", test.at, from, ok, test.due)
		}
		if next, ok := decision.NextChange(at(test.at)); ok != (test.next >= 0) || ok && !next.Equal(at(test.next)) {
			t.Errorf("next after %v: got %v, %t, want %v", test.at, next, ok, test.next)
		}
	}
	ends := Decide(Pod{}, []Taint{taint("a", 10)}, Rules{Policies: []Policy{kept, policyFor("a", ModeKeep)}})
	if from, due := ends.DueFrom(at(60)); due {
		t.Errorf("kept for ever, and due from %v", from)
	}
	if _, due := (Decision{}).DueFrom(at(0)); due {
		t.Error("a decision that evicts nothing is due")
	}
}

func TestDryRun(t *testing.T) {
	for _, test := range []struct {
		name     string
		pod      Pod
		policies []Policy
		held     []step
	}{
		{name: "without policies", held: []step{{at(10), ModePreview, "a", ""}}},
		{name: "tolerated", pod: Pod{Tolerations: []v1.Toleration{always("a")}}},
		{name: "Delete", policies: []Policy{policyFor("a", ModeDelete)}, held: []step{{at(10), ModePreview, "a", "Delete a"}}},
		{name: "Evict", policies: []Policy{policyFor("a", ModeEvict)}, held: []step{{at(10), ModePreview, "a", "Evict a"}}},
		{name: "Keep is shown as such", policies: []Policy{policyFor("a", ModeKeep)}, held: []step{{at(10), ModeKeep, "a", "Keep a"}}},
		{name: "Keep, and what comes after", policies: []Policy{policyFor("a", ModeKeep).with(func(p *Policy) { p.Expires = at(60) })},
			held: []step{{at(10), ModeKeep, "a", "Keep a"}, {at(60), ModePreview, "a", ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			decision := Decide(test.pod, []Taint{taint("a", 10)}, Rules{Policies: test.policies, DryRun: true})
			if decision.Evict || len(decision.Then) > 0 || decision.Due(at(1e6)) {
				t.Errorf("a dry run evicts: %+v", decision)
			}
			var held []step
			for _, h := range decision.Held {
				held = append(held, stepOf(h))
			}
			expectSteps(t, "held", held, test.held)
		})
	}
}
