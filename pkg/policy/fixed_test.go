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
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

func TestFixedPolicies(t *testing.T) {
	f := NewFixed([]*unstructured.Unstructured{
		object(t, "late", "{matchingPrecedence: 20, mode: Delete, taints: [{key: a}]}"),
		object(t, "team", "{matchingPrecedence: 10, mode: Keep, taints: [{key: a}], namespaceSelector: {matchLabels: {team: x}}}"),
		object(t, "broken", "{matchingPrecedence: 5, mode: Vanish, taints: [{key: b}]}"),
		object(t, "named", "{matchingPrecedence: 30, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: c, effect: NoSchedule}]}"),
	}, map[string]labels.Set{"mine": {"team": "x"}, "other": nil}, nil, noon)

	var order []string
	for _, policy := range f.Policies() {
		order = append(order, policy.Name)
	}
	if got := strings.Join(order, " "); got != "broken team late named" {
		t.Errorf("order: got %s", got)
	}
	if f.Precedence("late") != 20 || f.Err("late") != nil {
		t.Errorf("late: precedence %d, error %v", f.Precedence("late"), f.Err("late"))
	}
	if f.Err("broken") == nil || f.Policies()[0].Mode != deadline.ModeKeep {
		t.Errorf("a policy that is not valid: error %v, mode %s, want an error and Keep", f.Err("broken"), f.Policies()[0].Mode)
	}
	if named := NamedNoSchedule(f.Policies()); len(named) != 1 || !named["c"] {
		t.Errorf("NoSchedule keys: got %v, want c", named)
	}
	rules := f.Rules(deadline.Rules{}, nil)
	for namespace, want := range map[string]deadline.Reason{"mine": deadline.HeldByPolicy, "other": deadline.Untolerated, "unknown": deadline.HeldByPolicy} {
		pod := podcache.NewPod(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}, noon)
		if got := rules.Decide(pod, labels.Set{}, []deadline.Taint{{Key: "a", Start: noon}}); got.Reason != want {
			t.Errorf("a pod in namespace %s: got %s, want %s", namespace, got.Reason, want)
		}
	}
}

func TestFixedPoliciesThatPause(t *testing.T) {
	f := NewFixed([]*unstructured.Unstructured{
		object(t, "all", `{mode: Keep, matchingPrecedence: 0, expireTime: "2026-03-01T13:00:00Z"}`),
		object(t, "some", `{mode: Keep, matchingPrecedence: 0, taints: [{key: a}], podSelector: {matchLabels: {a: b}}}`),
		object(t, "rule", `{mode: Keep, matchingPrecedence: 1}`),
		object(t, "delete", `{mode: Delete, matchingPrecedence: 0}`),
		object(t, "wrong", `{mode: Keep, matchingPrecedence: 0, podSelector: {matchLabels: {"a b": c}}}`),
	}, nil, nil, noon)
	for at, want := range map[time.Time]string{noon: "[all some]", noon.Add(time.Hour): "[some]"} {
		var pauses []string
		for _, name := range []string{"all", "some", "rule", "delete", "wrong", "none"} {
			if f.IsPause(name, at) {
				pauses = append(pauses, name)
			}
		}
		if got := fmt.Sprint(pauses); got != want {
			t.Errorf("at %s: got %s, want %s", at, got, want)
		}
	}
}
