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
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestNodeEventsSumUp(t *testing.T) {
	suite.OursOnly(t, "it writes no Events on nodes")
	s := suite.Shared(t)
	node := s.Node()
	due := s.Pod(node)
	var pods []*corev1.Pod
	for range 3 {
		pods = append(pods, s.Pod(node, builders.Tolerates("ill", 600)))
	}
	pods = append(pods, s.Pod(node, builders.ToleratesForever("ill")))
	s.Running(append(pods, due)...)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(due, harness.Due(tainted, 0))
	s.Untaint(node)
	for reason, says := range map[string][]string{
		"TaintManagerScheduled":         {"ill:NoExecute", "1 pod due now", "3 pods scheduled", "1 pod not to be evicted"},
		"TaintManagerEvictionCancelled": {"3 pods"},
	} {
		events := s.NodeEvents(node, reason, 1, time.Now().Add(10*time.Second))
		if len(events) != 1 {
			t.Errorf("%d events %s, want 1", len(events), reason)
			continue
		}
		if about := events[0].InvolvedObject; about.UID == "" || about.Name != node {
			t.Errorf("%s is about %v", reason, about)
		}
		for _, what := range says {
			if !strings.Contains(events[0].Message, what) {
				t.Errorf("%s: %q has no %q", reason, events[0].Message, what)
			}
		}
	}
}

// A taint that comes and goes every other second leaves few Events behind, which say how often that was.
func TestNodeEventsOfAFlappingTaint(t *testing.T) {
	suite.OursOnly(t, "it writes no Events on nodes")
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 300))
	s.Running(pod)
	const times = 8
	left := 0
	for range times {
		s.Taint(node, builders.NoExecute("ill"))
		s.Quiet(pod, time.Now().Add(time.Second))
		s.Untaint(node)
		s.Quiet(pod, time.Now().Add(time.Second))
	}
	for _, reason := range []string{"TaintManagerScheduled", "TaintManagerEvictionCancelled"} {
		var events []corev1.Event
		s.Eventually("the count of "+reason, 20*time.Second, func(context.Context) error {
			events = s.NodeEvents(node, reason, 1, time.Now())
			count := int32(0)
			for i := range events {
				count += events[i].Count
			}
			if count != times {
				return fmt.Errorf("%d Events count %d, want %d", len(events), count, times)
			}
			return nil
		})
		left += len(events)
		if len(events) != 1 || events[0].LastTimestamp.Sub(events[0].FirstTimestamp.Time) < 2*(times-2)*time.Second {
			t.Errorf("%d Events %s: %v", len(events), reason, events)
		}
	}
	s.Saw("a taint came and went %d times, and left %d Events", times, left)
}

func TestAnotherValueIsAnotherTaint(t *testing.T) {
	suite.OursOnly(t, "it goes on counting")
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 4))
	s.Running(pod)
	taint := func(value string) timing.Moment {
		return s.Taint(node, corev1.Taint{Key: "ill", Value: value, Effect: corev1.TaintEffectNoExecute})
	}
	first := taint("flu")
	s.Quiet(pod, first.After.Add(2*time.Second))
	s.Evicted(pod, harness.Due(taint("plague"), 4))
}
