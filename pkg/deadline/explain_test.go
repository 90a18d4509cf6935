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

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestWhyAPolicyDoesNotApply(t *testing.T) {
	selects := func(key string) labels.Selector {
		selector, err := labels.Parse(key + "=yes")
		if err != nil {
			t.Fatal(err)
		}
		return selector
	}
	policy := policyFor("a", ModeKeep)
	policy.Node, policy.Namespace, policy.Pod = selects("node"), selects("namespace"), selects("pod")
	all := Labels{Node: labels.Set{"node": "yes"}, Namespace: labels.Set{"namespace": "yes"}, Pod: labels.Set{"pod": "yes"}}
	for _, test := range []struct {
		taint string
		known Labels
		want  string
	}{
		{"a", all, ""},
		{"b", all, "taints"},
		{"a", Labels{Node: labels.Set{}, Namespace: all.Namespace, Pod: all.Pod}, "nodeSelector"},
		{"a", Labels{Node: all.Node, Namespace: labels.Set{}, Pod: all.Pod}, "namespaceSelector"},
		{"a", Labels{Node: all.Node, Namespace: all.Namespace, Pod: labels.Set{}}, "podSelector"},
		{"a", Labels{Node: all.Node, Pod: all.Pod}, ""}, // unknown labels: it applies, and keeps
	} {
		if got := policy.Mismatch(taint(test.taint, 0), test.known); got != test.want {
			t.Errorf("taint %s, labels %v: got %q, want %q", test.taint, test.known, got, test.want)
		}
	}
}

func TestWhichTolerationCounts(t *testing.T) {
	tolerations := []v1.Toleration{tolerates("b", 1), tolerates("a", 30), always("a")}
	if got := Tolerating(tolerations, taint("a", 0), Rules{}); got != &tolerations[1] {
		t.Errorf("got %v, want the second", got)
	}
	if got := Tolerating(tolerations, taint("c", 0), Rules{}); got != nil {
		t.Errorf("got %v, want none", got)
	}
}
