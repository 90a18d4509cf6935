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

package harness

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// Punctual is how late an eviction may be that nothing holds up, on a machine that also runs the whole control plane.
const Punctual = 1500 * time.Millisecond

// Outcome is what became of a pod up to some moment.
type Outcome struct {
	// Evicted says that its deletion began, and At when we heard of it.
	Evicted bool
	At      time.Time
	// Watched is until when it was watched.
	Watched time.Time
}

// Await waits until the pod begins to go or the time is over.
func (s *Scene) Await(pod *corev1.Pod, until time.Time) Outcome {
	s.T.Helper()
	return s.AwaitAll([]*corev1.Pod{pod}, until)[0]
}

// AwaitAll waits until all pods begin to go or the time is over.
func (s *Scene) AwaitAll(pods []*corev1.Pod, until time.Time) []Outcome {
	s.T.Helper()
	outcomes := make([]Outcome, len(pods))
	s.watch.Await(s.Context(), until, func(seen *podwatch.Sightings) bool {
		all := true
		for i, pod := range pods {
			outcomes[i] = Outcome{Watched: time.Now()}
			if going := seen.Of(pod).Going; !going.IsZero() {
				outcomes[i].Evicted, outcomes[i].At = true, going
			} else {
				all = false
			}
		}
		return all
	})
	for i := range outcomes {
		if !outcomes[i].Evicted {
			outcomes[i].Watched = time.Now()
		}
	}
	return outcomes
}

// Going says for each pod when it began to go, as far as is known now; zero where it has not. It is for many pods, whom
// AwaitAll would look at for each event of the watch.
func (s *Scene) Going(pods []*corev1.Pod) []time.Time {
	times := make([]time.Time, len(pods))
	s.watch.Look(func(seen *podwatch.Sightings) {
		for i, pod := range pods {
			times[i] = seen.Of(pod).Going
		}
	})
	return times
}

// left counts the pods that have not begun to go.
func (s *Scene) left(pods []*corev1.Pod) (n int) {
	s.watch.Look(func(seen *podwatch.Sightings) { n = seen.Left(pods) })
	return n
}

// AwaitGone waits until all pods begin to go or the time is over, and returns when the last did that does.
func (s *Scene) AwaitGone(pods []*corev1.Pod, until time.Time) (last time.Time) {
	s.T.Helper()
	left := pods
	s.until(until, func() bool {
		s.watch.Look(func(seen *podwatch.Sightings) { // of very many pods, not all each time
			for len(left) > 0 && !seen.Of(left[0]).Going.IsZero() {
				left = left[1:]
			}
		})
		return len(left) == 0
	})
	for _, at := range s.Going(pods) {
		last = timing.Later(last, at)
	}
	return last
}

// Quiet watches until the moment and fails the test if the pod begins to go before.
func (s *Scene) Quiet(pod *corev1.Pod, until time.Time) {
	s.T.Helper()
	if outcome := s.Await(pod, until); outcome.Evicted {
		s.T.Fatalf("pod %s went %s before %s", pod.Name, until.Sub(outcome.At), until.Format(time.StampMilli))
	}
}

// Due is the window of a pod whose seconds count from the action: it ends Punctual after them.
func Due(m timing.Moment, seconds float64) timing.Window { return timing.Due(m, seconds, Punctual) }

// Outside says by how much an outcome misses the window; empty if it does not.
func (f Outcome) Outside(w timing.Window) string { return w.Outside(f.At, f.Watched) }

// Evicted waits for the pod's eviction within the window, and fails the test if it comes earlier, later or not at all.
func (s *Scene) Evicted(pod *corev1.Pod, w timing.Window) Outcome {
	s.T.Helper()
	outcome := s.Await(pod, w.To.Add(5*time.Second)) // to say how late it was
	s.Check(pod, outcome, w)
	return outcome
}

// Check fails the test if the outcome misses the window.
func (s *Scene) Check(pod *corev1.Pod, outcome Outcome, w timing.Window) {
	s.T.Helper()
	if complaint := outcome.Outside(w); complaint != "" {
		s.T.Errorf("pod %s: %s", pod.Name, complaint)
	} else {
		s.T.Logf("pod %s: evicted %s after the earliest moment it was due at", pod.Name, timing.Round(outcome.At.Sub(w.From)))
	}
}

// maxComplaints is how many pods of many a failed test names.
const maxComplaints = 5

// CheckAll fails the test if one of many outcomes misses its window, and returns how late the latest was, the time that it
// was watched for if it did not come about.
func (s *Scene) CheckAll(pods []*corev1.Pod, outcomes []Outcome, window func(i int) timing.Window) (worst time.Duration) {
	s.T.Helper()
	wrong := 0
	for i, outcome := range outcomes {
		end := outcome.Watched
		if outcome.Evicted {
			end = outcome.At
		}
		worst = max(worst, end.Sub(window(i).From))
		complaint := outcome.Outside(window(i))
		if complaint == "" {
			continue
		}
		if wrong++; wrong <= maxComplaints {
			s.T.Errorf("pod %s: %s", pods[i].Name, complaint)
		}
	}
	if wrong > maxComplaints {
		s.T.Errorf("%d pods in all", wrong)
	}
	return worst
}

// Stayed fails the test if the pod was evicted.
func (s *Scene) Stayed(pod *corev1.Pod, outcome Outcome, why string) {
	s.T.Helper()
	if outcome.Evicted {
		s.T.Errorf("pod %s was evicted, though %s", pod.Name, why)
	}
}

// Stays watches the pod until the moment, and fails the test if it is evicted.
func (s *Scene) Stays(pod *corev1.Pod, until time.Time, why string) {
	s.T.Helper()
	s.Stayed(pod, s.Await(pod, until), why)
}

// deleted fails the test for each of the pods that has begun to go and had to stay, and counts them.
func (s *Scene) deleted(pods []*corev1.Pod) (n int) {
	s.T.Helper()
	for i, at := range s.Going(pods) {
		if !at.IsZero() {
			n++
			s.T.Errorf("pod %s has to stay, and was deleted", pods[i].Name)
		}
	}
	return n
}

// Since tells the outcome in words, counted from an action.
func (f Outcome) Since(m timing.Moment, action string) string {
	if !f.Evicted {
		return fmt.Sprintf("not evicted (watched for %.0f s)", f.Watched.Sub(m.After).Seconds())
	}
	return fmt.Sprintf("evicted %.1f s after %s", f.At.Sub(m.After).Seconds(), action)
}
