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
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// due is the window of a pod whose seconds count from the action.
func due(m timing.Moment, seconds float64) timing.Window { return timing.Due(m, seconds, punctual) }

// patience is how long pods are watched after the end of their window, to say how late they were.
const patience = 10 * time.Second

// expectation is a pod and when it has to go.
type expectation struct {
	pod    *corev1.Pod
	window timing.Window
}

// evicted waits for the evictions of these pods within their windows, and fails the test for each that comes earlier,
// later or not at all. It returns how long after the beginning of its window the latest came.
func (s *scene) evicted(expected ...expectation) (worst time.Duration) {
	s.Helper()
	var until time.Time
	for _, e := range expected {
		until = timing.Later(until, e.window.To.Add(patience))
	}
	s.watch.Await(s.Context(), until, func(seen *podwatch.Sightings) bool {
		for _, e := range expected {
			if seen.Of(e.pod).Going.IsZero() {
				return false
			}
		}
		return true
	})
	var missed []*corev1.Pod
	for _, e := range expected {
		seen := s.watch.Of(e.pod)
		if complaint := e.window.Outside(seen.Going, time.Now()); complaint != "" {
			missed = append(missed, e.pod)
			if len(missed) <= mostComplaints {
				s.Errorf("pod %s: %s", e.pod.Name, complaint)
			}
			continue
		}
		worst = max(worst, seen.Going.Sub(e.window.From))
	}
	if len(missed) > 0 {
		s.Errorf("%d of %d pods did not go when they had to", len(missed), len(expected))
		s.explain(missed[:min(len(missed), mostComplaints)])
	}
	return worst
}

// mostComplaints is how many pods of many are named.
const mostComplaints = 5

// explain logs what helps to understand why pods did not go when they had to: their Events, with the lateness that the
// controller knows of, and the load of this machine.
func (s *scene) explain(pods []*corev1.Pod) {
	s.Helper()
	for _, event := range s.events(0, time.Second) {
		if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return pod.Name == event.InvolvedObject.Name }) {
			s.Logf("Event of %s on pod %s: %s", event.Source.Component, event.InvolvedObject.Name, event.Message)
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		s.Logf("load average: %s", load)
	}
}

// evictedAt is evicted for one pod.
func (s *scene) evictedAt(pod *corev1.Pod, w timing.Window) {
	s.Helper()
	s.evicted(expectation{pod, w})
}

// stay watches pods until the moment and fails the test if one of them begins to go, or a container of it restarts.
func (s *scene) stay(until time.Time, why string, pods ...*corev1.Pod) {
	s.Helper()
	s.watch.Await(s.Context(), until, func(seen *podwatch.Sightings) bool { return seen.Left(pods) < len(pods) })
	for _, pod := range pods {
		seen := s.watch.Of(pod)
		if !seen.Going.IsZero() {
			s.Errorf("pod %s went, though %s", pod.Name, why)
		} else if restarts(seen.Last) != restarts(pod) {
			s.Errorf("a container of pod %s was restarted, though %s", pod.Name, why)
		}
	}
}

func restarts(pod *corev1.Pod) (n int32) {
	for i := range pod.Status.ContainerStatuses {
		n += pod.Status.ContainerStatuses[i].RestartCount
	}
	return n
}
