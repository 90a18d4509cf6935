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

package app

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPlanRemovesNoTaintThatIsNotThere has nodes n1 with taint a, and n2 that is unreachable and cordoned.
func TestPlanRemovesNoTaintThatIsNotThere(t *testing.T) {
	s := newPauseScene(t)
	nodes := s.reader.Kube.CoreV1().Nodes()
	node, err := nodes.Get(t.Context(), "n2", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Spec.Taints = append(node.Spec.Taints, v1.Taint{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule})
	if _, err := nodes.Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		nodes, remove []string
		room          bool
		want          string
	}{
		{nodes: []string{"n1"}, remove: []string{"a"}},
		{nodes: []string{"n1"}, remove: []string{"a:NoExecute-"}, room: true},
		{nodes: []string{"n1", "n2"}, remove: []string{"a"}},
		{nodes: []string{"n2"}, remove: []string{"node.kubernetes.io/unschedulable"}}, // which evicts nobody
		{nodes: []string{"n1"}, remove: []string{"b"}, want: `taint "b" not found on node n1`},
		{nodes: []string{"n1"}, remove: []string{"a=x"}, want: `taint "a=x" not found on node n1`},
		{nodes: []string{"n1"}, remove: []string{"a:NoSchedule"}, room: true, want: `taint "a:NoSchedule" not found on node n1`},
		{nodes: []string{"n2"}, remove: []string{"a"}, room: true, want: `taint "a" not found on node n2`},
		{nodes: []string{"n1", "n2"}, remove: []string{"b", "a", "c=d"},
			want: "taint \"b\" not found on any of 2 nodes\ntaint \"c=d\" not found on any of 2 nodes"},
	} {
		o := &plan{Common: s.common, remove: test.remove, room: test.room}
		if err := o.complete(test.nodes); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := o.by(t.Context(), s.reader); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v without %v: got error %q, want %q", test.nodes, test.remove, got, test.want)
		}
	}
}

// TestPlanOfANamespace has all pods in namespace ns.
func TestPlanOfANamespace(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{{nil, 3}, {[]string{"-n", "ns"}, 3}, {[]string{"-n", "other"}, 0}, {[]string{"-n", "other", "-A"}, 3}, {[]string{"--all-namespaces"}, 3}} {
		s := newPauseScene(t)
		o := &plan{Common: s.common}
		cmd := o.command()
		s.common.ConfigFlags.AddFlags(cmd.Flags())
		if err := cmd.ParseFlags(append(test.args, "--taint=b:NoExecute")); err != nil {
			t.Fatal(err)
		}
		if err := o.complete([]string{"n1"}); err != nil {
			t.Fatal(err)
		}
		result, err := o.by(t.Context(), s.reader)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Pods) != test.want {
			t.Errorf("%q: got %d pods, want %d", test.args, len(result.Pods), test.want)
		}
	}
}
