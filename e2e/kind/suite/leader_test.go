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
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestNodeOfTheLeaderIsTainted(t *testing.T) {
	s := alone(t)
	leader := s.leaderOnWorker()
	holder, err := ours.holder(t.Context())
	s.must(err)
	node := leader.Spec.NodeName
	at0, at5 := s.run(on(node)), s.run(on(node), builders.Tolerates(s.key, 5))
	tainted := s.taint(node, s.key)
	worst := s.evicted(expectation{at0, due(tainted, 0)}, expectation{at5, due(tainted, 5)})
	live, err := client.CoreV1().Pods(ours.namespace).Get(t.Context(), leader.Name, metav1.GetOptions{})
	s.must(err)
	if live.UID != leader.UID || live.DeletionTimestamp != nil || restarts(live) != restarts(leader) {
		t.Errorf("pod %s did not stay as it was on its node with a NoExecute taint", leader.Name)
	}
	if still, err := ours.holder(t.Context()); err != nil || still != holder {
		t.Errorf("the leader was %s and is %s (%v)", holder, still, err)
	}
	s.measured("worst lateness", timing.Round(worst).String())
}

// leaderOnWorker returns the leader, when it is on a worker: if it is not, the replica there is made the leader by
// deleting the one that is on the control-plane node.
func (s *scene) leaderOnWorker() *corev1.Pod {
	s.Helper()
	const most = 4
	for range most {
		leader := s.mustLead(ours)
		if leader.Spec.NodeName != cluster.ControlPlane() {
			return leader
		}
		s.must(client.CoreV1().Pods(ours.namespace).Delete(s.Context(), leader.Name, metav1.DeleteOptions{}))
		s.eventually("another leader", 30*time.Second, func(ctx context.Context) error {
			next, err := ours.leader(ctx)
			if err == nil && next.UID == leader.UID {
				err = fmt.Errorf("%s still leads", leader.Name)
			}
			return err
		})
		s.sound()
	}
	s.Fatal("the leader is on the control-plane node again and again")
	return nil
}

func TestLeaderIsDeletedDuringCountdowns(t *testing.T) {
	s := alone(t)
	node := s.workers()[0]
	pods := s.many(12, func(i int) []builders.Change {
		return []builders.Change{on(node), builders.Tolerates(s.key, int64(4+i))}
	})
	leader := s.mustLead(ours)
	tainted := s.taint(node, s.key)
	expected := make([]expectation, 0, len(pods))
	for i, pod := range pods {
		expected = append(expected, expectation{pod, due(tainted, float64(4+i))})
	}
	// Some have gone and some are about to: that is when the leader goes.
	s.evicted(expected[:3]...)
	s.must(client.CoreV1().Pods(ours.namespace).Delete(t.Context(), leader.Name, metav1.DeleteOptions{}))
	deleted := time.Now()
	worst := s.evicted(expected[3:]...)
	if next := s.mustLead(ours); next.UID == leader.UID {
		t.Errorf("pod %s leads, which was deleted", leader.Name)
	}
	var takeover time.Duration
	for _, e := range expected[3:] {
		if going := s.watch.Of(e.pod).Going; going.After(deleted) {
			takeover = going.Sub(deleted)
			break
		}
	}
	s.checkEvents(node, s.key, pods...)
	s.measured("worst lateness", timing.Round(worst).String())
	s.measured("first eviction after the deletion", timing.Round(takeover).String())
	s.eventually("a complete Deployment", time.Minute, ours.complete)
}

// stormSize is how many pods go during a rolling update, and stormFrom and stormFor are the seconds that they have: the
// update has to take less.
const (
	stormSize = 75
	stormFrom = 3
	stormFor  = 27
)

func TestRollingUpdateInAStorm(t *testing.T) {
	s := alone(t)
	workers := s.workers()
	seconds := func(i int) int64 { return stormFrom + int64(i*(stormFor-stormFrom)/(stormSize-1)) }
	pods := s.many(stormSize, func(i int) []builders.Change {
		return []builders.Change{on(workers[i%len(workers)]), builders.Tolerates(s.key, seconds(i))}
	})
	usages, err := cluster.Usages(t.Context(), ours.namespace, selector)
	s.must(err)
	for _, usage := range usages {
		t.Logf("before: %s", usage)
	}

	// The taints have no timeAdded, as those of kubectl taint: the replicas that start during the storm know when it began
	// only by managedFields, which is what most clusters have. That time is cut to the second and counts as its end, so
	// lateness is counted from there. Earliness is counted from just before the request.
	tainted, start := map[string]timing.Moment{}, map[string]time.Time{}
	for _, node := range workers {
		m, stored := s.taintAndRead(node, s.key)
		end, err := taintsChanged(stored)
		s.must(err)
		tainted[node], start[node] = m, end
	}
	s.must(ours.restart(t.Context()))
	began := time.Now()
	rolled := make(chan time.Duration, 1)
	go func() {
		if poll(t.Context(), time.Minute, ours.complete) == nil {
			rolled <- time.Since(began)
		}
		close(rolled)
	}()
	slowest := s.slowestAnswer(time.Until(began.Add((stormFor + 2) * time.Second)))
	expected := make([]expectation, 0, len(pods))
	for i, pod := range pods {
		tolerated := time.Duration(seconds(i)) * time.Second
		node := pod.Spec.NodeName
		expected = append(expected, expectation{pod, timing.Window{From: tainted[node].Before.Add(tolerated), To: start[node].Add(tolerated + time.Second + slowest)}})
	}
	s.evicted(expected...)
	s.measured("slowest answer of the API server", timing.Round(slowest).String())
	s.measured("worst lateness", timing.Round(s.latest(pods, func(i int) time.Time {
		return start[pods[i].Spec.NodeName].Add(time.Duration(seconds(i)) * time.Second)
	})).String())
	took, ok := <-rolled
	if !ok {
		t.Fatal("the rolling update was not complete within a minute")
	}
	if end := began.Add(took); end.After(start[workers[0]].Add(stormFor * time.Second)) {
		t.Errorf("the rolling update took %s, longer than the storm, which therefore does not cover it", timing.Round(took))
	}
	s.measured("the rolling update took", timing.Round(took).String())
	usages, err = cluster.Usages(t.Context(), ours.namespace, selector)
	s.must(err)
	for _, usage := range usages {
		s.Logf("after: %s", usage)
	}
}

// slowestAnswer asks the API server for a Lease again and again for some time. How long the slowest answer took, from the
// moment at which it was to be asked for, says by how much this machine itself makes everybody late.
func (s *scene) slowestAnswer(during time.Duration) (slowest time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), during)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case asked := <-ticker.C:
			if _, err := ours.holder(ctx); err != nil && ctx.Err() == nil {
				s.Errorf("reading the Lease: %v", err)
			}
			slowest = max(slowest, time.Since(asked))
		case <-ctx.Done():
			return slowest
		}
	}
}

// latest is how much later than they should the latest of the pods went.
func (s *scene) latest(pods []*corev1.Pod, should func(i int) time.Time) time.Duration {
	worst := time.Duration(math.MinInt64)
	for i, pod := range pods {
		if going := s.watch.Of(pod).Going; !going.IsZero() {
			worst = max(worst, going.Sub(should(i)))
		}
	}
	return worst
}
