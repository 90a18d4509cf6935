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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// process is one that reads policies.
func process(t *testing.T, began time.Time, objects ...*unstructured.Unstructured) *set {
	t.Helper()
	s := newSet(func(object *unstructured.Unstructured) (compiled, error) { return compile(object, nil, began) })
	s.replace(objects)
	return s
}

func TestPoliciesOfAnEarlierProcess(t *testing.T) {
	const (
		keep    = "{matchingPrecedence: 5, mode: Keep, taints: [{key: a}]}"
		evict   = "{matchingPrecedence: 4, mode: Delete, taints: [{key: b, effect: NoSchedule}], minTaintAgeSeconds: 5}"
		later   = "{matchingPrecedence: 4, mode: Delete, taints: [{key: b, effect: NoSchedule}], minTaintAgeSeconds: 9}"
		invalid = "{matchingPrecedence: 6, mode: Perhaps, taints: [{key: c}]}"
	)
	for name, test := range map[string]struct {
		before, now map[string]string
		// want is what applied before, as "name mode age since", where since counts seconds from the start of the process before.
		want []string
	}{
		"nothing changed": {
			map[string]string{"k": keep, "e": evict, "i": invalid}, map[string]string{"k": keep, "e": evict, "i": invalid},
			[]string{"e Delete 5 100", "k Keep 0 100", "i Keep 0 0"},
		},
		"one has gone":     {map[string]string{"k": keep, "e": evict}, map[string]string{"e": evict}, []string{"e Delete 5 100", "k Keep 0 100"}},
		"all have gone":    {map[string]string{"k": keep, "i": invalid}, nil, []string{"k Keep 0 100", "i Keep 0 0"}},
		"one has changed":  {map[string]string{"e": later}, map[string]string{"e": evict}, []string{"e Delete 9 100"}},
		"one is mended":    {map[string]string{"i": invalid}, map[string]string{"i": keep}, []string{"i Keep 0 0"}},
		"one has come":     {map[string]string{"k": keep}, map[string]string{"k": keep, "e": evict}, []string{"k Keep 0 100"}},
		"there were none":  {nil, map[string]string{"k": keep}, nil},
		"another was made": {map[string]string{"k": keep}, map[string]string{"e": keep}, []string{"k Keep 0 100"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := func(specs map[string]string) (all []*unstructured.Unstructured) {
				for name, spec := range specs {
					all = append(all, object(t, name, spec))
				}
				return all
			}
			text := *process(t, noon, objects(test.before)...).text.Load()
			if text == "" {
				if test.want != nil {
					t.Fatal("nothing is remembered")
				}
				return
			}
			then := noon.Add(100 * time.Second)
			policies, err := process(t, then, objects(test.now)...).restored(text, nil, then)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range policies {
				since := 0
				if !p.Since.IsZero() {
					since = int(p.Since.Sub(noon).Seconds())
				}
				got = append(got, fmt.Sprint(p.Name, " ", p.Mode, " ", p.MinTaintAge, " ", since))
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestRestoredPoliciesAreAChange has the policies of an earlier process be others than those of now, or the same.
func TestRestoredPoliciesAreAChange(t *testing.T) {
	pause := object(t, "pause", "{matchingPrecedence: 0, mode: Keep}")
	text := *process(t, second(0), pause).text.Load()
	t.Run("one has gone", func(t *testing.T) {
		s := newChangesScene(t)
		if err := s.Restore(text); err != nil {
			t.Fatal(err)
		}
		s.source.read.Store(false)
		s.apply(5)
		s.source.read.Store(true) // only now it is known that it has gone
		s.want(10, 10)
		s.want(609, 10)
		s.want(610, -1)
	})
	t.Run("it is noticed after the first look at the policies", func(t *testing.T) {
		s := newChangesScene(t)
		s.apply(0)
		s.want(3, -1)
		if err := s.Restore(text); err != nil {
			t.Fatal(err)
		}
		s.want(7, 7)
	})
	t.Run("the same", func(t *testing.T) {
		s := newChangesScene(t)
		if err := s.Restore(text); err != nil {
			t.Fatal(err)
		}
		s.source.set = process(t, second(20), pause)
		s.want(20, -1)
		s.apply(30, named("pause", deadline.ModeKeep))
		s.apply(40)
		s.want(40, 40)
	})
	t.Run("text of another kind", func(t *testing.T) {
		s := newChangesScene(t)
		if err := s.Restore(`{"policies": 3}`); err == nil || !strings.Contains(err.Error(), "parsing policies of an earlier process") {
			t.Errorf("got %v", err)
		}
		s.want(1, -1)
	})
}

// TestTooManyPoliciesToRemember keeps those that match first.
func TestTooManyPoliciesToRemember(t *testing.T) {
	var objects []*unstructured.Unstructured
	for i := range 1000 {
		spec := fmt.Sprintf("{matchingPrecedence: %d, mode: Keep, taints: [{key: %s}]}", 1000-i, strings.Repeat("a", 200))
		objects = append(objects, object(t, fmt.Sprintf("p%d", i), spec))
	}
	text := *process(t, noon, objects...).text.Load()
	if len(text) > 128<<10 || len(text) < 64<<10 {
		t.Errorf("%d bytes", len(text))
	}
	policies, err := process(t, noon).restored(text, nil, noon)
	if err != nil || len(policies) < 200 || policies[0].Name != "p999" || policies[1].Name != "p998" {
		t.Errorf("got %d policies, %v", len(policies), err)
	}
}
