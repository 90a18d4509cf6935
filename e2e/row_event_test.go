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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const evictionReason = "TaintManagerEviction"

func TestRowEvent(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.EventContent)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 1))
	s.Running(pod)
	tainted := s.Taint(node, corev1.Taint{Key: "ill", Value: "flu", Effect: corev1.TaintEffectNoExecute})
	s.Evicted(pod, harness.Due(tainted, 1))
	events := s.Events(evictionReason, 1, tainted.After.Add(15*time.Second))
	if len(events) != 1 {
		row.Saw("%d events", len(events))
		t.Fatalf("want 1 event, got %d", len(events))
	}
	event := events[0]
	var says, lacks []string
	note := func(what string, there bool) {
		if there {
			says = append(says, what)
		} else {
			lacks = append(lacks, what)
		}
	}
	note("the pod's UID", event.InvolvedObject.UID == pod.UID)
	note("node", strings.Contains(event.Message, node))
	note("taint", strings.Contains(event.Message, "ill=flu:NoExecute"))
	note("toleration", strings.Contains(event.Message, "tolerated for 1s by toleration ill:NoExecute"))
	note("lateness", strings.Contains(event.Message, " late"))
	if len(says) > 0 {
		row.Saw("says %s", strings.Join(says, ", "))
	}
	if len(lacks) > 0 {
		row.Saw("does not say %s", strings.Join(lacks, ", "))
		t.Errorf("message %q, about %v", event.Message, event.InvolvedObject)
	}
	if o := event.InvolvedObject; o.Name != pod.Name || o.Kind != "Pod" {
		t.Errorf("about %v", o)
	}
	if event.Source.Component != "taint-manager" {
		t.Errorf("from %q", event.Source.Component)
	}
}

func TestRowEventsOfAStorm(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.EventStorm)
	s.Start(harness.Options{Name: "storm", Args: []string{"--v=0"}, BuiltinArgs: limitsLifted})
	const count, spread = 1000, 10
	nodes := s.Nodes(spread)
	pods := s.Many(count, func(i int) *corev1.Pod {
		return builders.Pod(nodes[i%spread], builders.Named(fmt.Sprintf("storm-%d", i)))
	})
	began := timing.Now()
	for _, node := range nodes {
		s.Taint(node, builders.NoExecute("ill"))
	}
	outcomes := s.AwaitAll(pods, began.After.Add(90*time.Second))
	last := s.CheckAll(pods, outcomes, func(int) timing.Window { return harness.Due(began, 0).Extend(90 * time.Second) })
	// Writing goes on after the last eviction; when nothing has come for some time it is over.
	events := s.EventsUntilQuiet(evictionReason, count, 10*time.Second)
	row.Saw("%d arrive; the last pod is evicted after %.1f s", len(events), last.Seconds())
	told := sets.New[string]()
	for i := range events {
		told.Insert(events[i].InvolvedObject.Name)
	}
	if len(events) != count || len(told) != count {
		t.Errorf("%d events about %d of %d pods", len(events), len(told), count)
	}
}
