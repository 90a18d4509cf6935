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

package explain

import (
	"encoding/json"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const evicts = "{matchingPrecedence: 10, mode: Evict, taints: [{key: k}], evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 60}}"

func TestWhatBecomesOfAPod(t *testing.T) {
	tainted := node("a", noExecute("k", ago(100)))
	for _, test := range []struct {
		name    string
		pod     *v1.Pod
		objects []any
		in      snapshot.Input
		want    Fate
	}{
		{"not tolerated", pod("p"), []any{tainted}, snapshot.Input{},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon.Add(-99 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute"}},
		{"tolerated for a while", pod("p", tolerates("k", 300)), []any{tainted}, snapshot.Input{},
			Fate{Outcome: Scheduled, Reason: deadline.TolerationEnds, Deadline: noon.Add(201 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute",
				Toleration: ptr.To(tolerates("k", 300))}},
		{"tolerated for ever", pod("p", always("k")), []any{tainted}, snapshot.Input{}, Fate{Outcome: Stays, Reason: deadline.Tolerated}},
		{"no taint", pod("p"), []any{node("a")}, snapshot.Input{}, Fate{Outcome: Stays, Reason: deadline.NoTaint}},
		{"evicted, and deleted later", pod("p"), []any{tainted, policy(t, "x", evicts), budgetOf("b", 1)}, snapshot.Input{},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon.Add(-99 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute", Policy: "x"}},
		{"blocked", pod("p"), []any{node("a", noExecute("k", ago(10))), policy(t, "x", evicts), budgetOf("b", 0)}, snapshot.Input{},
			Fate{Outcome: Blocked, Reason: deadline.Untolerated, Deadline: noon.Add(-9 * time.Second), Mode: deadline.ModeEvict, Taint: "k:NoExecute",
				Policy: "x", DeleteAt: noon.Add(51 * time.Second), BlockedBy: []string{"b"}}},
		{"two budgets block for ever", pod("p"), []any{node("a", noExecute("k", ago(10))), policy(t, "x", evicts), budgetOf("b", 1), budgetOf("c", 1)},
			snapshot.Input{}, Fate{Outcome: Blocked, Reason: deadline.Untolerated, Deadline: noon.Add(-9 * time.Second), Mode: deadline.ModeEvict,
				Taint: "k:NoExecute", Policy: "x", DeleteAt: noon.Add(51 * time.Second), BlockedBy: []string{"b", "c"}}},
		{"kept for a while, and then deleted again", pod("p"), []any{node("a", noExecute("k", ago(100))),
			policy(t, "until", `{matchingPrecedence: 1, mode: Delete, taints: [{key: k}], expireTime: "2026-03-01T11:59:00Z"}`),
			policy(t, "then", "{matchingPrecedence: 2, mode: Delete, taints: [{key: k}], minTaintAgeSeconds: 200}")}, snapshot.Input{},
			Fate{Outcome: Scheduled, Reason: deadline.Untolerated, Deadline: noon.Add(101 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute",
				Policy: "then"}},
		{"due until another policy keeps it", pod("p"), []any{node("a", noExecute("k", ago(100))),
			policy(t, "until", `{matchingPrecedence: 1, mode: Delete, taints: [{key: k}], expireTime: "2026-03-01T12:01:00Z"}`),
			policy(t, "then", "{matchingPrecedence: 2, mode: Keep, taints: [{key: k}]}")}, snapshot.Input{},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon.Add(-99 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute",
				Policy: "until", Held: []Hold{{"then", deadline.ModeKeep, "k:NoExecute", noon.Add(60 * time.Second)}}, EndsAt: noon.Add(60 * time.Second)}},
		{"held", pod("p"), []any{tainted, policy(t, "keep", "{mode: Keep}")}, snapshot.Input{},
			Fate{Outcome: Held, Reason: deadline.HeldByPolicy, Held: []Hold{{"keep", deadline.ModeKeep, "k:NoExecute", noon.Add(-99 * time.Second)}}}},
		{"only the controller knows since when", pod("p"), []any{node("a", noExecute("k", nil))}, snapshot.Input{},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon, AtLatest: true, Mode: deadline.ModeDelete, Taint: "k:NoExecute"}},
		{"policies could not be read", pod("p"), []any{tainted}, snapshot.Input{PoliciesUnread: true},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon.Add(-99 * time.Second), ModeUnknown: true, Taint: "k:NoExecute"}},
		{"terminating", with(pod("p"), func(p *v1.Pod) { p.DeletionTimestamp = ago(1) }), []any{tainted}, snapshot.Input{},
			Fate{Outcome: LeftAlone, Reason: deadline.IsTerminating}},
		{"finished", with(pod("p"), func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }), []any{tainted}, snapshot.Input{},
			Fate{Outcome: LeftAlone, Reason: deadline.IsFinished}},
		{"finished, and the controller evicts such pods", with(pod("p"), func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }), []any{tainted},
			snapshot.Input{Choices: deadline.Rules{EvictFinished: true}},
			Fate{Outcome: Due, Reason: deadline.Untolerated, Deadline: noon.Add(-99 * time.Second), Mode: deadline.ModeDelete, Taint: "k:NoExecute"}},
		{"mirror", with(pod("p"), func(p *v1.Pod) { p.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"} }), []any{tainted},
			snapshot.Input{}, Fate{Outcome: LeftAlone, Reason: deadline.IsMirror}},
	} {
		s := cluster(test.in, append(test.objects, test.pod)...)
		if got := FateNow(s, s.Pods[0]); encode(t, got) != encode(t, test.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, encode(t, got), encode(t, test.want))
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEvidence says for each source of a start that it is named, and that it counts as the controller has it.
func TestEvidence(t *testing.T) {
	changed := func(n *v1.Node, at *metav1.Time) *v1.Node {
		n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-taint", Operation: metav1.ManagedFieldsOperationUpdate, Time: at,
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:taints":{}}}`)}}
		return n
	}
	record := func(json string) *v1.ConfigMap {
		return &v1.ConfigMap{Data: map[string]string{"a": json}}
	}
	for _, test := range []struct {
		name   string
		node   *v1.Node
		starts *v1.ConfigMap
		start  time.Time
		by     deadline.Source
	}{
		{"timeAdded", node("a", noExecute("k", ago(100))), nil, noon.Add(-99 * time.Second), deadline.ByTimeAdded},
		{"the last change", changed(node("a", noExecute("k", nil)), ago(50)), nil, noon.Add(-49 * time.Second), deadline.ByLastChange},
		{"the earlier of both", changed(node("a", noExecute("k", ago(100))), ago(50)), nil, noon.Add(-99 * time.Second), deadline.ByTimeAdded},
		{"the record", node("a", noExecute("k", nil)),
			record(`{"uid":"node-a","resourceVersion":"1","starts":[{"key":"k","start":"2026-03-01T11:00:00.5Z"}]}`),
			noon.Add(-time.Hour + 500*time.Millisecond), deadline.ByRecord},
		{"a record of another node", node("a", noExecute("k", nil)),
			record(`{"uid":"node-b","resourceVersion":"1","starts":[{"key":"k","start":"2026-03-01T11:00:00.5Z"}]}`), noon, deadline.ByFirstSight},
		{"a record that the node does not prove", node("a", noExecute("k", nil)),
			record(`{"uid":"node-a","resourceVersion":"0","starts":[{"key":"k","start":"2026-03-01T11:00:00.5Z"}]}`), noon, deadline.ByFirstSight},
		{"nothing", node("a", noExecute("k", nil)), nil, noon, deadline.ByFirstSight},
	} {
		s := cluster(snapshot.Input{Starts: test.starts}, test.node)
		got := s.Evidence("a")
		if len(got) != 1 || !got[0].Start.Equal(test.start) || got[0].By != test.by || got[0].Known() != (test.by != deadline.ByFirstSight) {
			t.Errorf("%s: got %+v, want %v by %s", test.name, got, test.start, test.by)
		}
		if test.name == "a record of another node" && !got[0].Recorded.IsZero() {
			t.Errorf("%s: it is shown: %v", test.name, got[0].Recorded)
		}
	}
}

func TestWhyAPolicyOrATolerationDoesNotApply(t *testing.T) {
	p := pod("p", always("other"), v1.Toleration{Key: "k", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoSchedule},
		v1.Toleration{Key: "k", Value: "6"}, v1.Toleration{Key: "k", Operator: v1.TolerationOpLt, Value: "6", Effect: v1.TaintEffectNoExecute})
	taint := v1.Taint{Key: "k", Value: "5", Effect: v1.TaintEffectNoExecute, TimeAdded: ago(10)}
	s := cluster(snapshot.Input{}, node("a", taint), p,
		policy(t, "first", "{matchingPrecedence: 1, mode: Delete, taints: [{key: k}]}"),
		policy(t, "second", "{matchingPrecedence: 2, mode: Delete, taints: [{key: k}]}"),
		policy(t, "other", "{matchingPrecedence: 3, mode: Delete, taints: [{key: z}]}"),
		policy(t, "pods", "{matchingPrecedence: 4, mode: Delete, taints: [{key: k}], podSelector: {matchLabels: {app: db}}}"),
		policy(t, "over", `{mode: Keep, expireTime: "2026-03-01T11:00:00Z"}`))
	e := Why(s, p, nil)
	if len(e.Taints) != 1 {
		t.Fatalf("taints: got %+v", e.Taints)
	}
	because := map[string]string{}
	for _, match := range e.Taints[0].Policies {
		if because[match.Policy] = match.Because; match.Applies {
			because[match.Policy] = "applies"
		}
	}
	for name, want := range map[string]string{
		"over": "it has expired", "first": "applies", "second": "policy first comes first", "other": "its taints do not match",
		"pods": "its podSelector does not match",
	} {
		if because[name] != want {
			t.Errorf("policy %s: got %q, want %q", name, because[name], want)
		}
	}
	for i, want := range []string{
		"it is for another key", "it is for effect NoSchedule", `its operator and value do not match the value "5"`,
		"operator Lt counts only with the feature gate TaintTolerationComparisonOperators",
	} {
		if got := e.Taints[0].Mismatches; len(got) <= i || got[i].Because != want {
			t.Errorf("toleration %d: got %+v, want %q", i, got, want)
		}
	}
}

func TestWhyNamesBudgets(t *testing.T) {
	p := pod("p")
	stale := budgetOf("b", 1)
	stale.Generation = 2
	e := Why(cluster(snapshot.Input{}, node("a"), p, stale), p, nil)
	if len(e.Budgets) != 1 || !e.Budgets[0].Stale || e.Budgets[0].Verdict != budget.Refused || e.Budgets[0].Healthy != 2 || e.Budgets[0].Expected != 2 {
		t.Errorf("got %+v", e.Budgets)
	}
	if want := "It stays: its node has no taint that evicts"; e.Summary != want {
		t.Errorf("got %q, want %q", e.Summary, want)
	}
}

func TestSummaries(t *testing.T) {
	for _, test := range []struct {
		pod  *v1.Pod
		want string
	}{
		{with(pod("p"), func(p *v1.Pod) { p.Spec.NodeName = "" }), "It is not bound to a node, and taints evict only pods that are"},
		{with(pod("p"), func(p *v1.Pod) { p.Spec.NodeName = "gone" }),
			"It stays as far as taints are concerned: its node does not exist, so pod garbage collection deletes it"},
		{pod("p", tolerates("k", 300)), "It must go later, for taint k:NoExecute, which it tolerates for 300s; no policy applies, so it is deleted"},
		{with(pod("p"), func(p *v1.Pod) { p.DeletionTimestamp = ago(1) }), "It is left alone: it is being deleted already"},
	} {
		if got := Why(cluster(snapshot.Input{}, node("a", noExecute("k", ago(5))), test.pod), test.pod, nil).Summary; got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
