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
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestSwitchingOverAndBack goes the way of an operator under kubeadm, by the commands of manifests/README.md: the built-in
// controller beside ours, then ours alone, then the built-in one beside ours again, and alone.
func TestSwitchingOverAndBack(t *testing.T) {
	s := alone(t)
	before := s.manifest()
	s.Cleanup(s.restoreBuiltin)
	began := time.Now()
	s.switchTo(true)
	s.sideBySide()
	s.switchOff()
	if after := s.manifest(); !slices.Equal(before, after) {
		t.Errorf("switched on and off again, %s is another than before:\n%s", manifest, strings.Join(after, "\n"))
	}
	s.switchTo(true)
	s.switchBack()
	s.measured("three switches took", time.Since(began).Round(time.Second).String())
}

// tally is whose Events there are: ours by UID, the built-in controller's, which have none, by the pod's name.
type tally struct {
	ours    map[types.UID]int
	builtin map[string]int
}

// tally waits until each of these pods has an Event of one or the other, for Events follow deletions.
func (s *scene) tally(pods []*corev1.Pod) tally {
	s.Helper()
	var list tally
	s.eventually("an Event on each pod that was evicted", 15*time.Second, func(context.Context) error {
		list = tally{map[types.UID]int{}, map[string]int{}}
		for _, event := range s.events(0, time.Second) {
			switch {
			case event.Source.Component == ourName:
				list.ours[event.InvolvedObject.UID]++
			case strings.HasPrefix(event.Message, "Marking for deletion"):
				list.builtin[event.InvolvedObject.Name]++
			}
		}
		for _, pod := range pods {
			if list.ours[pod.UID]+list.builtin[pod.Name] == 0 {
				return fmt.Errorf("pod %s has none", pod.Name)
			}
		}
		return nil
	})
	return list
}

// sideBySide lets both act on the same pods.
func (s *scene) sideBySide() {
	s.Helper()
	node := s.workers()[0]
	token := s.token("reader", "taint-manager-metrics-reader")
	deletedBefore := s.deleted(token)
	var at0, at3, stay []*corev1.Pod
	for range 3 {
		at0 = append(at0, s.run(on(node)))
		at3 = append(at3, s.run(on(node), builders.Tolerates(s.key, 3), builders.ToleratesForever(s.second)))
	}
	for range 2 {
		stay = append(stay, s.run(on(node), builders.Tolerates(s.key, 8), builders.ToleratesForever(s.second)))
	}
	// The built-in controller goes on counting for a taint that has gone while another one is tolerated for longer.
	cancelled := s.run(on(node), builders.Tolerates(s.key, 8), builders.Tolerates(s.second, 600))
	tainted := s.taint(node, s.key, s.second)
	var expected []expectation
	for i := range at0 {
		expected = append(expected, expectation{at0[i], due(tainted, 0)}, expectation{at3[i], due(tainted, 3)})
	}
	s.evicted(expected...)
	s.stay(tainted.After.Add(5*time.Second), "their seconds are not over", append(stay, cancelled)...)
	s.untaint(node, s.key)
	s.stay(tainted.After.Add(12*time.Second), "the taint has gone for both controllers", stay...)

	seen := s.tally(append(at0, at3...))
	byUs := 0
	for _, pod := range append(at0, at3...) {
		byUs += seen.ours[pod.UID]
		if seen.ours[pod.UID] > 1 {
			s.Errorf("pod %s was evicted with %d Events of ours", pod.Name, seen.ours[pod.UID])
		}
	}
	for _, pod := range append(stay, cancelled) {
		if seen.ours[pod.UID] != 0 {
			s.Errorf("we evicted pod %s, though the taint has gone", pod.Name)
		}
	}
	if deleted := s.deleted(token) - deletedBefore; deleted != byUs {
		s.Errorf("our metrics count %d pods deleted, and %d have an Event of ours", deleted, byUs)
	}
	s.measured("side by side", fmt.Sprintf("%d of %d evictions by us, the others by the built-in controller", byUs, len(expected)))
	s.measured("the built-in controller evicted for a taint that had gone", fmt.Sprint(!s.watch.Of(cancelled).Going.IsZero()))
	s.untaint(node, s.second)
}

// deleted is how many pods all of our replicas have deleted, by their metrics.
func (s *scene) deleted(token string) int {
	s.Helper()
	pods, err := ours.pods(s.Context())
	s.must(err)
	sum := 0.0
	for i := range pods {
		text, err := metrics(s.Context(), &pods[i], token)
		s.must(err)
		value, err := sample(text, `taint_manager_evictions_total{result="Deleted"}`)
		s.must(err)
		sum += value
	}
	return int(sum)
}

// switchOff switches the built-in controller off while countdowns run.
func (s *scene) switchOff() {
	s.Helper()
	node := s.workers()[1]
	const n, step = 12, 4
	pods := s.many(n, func(i int) []builders.Change {
		return []builders.Change{on(node), builders.Tolerates(s.key, int64(step*(i+1)))}
	})
	tainted := s.taint(node, s.key)
	s.switchTo(false)
	off := time.Now()
	expected := make([]expectation, 0, n)
	for i, pod := range pods {
		expected = append(expected, expectation{pod, due(tainted, float64(step*(i+1)))})
	}
	worst := s.evicted(expected...)
	seen := s.tally(pods)
	after := 0
	for _, pod := range pods {
		if s.watch.Of(pod).Going.After(off) {
			after++
			if seen.ours[pod.UID] != 1 {
				s.Errorf("pod %s went when the built-in controller was off, with %d Events of ours, want 1", pod.Name, seen.ours[pod.UID])
			}
		}
	}
	if after == 0 {
		s.Errorf("switching took %s, longer than all countdowns", timing.Round(off.Sub(tainted.After)))
	}
	s.measured("worst lateness while switching off", timing.Round(worst).String())
	s.untaint(node, s.key)
	s.must(s.deletePods())
}

// switchBack deletes us while countdowns run; the built-in controller is on already.
func (s *scene) switchBack() {
	s.Helper()
	node := s.workers()[2]
	const n, step = 6, 3
	pods := s.many(n, func(i int) []builders.Change {
		return []builders.Change{on(node), builders.Tolerates(s.key, int64(step*(i+1)))}
	})
	tainted := s.taint(node, s.key)
	expected := make([]expectation, 0, n)
	for i, pod := range pods {
		expected = append(expected, expectation{pod, due(tainted, float64(step*(i+1)))})
	}
	s.evicted(expected[:1]...)
	s.must(ours.remove(s.Context()))
	removed := time.Now()
	worst := s.evicted(expected...)
	seen := s.tally(pods)
	after := 0
	for _, pod := range pods {
		if s.watch.Of(pod).Going.After(removed) {
			after++
			if seen.builtin[pod.Name] == 0 {
				s.Errorf("pod %s went after we had been deleted, without an Event of the built-in controller", pod.Name)
			}
		}
	}
	if after == 0 {
		s.Errorf("deleting us took longer than all countdowns")
	}
	s.measured("worst lateness while we are deleted", timing.Round(worst).String())
}
