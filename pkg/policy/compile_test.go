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
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// object returns a policy of a name, from its spec in YAML.
func object(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy",
		"metadata": map[string]any{"name": name, "uid": "uid-" + name, "generation": int64(1)},
		"spec":     fields,
	}}
}

func TestCompile(t *testing.T) {
	maintenance := object(t, "maintenance", `
matchingPrecedence: 100
taints:
- {key: maintenance.example.com/*}
- {key: a, value: "", effect: NoExecute}
- {key: b, value: disk, effect: NoSchedule}
nodeSelector: {matchLabels: {zone: a}}
namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [x, z]}]}
podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}, {key: web, operator: Exists}, {key: job, operator: DoesNotExist}]}
minTaintAgeSeconds: 5
mode: Evict
evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 900}
gracePeriodSeconds: 30
noticeSeconds: 60
expireTime: "2026-12-01T00:00:00Z"`)
	p, err := compile(maintenance, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "maintenance" || p.precedence != 100 || p.Mode != deadline.ModeEvict || p.MinTaintAge != 5 || *p.DeleteAfter != 900 ||
		p.GracePeriod != 30 || p.Notice != 60 || !p.Expires.Equal(time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)) || !p.Since.Equal(noon) {
		t.Errorf("got %+v", p)
	}
	if len(p.Taints) != 3 || p.Taints[0].Key != "maintenance.example.com/" || !p.Taints[0].Prefix || p.Taints[0].Value != nil ||
		p.Taints[0].Effect != v1.TaintEffectNoExecute || p.Taints[1].Prefix || *p.Taints[1].Value != "" || *p.Taints[2].Value != "disk" ||
		p.Taints[2].Effect != v1.TaintEffectNoSchedule {
		t.Errorf("taints: %+v", p.Taints)
	}
	for _, test := range []struct {
		selector labels.Selector
		set      labels.Set
		matches  bool
	}{
		{p.Node, labels.Set{"zone": "a"}, true}, {p.Node, labels.Set{"zone": "b"}, false},
		{p.Namespace, labels.Set{"team": "z"}, true}, {p.Namespace, labels.Set{}, false},
		{p.Pod, labels.Set{"web": ""}, true}, {p.Pod, labels.Set{"web": "", "app": "db"}, false},
		{p.Pod, labels.Set{"app": "front"}, false}, {p.Pod, labels.Set{"web": "", "job": "x"}, false},
	} {
		if got := test.selector.Matches(test.set); got != test.matches {
			t.Errorf("%s of %v: got %t", test.selector, test.set, got)
		}
	}
	p, err = compile(object(t, "all", "{matchingPrecedence: 0, mode: Keep}"), nil, noon)
	if err != nil || len(p.Taints) != 0 || p.Node != nil || p.Namespace != nil || p.Pod != nil || p.DeleteAfter != nil || !p.Expires.IsZero() {
		t.Errorf("got %+v, %v", p, err)
	}
	// The CRD refuses minTaintAgeSeconds with mode Keep.
	p, err = compile(object(t, "kept", "{matchingPrecedence: 7, mode: Keep, taints: [{key: a, effect: NoSchedule}], podSelector: {matchLabels: {app: db}}}"), nil, noon)
	if err != nil || len(p.Taints) != 1 || p.Taints[0].Effect != v1.TaintEffectNoSchedule || p.Pod == nil {
		t.Errorf("got %+v, %v", p, err)
	}
}

// TestCompileRefuses has what the CRD refuses, too: the API server may have another version of it.
func TestCompileRefuses(t *testing.T) {
	for _, test := range []struct {
		spec, want string
		taints     int // of the policy that keeps pods instead
		precedence int32
	}{
		{spec: "{matchingPrecedence: 7, mode: Drain, taints: [{key: a}]}", want: `spec.mode: Unsupported value: "Drain"`, taints: 1, precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: [{key: a}], until: 5}", want: `unknown field "spec.until"`},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: a}", want: "it cannot be decoded"},
		{spec: "{matchingPrecedence: 0, mode: Delete, taints: [{key: a}]}", want: "spec.matchingPrecedence", taints: 1},
		{spec: "{matchingPrecedence: 7, mode: Delete}", want: "spec.taints: Required value", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Evict, taints: [{key: a}]}", want: "spec.evict", taints: 1, precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Delete, evict: {deleteAfter: Never}, taints: [{key: a}]}", want: "spec.evict", taints: 1, precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Evict, evict: {deleteAfter: AfterSeconds}, taints: [{key: a}]}", want: "spec.evict", taints: 1, precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: [{key: a}, {key: '*'}]}", want: "spec.taints[1].key", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: [{key: a, effect: PreferNoSchedule}]}", want: "spec.taints[0].effect", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}",
			want: "spec.taints[0].key", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: example.com/*, effect: NoSchedule}]}",
			want: "spec.taints[0].key", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Delete, minTaintAgeSeconds: 4, taints: [{key: a, effect: NoSchedule}]}",
			want: "spec.minTaintAgeSeconds", precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: [{key: a}], podSelector: {matchExpressions: [{key: x, operator: Near}]}}",
			want: "spec.podSelector.matchExpressions[0]", taints: 1, precedence: 7},
		{spec: "{matchingPrecedence: 7, mode: Keep, taints: [{key: a}], nodeSelector: {matchLabels: {'x y': z}}}",
			want: "spec.nodeSelector.matchLabels", taints: 1, precedence: 7},
	} {
		p, err := compile(object(t, "bad", test.spec), nil, noon)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %s", test.spec, err, test.want)
		}
		if p.Name != "bad" || p.Mode != deadline.ModeKeep || len(p.Taints) != test.taints || p.precedence != test.precedence || p.Pod != nil || p.Node != nil {
			t.Errorf("%s: got %+v", test.spec, p)
		}
	}
}

func TestSinceThePolicyIsAsItIs(t *testing.T) {
	entry := func(at time.Time, subresource, fields string) any {
		return map[string]any{"time": at.Format(time.RFC3339), "subresource": subresource, "fieldsV1": map[string]any{fields: map[string]any{}}}
	}
	for _, test := range []struct {
		name    string
		entries []any
		want    time.Time
	}{
		{name: "not known", want: noon},
		{name: "the last write of the spec, at the end of its second",
			entries: []any{entry(noon.Add(-time.Hour), "", "f:spec"), entry(noon.Add(-2*time.Hour), "", "f:spec")}, want: noon.Add(-time.Hour + time.Second)},
		{name: "not of the status, nor of labels",
			entries: []any{entry(noon.Add(-3*time.Hour), "", "f:spec"), entry(noon.Add(-time.Hour), "status", "f:spec"), entry(noon.Add(-time.Hour), "", "f:metadata")},
			want:    noon.Add(-3*time.Hour + time.Second)},
	} {
		policy := object(t, "named", "{matchingPrecedence: 7, mode: Keep}")
		policy.Object["metadata"].(map[string]any)["managedFields"] = test.entries
		if p, err := compile(policy, nil, noon); err != nil || !p.Since.Equal(test.want) {
			t.Errorf("%s: got %v, %v, want %v", test.name, p.Since, err, test.want)
		}
	}
}
