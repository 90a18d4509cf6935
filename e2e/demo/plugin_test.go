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

package main

import (
	"strings"
	"testing"

	"github.com/taint-manager/taint-manager/pkg/explain"
)

// planned is what a plan says of the running pod of these tests.
func planned(outcome explain.Outcome, at float64) []explain.PlannedPod {
	fate := explain.Fate{Outcome: outcome}
	if outcome != explain.Stays {
		fate.Deadline = after(at)
	}
	return []explain.PlannedPod{{Pod: explain.Ref{Name: "pod", UID: "1"}, Node: "node-1", Fate: fate}}
}

// TestCheckPlan has plans that were asked for between 0 and 0.5 s.
func TestCheckPlan(t *testing.T) {
	for name, test := range map[string]struct {
		tolerates tolerance
		plan      []explain.PlannedPod
		want      string
	}{
		"at once":                        {tolerance{}, planned(explain.Due, 0), ""},
		"on time":                        {tolerance{seconds: 12}, planned(explain.Scheduled, 12.4), ""},
		"tolerant":                       {tolerance{forever: true}, planned(explain.Stays, 0), ""},
		"early":                          {tolerance{seconds: 12}, planned(explain.Scheduled, 11), "the plan says of pod that it goes at"},
		"late":                           {tolerance{seconds: 12}, planned(explain.Scheduled, 15), "the plan says of pod that it goes at"},
		"at once though it tolerates":    {tolerance{seconds: 12}, planned(explain.Due, 0), "the plan says of pod Due, not Scheduled"},
		"later though it does not":       {tolerance{}, planned(explain.Scheduled, 1), "the plan says of pod Scheduled, not Due"},
		"goes though it tolerates":       {tolerance{forever: true}, planned(explain.Due, 0), "the plan says of pod Due, not Stays"},
		"left out":                       {tolerance{}, nil, "the plan leaves out pod"},
		"another pod of the same name":   {tolerance{}, append(planned(explain.Due, 0), explain.PlannedPod{Pod: explain.Ref{Name: "pod", UID: "2"}}), "the plan has 1 pods"},
		"stays though it tolerates 12 s": {tolerance{seconds: 12}, planned(explain.Stays, 0), "the plan says of pod Stays, not Scheduled"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(nil)
			l.pods["1"] = runningPod("node-1", test.tolerates)
			check(t, checkPlan(l, test.plan, []string{"node-1"}, t0, after(0.5)), test.want)
		})
	}
}

func TestCheckWhy(t *testing.T) {
	p := runningPod("node-1", tolerance{seconds: 12})
	p.changed = &change{from(3, 3.1), tolerance{seconds: 9}}
	message := "Evicted from node node-1 for taint repair=disk:NoExecute, tolerated for 9s by toleration repair:NoExecute"
	for name, test := range map[string]struct {
		why  explain.Pod
		want string
	}{
		"right":              {explain.Pod{Removal: &explain.Removal{Ours: true, Message: message}}, ""},
		"still there":        {explain.Pod{Exists: true}, "why says that pod exists"},
		"nobody":             {explain.Pod{}, "why does not say that taint-manager evicted pod"},
		"somebody else":      {explain.Pod{Removal: &explain.Removal{Message: message}}, "why does not say that taint-manager evicted pod"},
		"by the old seconds": {explain.Pod{Removal: &explain.Removal{Ours: true, Message: strings.Replace(message, "9s", "12s", 1)}}, `why does not name the taint and "tolerated for 9s"`},
	} {
		t.Run(name, func(t *testing.T) { check(t, checkWhy(test.why, p), test.want) })
	}
}

// check checks that nothing is wrong, or one thing that begins with some words.
func check(t *testing.T, wrong []string, want string) {
	t.Helper()
	ok := len(wrong) == 0
	if want != "" {
		ok = len(wrong) == 1 && strings.HasPrefix(wrong[0], want)
	}
	if !ok {
		t.Errorf("got %q, want %q", wrong, want)
	}
}
