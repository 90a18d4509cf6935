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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// detection is how long it may take until the node lifecycle controller takes a silent node for lost: its default grace
// period of 50 s, and as much again for a slow machine.
const detection = 100 * time.Second

// ill makes a pod tolerate what the node lifecycle controller gives a node that is lost.
func ill(seconds int64) builders.Change {
	return func(pod *corev1.Pod) {
		builders.Tolerates(corev1.TaintNodeUnreachable, seconds)(pod)
		builders.Tolerates(corev1.TaintNodeNotReady, seconds)(pod)
	}
}

// victims are what is on a worker that dies.
type victims struct {
	quick, slow, db, every []*corev1.Pod
	patient                *corev1.Pod
}

func TestWorkerDies(t *testing.T) {
	s := alone(t)
	leader := s.leaderOnWorker()
	node := leader.Spec.NodeName
	v := victims{
		quick: s.deploy("quick", 2, preferring(node), ill(5)), slow: s.deploy("slow", 2, preferring(node), ill(20)),
		db: s.statefulSet("db", 2, preferring(node), ill(5)), every: s.daemonSet("every"),
		patient: s.run(on(node)), // with Kubernetes' default of five minutes
	}
	quick, _ := split(v.quick, node)
	slow, _ := split(v.slow, node)
	db, _ := split(v.db, node)
	system := s.in(ours.namespace)

	s.must(cluster.Pause(t.Context(), node))
	s.Cleanup(func() { s.revive(node) })
	lost := s.awaitTaint(node, corev1.TaintNodeUnreachable)
	var expected []expectation
	for _, pod := range append(append([]*corev1.Pod{}, quick...), db...) {
		expected = append(expected, expectation{pod, due(lost, 5)})
	}
	for _, pod := range slow {
		expected = append(expected, expectation{pod, due(lost, 20)})
	}
	worst := s.evicted(expected...)
	s.awaitReady("quick", 2, node)
	s.awaitReady("slow", 2, node)
	if next := s.mustLead(ours); next.UID == leader.UID {
		t.Errorf("pod %s on the lost node still leads", leader.Name)
	}
	system.evictedAt(leader, due(lost, 60))
	s.oursElsewhere(node)
	for _, pod := range db {
		if seen := s.watch.Of(pod); !seen.Gone.IsZero() {
			t.Errorf("pod %s was gone while its node was lost, and nobody knew whether it still ran there", pod.Name)
		}
	}
	s.measured("worst lateness", timing.Round(worst).String())

	s.revive(node)
	s.returned(node, v, append(append(quick, slow...), db...), leader, system)
	for _, pod := range db {
		s.notDoubled(pod)
	}
	s.checkEvents(node, corev1.TaintNodeUnreachable, append(append(quick, slow...), db...)...)
}

// returned checks that after a worker's return all that had to go is gone, and nothing else goes.
func (s *scene) returned(node string, v victims, evicted []*corev1.Pod, leader *corev1.Pod, system *scene) {
	s.Helper()
	back := time.Now()
	s.sound()
	s.measured("sound after the worker's return", time.Since(back).Round(time.Second).String())
	for _, pod := range evicted {
		s.gone(pod)
	}
	system.gone(leader)
	all := append([]*corev1.Pod{v.patient}, v.every...)
	for _, app := range []string{"quick", "slow", "db"} {
		all = append(all, s.awaitReady(app, 2, "")...)
	}
	s.stay(time.Now().Add(8*time.Second), fmt.Sprintf("node %s is ready again", node), all...)
}

// in is a view of another namespace.
func (s *scene) in(namespace string) *scene {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.Cleanup(cancel)
	watch, err := podwatch.Start(ctx, client, namespace)
	s.must(err)
	return &scene{T: s.T, namespace: namespace, watch: watch}
}

// revive lets a worker go on that was paused.
func (s *scene) revive(node string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	paused, err := cluster.Paused(ctx, node)
	if err == nil && paused {
		err = cluster.Unpause(ctx, node)
	}
	if err != nil {
		s.Errorf("reviving node %s: %v", node, err)
	}
}

// awaitTaint waits until somebody gives the node a NoExecute taint with the key: between the last time that it had none
// and the first that it had one, or earlier where timeAdded says so: the node lifecycle controller sets that before it asks
// for the taint, and the rules believe it.
func (s *scene) awaitTaint(node, key string) timing.Moment {
	s.Helper()
	m := timing.Now()
	s.eventually("taint "+key+" on node "+node, detection, func(ctx context.Context) error {
		asked := time.Now()
		live, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, taint := range live.Spec.Taints {
			if taint.Key == key && taint.Effect == corev1.TaintEffectNoExecute {
				m.After = time.Now()
				if added := taint.TimeAdded; added != nil && added.Add(time.Second).Before(m.Before) {
					m.Before = added.Add(time.Second)
				}
				return nil
			}
		}
		m.Before = asked
		return fmt.Errorf("it has %v", live.Spec.Taints)
	})
	return m
}

// oursElsewhere waits until both of our replicas are ready on other nodes.
func (s *scene) oursElsewhere(node string) {
	s.Helper()
	s.eventually("two ready replicas of ours on other nodes than "+node, time.Minute, func(ctx context.Context) error {
		pods, err := ours.pods(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for i := range pods {
			if pods[i].Spec.NodeName != node && pods[i].DeletionTimestamp == nil && isReady(&pods[i]) {
				ready++
			}
		}
		if ready != replicas {
			return fmt.Errorf("there are %d", ready)
		}
		return nil
	})
}
