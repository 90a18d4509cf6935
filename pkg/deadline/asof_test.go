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
	"k8s.io/utils/ptr"
)

// TestAsOf says what is left of decisions at some times, and when it changes next because of policies.
func TestAsOf(t *testing.T) {
	expiring := func(seconds float64) func(*Policy) { return func(p *Policy) { p.Expires = at(seconds) } }
	never := time.Time{}
	type moment struct {
		now         time.Time
		reason      Reason
		steps, held []step
		next        time.Time
	}
	for _, test := range []struct {
		name     string
		pod      Pod
		taints   []Taint
		policies []Policy
		dryRun   bool
		moments  []moment
	}{
		{name: "no policy", taints: []Taint{taint("a", 10)}, moments: []moment{
			{at(0), Untolerated, []step{{at(10), ModeDelete, "a", ""}}, nil, never},
			{at(20), Untolerated, []step{{at(10), ModeDelete, "a", ""}}, nil, never},
		}},
		{name: "nothing evicts", pod: Pod{Tolerations: []v1.Toleration{always("a")}}, taints: []Taint{taint("a", 10)}, moments: []moment{{at(20), Tolerated, nil, nil, never}}},
		{name: "Evict, then Delete by the same policy", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeEvict).with(func(p *Policy) { p.DeleteAfter = ptr.To[int64](30) })}, moments: []moment{
				{at(0), Untolerated, []step{{at(10), ModeEvict, "a", "Evict a"}, {at(40), ModeDelete, "a", "Evict a"}}, nil, never},
				{at(39), Untolerated, []step{{at(10), ModeEvict, "a", "Evict a"}, {at(40), ModeDelete, "a", "Evict a"}}, nil, never},
				{at(40), Untolerated, []step{{at(10), ModeDelete, "a", "Evict a"}}, nil, never},
			}},
		{name: "Evict, then Delete for another taint", taints: []Taint{taint("a", 10), taint("b", 30)},
			policies: []Policy{policyFor("a", ModeEvict), policyFor("b", ModeDelete)}, moments: []moment{
				{at(20), Untolerated, []step{{at(10), ModeEvict, "a", "Evict a"}, {at(30), ModeDelete, "b", "Delete b"}}, nil, at(30)},
				{at(30), Untolerated, []step{{at(10), ModeDelete, "b", "Delete b"}}, nil, never},
			}},
		{name: "Keep, until it expires", taints: []Taint{taint("a", 10)}, policies: []Policy{policyFor("a", ModeKeep).with(expiring(50))}, moments: []moment{
			{at(20), Untolerated, []step{{at(50), ModeDelete, "a", ""}}, []step{{at(10), ModeKeep, "a", "Keep a"}}, at(50)},
			{at(50), Untolerated, []step{{at(50), ModeDelete, "a", ""}}, nil, never},
		}},
		{name: "Keep after Preview, which expires", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModePreview).with(expiring(50)), policyFor("a", ModeKeep).with(expiring(90))}, moments: []moment{
				{at(20), Untolerated, []step{{at(90), ModeDelete, "a", ""}},
					[]step{{at(10), ModePreview, "a", "Preview a"}, {at(50), ModeKeep, "a", "Keep a"}}, at(50)},
				{at(60), Untolerated, []step{{at(90), ModeDelete, "a", ""}}, []step{{at(50), ModeKeep, "a", "Keep a"}}, at(90)},
			}},
		{name: "Delete until it expires, then Keep", taints: []Taint{taint("a", 10)},
			policies: []Policy{policyFor("a", ModeDelete).with(expiring(50)), policyFor("a", ModeKeep)}, moments: []moment{
				{at(20), Untolerated, []step{{at(10), ModeDelete, "a", "Delete a"}, {at(50), ModeKeep, "", ""}}, []step{{at(50), ModeKeep, "a", "Keep a"}}, at(50)},
				{at(50), HeldByPolicy, nil, []step{{at(50), ModeKeep, "a", "Keep a"}}, never},
			}},
		{name: "a NoSchedule taint after its policy has expired", taints: []Taint{{Key: "a", Effect: v1.TaintEffectNoSchedule, Start: at(10)}},
			policies: []Policy{{Name: "p", Mode: ModeKeep, Taints: []TaintPattern{{Key: "a", Effect: v1.TaintEffectNoSchedule}}, Expires: at(50)}}, moments: []moment{
				{at(20), HeldByPolicy, nil, []step{{at(10), ModeKeep, "a", "p"}}, at(50)},
				{at(50), Tolerated, nil, nil, never},
			}},
		{name: "a dry run", taints: []Taint{taint("a", 10)}, dryRun: true, moments: []moment{
			{at(20), HeldByPolicy, nil, []step{{at(10), ModePreview, "a", ""}}, never},
		}},
	} {
		decision := Decide(test.pod, test.taints, Rules{Policies: test.policies, DryRun: test.dryRun})
		for _, m := range test.moments {
			what := test.name + " at " + m.now.Sub(at(0)).String()
			left := decision.AsOf(m.now)
			expectSteps(t, what, stepsOf(left), m.steps)
			var held []step
			for _, one := range left.Held {
				held = append(held, stepOf(one))
			}
			expectSteps(t, what+", held", held, m.held)
			if left.Reason != m.reason {
				t.Errorf("%s: reason %s, want %s", what, left.Reason, m.reason)
			}
			before, due := decision.At(m.now)
			after, dueAfter := left.At(m.now)
			if due != dueAfter || due && (before.Mode != after.Mode || before.Taint != after.Taint || before.Policy != after.Policy) {
				t.Errorf("%s: goes by %+v, %t, want %+v, %t", what, after, dueAfter, before, due)
			}
			if next, changes := decision.NextPolicy(m.now); !next.Equal(m.next) || changes == m.next.IsZero() {
				t.Errorf("%s: changes at %v, %t, want %v", what, next, changes, m.next)
			}
		}
	}
}
