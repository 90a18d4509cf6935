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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const notReady, unreachable = corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable

// both tolerates the two node-condition taints for different times; below zero stands for ever.
func both(readySeconds, unreachableSeconds int64) builders.Change {
	tolerates := func(key string, seconds int64) builders.Change {
		if seconds < 0 {
			return builders.ToleratesForever(key)
		}
		return builders.Tolerates(key, seconds)
	}
	return func(pod *corev1.Pod) {
		tolerates(notReady, readySeconds)(pod)
		tolerates(unreachable, unreachableSeconds)(pod)
	}
}

// notReadyNodes are nodes that report no more and are not ready, and that nobody taints but the test: there is no node
// lifecycle controller for as long as the test runs.
func notReadyNodes(s *harness.Scene, n int) []string {
	s.T.Helper()
	nodes := s.Nodes(n)
	manager := s.CP.Part(controlplane.ControllerManager)
	s.Must(manager.Kill())
	s.T.Cleanup(func() { s.Must(manager.Restart(context.WithoutCancel(s.Context()))) })
	return nodes
}

func silence(s *harness.Scene, nodes []string) {
	s.T.Helper()
	for _, node := range nodes {
		s.Silence(node)
		s.Sicken(node)
	}
}

// TestNotReadyPeriods taints nodes that are not ready as the node lifecycle controller does in different troubles. The
// controller is killed in the middle of two absences of the taints, and started again after they are back.
func TestNotReadyPeriods(t *testing.T) {
	suite.OursOnly(t, "it counts each taint from when it sees it")
	s := suite.Alone(t)
	controller := s.Start(harness.Options{Name: "not-ready", LeaderElect: true})
	nodes := notReadyNodes(s, 5)
	long, short, swapped, shorter, blinked := nodes[0], nodes[1], nodes[2], nodes[3], nodes[4]
	pods := map[string]*corev1.Pod{
		long: s.Pod(long, both(75, 75)), short: s.Pod(short, both(65, 65)), swapped: s.Pod(swapped, both(12, -1)),
		shorter: s.Pod(shorter, both(300, 5)), blinked: s.Pod(blinked, both(15, -1)),
	}
	for _, pod := range pods {
		s.Running(pod)
	}
	silence(s, nodes)
	at := map[string]timing.Moment{}
	for node, key := range map[string]string{long: notReady, short: notReady, swapped: unreachable, shorter: notReady, blinked: notReady} {
		at[node] = s.Taint(node, builders.NoExecute(key))
	}
	began := timing.Now().After
	wait := func(seconds float64) { s.Quiet(pods[long], began.Add(time.Duration(seconds*float64(time.Second)))) }

	wait(5)
	s.Untaint(long)
	wait(14) // in the last second of its time
	s.Untaint(blinked)
	s.Taint(blinked, builders.NoExecute(notReady))
	s.Evicted(pods[blinked], harness.Due(at[blinked], 15))
	wait(20)
	swap := s.Taint(swapped, builders.NoExecute(notReady))
	sooner := s.Taint(shorter, builders.NoExecute(unreachable))
	s.Evicted(pods[shorter], harness.Due(sooner, 5))
	s.Evicted(pods[swapped], harness.Due(swap, 12))
	wait(40)
	s.Untaint(short)
	wait(42)
	s.Must(controller.Kill())
	wait(60)
	s.Taint(short, builders.NoExecute(notReady))
	// The lease of the one that was killed ends meanwhile.
	s.Must(controller.Start(t.Context()))
	s.Evicted(pods[short], harness.Due(at[short], 65).Extend(5*time.Second))
	wait(70)
	s.Must(controller.Kill())
	back := s.Taint(long, builders.NoExecute(notReady))
	s.Must(controller.Start(t.Context()))
	s.Stays(pods[long], back.After.Add(25*time.Second), "an absence of 65 s begins a new period")
}

// TestNotReadyAbsenceBehindTheWatch has a node's taints off for 65 s while the watch of nodes is held back: only a live read
// sees that they are back since a moment.
func TestNotReadyAbsenceBehindTheWatch(t *testing.T) {
	suite.OursOnly(t, "it goes by its caches")
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	controller := s.Start(harness.Options{Name: "not-ready-behind", LeaderElect: true, Proxy: proxy})
	nodes := notReadyNodes(s, 1)
	pod := s.Pod(nodes[0], both(72, 72))
	s.Running(pod)
	silence(s, nodes)
	on := s.Taint(nodes[0], builders.NoExecute(notReady))
	s.Quiet(pod, on.After.Add(3*time.Second))
	proxy.DelayNodes(80 * time.Second)
	s.Untaint(nodes[0])
	s.Quiet(pod, on.After.Add(68*time.Second))
	s.Taint(nodes[0], builders.NoExecute(notReady))
	s.Stays(pod, on.After.Add(95*time.Second), "its taint is on since a moment only")
	s.Must(controller.Stop())
}

// TestTimeAddedDisproved has taints that say that they are older than a version of their node without them.
func TestTimeAddedDisproved(t *testing.T) {
	suite.OursOnly(t, "it does not read timeAdded")
	s := suite.Shared(t)
	nodes := s.Nodes(2)
	behind, back := s.Pod(nodes[0], builders.Tolerates("ill", 6)), s.Pod(nodes[1], builders.Tolerates("ill", 6))
	s.Running(behind, back)
	created := timing.Now()
	old := created.After.Add(-time.Second).Truncate(time.Second)
	s.Taint(nodes[1], builders.NoExecuteSince("ill", old))
	s.Quiet(back, created.After.Add(2*time.Second))
	s.Untaint(nodes[1])
	s.Quiet(back, created.After.Add(5*time.Second))
	// A writer whose clock is behind, and one that puts a taint back as it was.
	tainted := s.Taint(nodes[0], builders.NoExecuteSince("ill", old))
	again := s.Taint(nodes[1], builders.NoExecuteSince("ill", old))
	s.Evicted(behind, harness.Due(tainted, 6))
	s.Evicted(back, harness.Due(again, 6))
}
