//go:build kind

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

package suite

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestPodsMove(t *testing.T) {
	s := shared(t)
	node := s.worker()
	here, elsewhere := split(s.deploy("web", 4, preferring(node)), node)
	if len(here) == 0 {
		t.Fatalf("no pod is on node %s, which they prefer", node)
	}
	tolerant := s.run(on(node), builders.ToleratesForever(s.key))
	tainted := s.taint(node, s.key)
	expected := make([]expectation, 0, len(here))
	for _, pod := range here {
		expected = append(expected, expectation{pod, due(tainted, 0)})
	}
	worst := s.evicted(expected...)
	s.awaitReady("web", 4, node)
	s.stay(time.Now(), "they are on another node or tolerate the taint", append(elsewhere, tolerant)...)
	for _, pod := range here {
		s.checkCondition(pod)
	}
	s.checkEvents(node, s.key, here...)
	s.measured("worst lateness", timing.Round(worst).String())
}

// checkCondition checks what a pod that was evicted says of it.
func (s *scene) checkCondition(pod *corev1.Pod) {
	s.Helper()
	condition := builders.ConditionOf(s.watch.Of(pod).Last, corev1.DisruptionTarget)
	if condition == nil || condition.Status != corev1.ConditionTrue || condition.Reason != "DeletionByTaintManager" {
		s.Errorf("pod %s went with the condition DisruptionTarget %v, want true because of DeletionByTaintManager", pod.Name, condition)
	}
}

// checkEvents checks that each of the pods has one Event with its UID, from us, and no other pod has.
func (s *scene) checkEvents(node, key string, pods ...*corev1.Pod) {
	s.Helper()
	of := map[types.UID]int{}
	for _, event := range s.events(len(pods), 10*time.Second) {
		of[event.InvolvedObject.UID]++
		if event.Source.Component != ourName || !strings.Contains(event.Message, node) || !strings.Contains(event.Message, key) {
			s.Errorf("Event of component %q: %q, want our name, node %s and key %s", event.Source.Component, event.Message, node, key)
		}
	}
	for _, pod := range pods {
		if of[pod.UID] != 1 {
			s.Errorf("pod %s has %d Events TaintManagerEviction with its UID, want 1", pod.Name, of[pod.UID])
		}
		delete(of, pod.UID)
	}
	for uid, n := range of {
		s.Errorf("there are %d Events TaintManagerEviction about UID %q, which was not to be evicted", n, uid)
	}
}

func TestFiniteTolerations(t *testing.T) {
	s := shared(t)
	node := s.worker()
	short, long := s.run(on(node), builders.Tolerates(s.key, 4)), s.run(on(node), builders.Tolerates(s.key, 9))
	// The first toleration in the order of the spec counts.
	first := s.run(on(node), builders.Tolerates(s.key, 6), builders.ToleratesForever(s.key))
	forever := s.run(on(node), builders.ToleratesForever(s.key), builders.Tolerates(s.key, 1))
	tainted := s.taint(node, s.key)
	// A pod that comes later has its seconds from its binding.
	s.stay(tainted.After.Add(2*time.Second), "their seconds are not over", short, long, first, forever)
	late, created := s.pod(on(node), builders.Tolerates(s.key, 5))
	s.ready(late)
	bound := timing.Moment{Before: created.Before, After: s.watch.Of(late).Bound.Add(time.Second)} // its time is cut to the second
	worst := s.evicted(
		expectation{short, due(tainted, 4)}, expectation{first, due(tainted, 6)}, expectation{long, due(tainted, 9)},
	)
	s.evictedAt(late, due(bound, 5))
	s.stay(tainted.After.Add(10*time.Second), "its first toleration is for ever", forever)
	s.measured("worst lateness", timing.Round(worst).String())
}

func TestEvictionsAreCancelled(t *testing.T) {
	s := shared(t)
	node := s.worker()
	saved := s.run(on(node), builders.Tolerates(s.key, 5), builders.ToleratesForever(s.second))
	longer := s.run(on(node), builders.Tolerates(s.key, 5), builders.Tolerates(s.second, 11))
	tainted := s.taint(node, s.key, s.second)
	s.stay(tainted.After.Add(3*time.Second), "their seconds are not over", saved, longer)
	s.untaint(node, s.key)
	s.stay(tainted.Before.Add(11*time.Second), "the taint that would have evicted them has gone", saved, longer)
	s.evictedAt(longer, due(tainted, 11))
	s.untaint(node, s.second)
	s.stay(tainted.After.Add(14*time.Second), "the taint has gone", saved)
	s.checkEvents(node, s.second, longer)
}
