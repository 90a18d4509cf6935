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

package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestPolicyTaints has policies that name taints in each way there is. Each node has one taint, and one pod.
func TestPolicyTaints(t *testing.T) {
	s := withPolicies(t)
	s.create("named", "matchingPrecedence: 100, mode: Keep, taints: [{key: exact}, {key: example.com/*}, {key: value, value: disk}, {key: none, value: \"\"}]")
	s.create("delete", "matchingPrecedence: 100, mode: Delete, taints: [{key: effect}]")
	noExecute := func(key, value string) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoExecute}
	}
	cases := []struct {
		taint corev1.Taint
		stays bool
	}{
		{noExecute("exact", ""), true},
		{noExecute("exact", "of-any-value"), true},
		{noExecute("exactly", ""), false},
		{noExecute("example.com/a", "b"), true},
		{noExecute("sub.example.com/a", ""), false},
		{noExecute("example.com", ""), false},
		{noExecute("value", "disk"), true},
		{noExecute("value", "disks"), false},
		{noExecute("value", ""), false},
		{noExecute("none", ""), true},
		{noExecute("none", "some"), false},
		{noExecute("effect", ""), false},
		{corev1.Taint{Key: "effect", Effect: corev1.TaintEffectNoSchedule}, true}, // the default of effect is NoExecute
	}
	nodes := s.Nodes(len(cases))
	pods := s.Many(len(cases), func(i int) *corev1.Pod { return builders.Pod(nodes[i], builders.Named(fmt.Sprintf("pod-%d", i))) })
	tainted := make([]timing.Moment, len(cases))
	for i, c := range cases {
		tainted[i] = s.Taint(nodes[i], c.taint)
	}
	s.counts("named", 0, 0, 0, 5, 5)
	until := tainted[len(cases)-1].After.Add(2 * time.Second)
	for i, c := range cases {
		t.Logf("%s: %s", pods[i].Name, c.taint.ToString())
		if c.stays {
			s.Stays(pods[i], until, "a policy keeps it, or nothing evicts it")
		} else {
			s.Evicted(pods[i], harness.Due(tainted[i], 0))
		}
	}
}
