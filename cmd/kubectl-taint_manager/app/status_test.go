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
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

func TestStatusGolden(t *testing.T) {
	c := loadCluster(t)
	status := explain.StatusOf(snapshot.New(c.Input), c.facts())
	golden(t, "status", func(p *text.Printer) {
		var out bytes.Buffer
		to := p.Out
		p.Out = &out
		printStatus(p, status)
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); p.Width > 0 && !p.Color && n > p.Width {
				t.Errorf("a line of %d characters, %d fit: %s", n, p.Width, line)
			}
		}
		if _, err := to.Write(out.Bytes()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStatusWhatHoldsAll has a brake, a pause and no leader, and budgets that could not be read.
func TestStatusWhatHoldsAll(t *testing.T) {
	c := loadCluster(t)
	c.lease.Spec.RenewTime.Time = noon.Add(-3 * time.Minute)
	c.Starts = &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"taint-manager.io/eviction-brake":         `{"on":true,"since":"2026-03-01T11:58:00Z"}`,
		"taint-manager.io/eviction-brake-message": "Holding evictions since 2026-03-01T11:58:00Z: 40 of 100 nodes have pods due",
	}}}
	c.Budgets = nil
	c.Unread = []snapshot.Unread{{What: "disruption budgets", Error: "forbidden", Means: "whether a budget holds a pod"}}
	goldenText(t, "status-brake.txt", printed(c))

	// A policy that selects nothing, of precedence 0, is a pause.
	pause := c.Policies[1].DeepCopy()
	pause.SetName("stop")
	pause.Object["spec"] = map[string]any{"matchingPrecedence": int64(0), "mode": "Keep", "expireTime": "2026-03-01T13:00:00Z"}
	c.Policies = append(c.Policies, pause)
	goldenText(t, "status-pause.txt", printed(c))

	// One that holds nothing now, and selects what it will hold, is one as well.
	pause.Object["spec"] = map[string]any{"matchingPrecedence": int64(0), "mode": "Keep", "taints": []any{map[string]any{"key": "example.com/tomorrow"}},
		"nodeSelector": map[string]any{"matchLabels": map[string]any{"rack": "7"}}}
	goldenText(t, "status-pause-later.txt", printed(c))
}

// TestStatusWithoutPolicies has policies that could not be read: whether a pod is kept is not known then.
func TestStatusWithoutPolicies(t *testing.T) {
	c := loadCluster(t)
	c.Policies, c.PoliciesUnread = nil, true
	c.Unread = []snapshot.Unread{{What: "policies", Error: "forbidden", Means: "in which mode a pod goes"}}
	c.Starts = &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"taint-manager.io/paused-by": "stop"}}}
	goldenText(t, "status-no-policies.txt", printed(c))
}

// printed returns the status of a cluster at a width of 80.
func printed(c *cluster) []byte {
	var out bytes.Buffer
	p := &text.Printer{Out: &out, Width: 80}
	status := explain.StatusOf(snapshot.New(c.Input), c.facts())
	printStatus(p, status)
	printLimits(p, status.Common())
	return out.Bytes()
}
