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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// apiSecond is the unit of the API's times: one that is stored counts as the end of its second.
const apiSecond = time.Second

// clockBound is to within what a controller that has just started knows the API server's clock. In doubt it counts the later
// time.
const clockBound = time.Second

func TestRowTimeAdded(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.TimeAdded)
	nodes := s.Nodes(2)
	past := s.Pod(nodes[0], builders.Tolerates("ill", 9))
	future := s.Pod(nodes[1], builders.Tolerates("ill", 3))

	// A countdown does not begin before the pod is bound, so the pod has to be older than the taint says that it is. It counts
	// what a taint says of a time in which nobody watched, so the controller is started afterwards.
	created := timing.Now()
	s.Quiet(past, created.After.Add(6*time.Second))
	added := created.After.Add(2 * time.Second).Truncate(time.Second)
	tainted := s.Taint(nodes[0], builders.NoExecuteSince("ill", added))
	s.Start(harness.Options{Name: "time-added"})
	ahead := s.Taint(nodes[1], builders.NoExecuteSince("ill", tainted.After.Add(30*time.Second)))

	futureFate := s.Await(future, ahead.After.Add(6*time.Second))
	pastFate := s.Await(past, tainted.After.Add(15*time.Second))
	row.Saw("tolerated for 9 s, set to %.0f s ago: %s", tainted.After.Sub(added).Seconds(), pastFate.Since(tainted, "the taint"))
	row.Saw("tolerated for 3 s, set into the future: %s", futureFate.Since(ahead, "the taint"))
	end := added.Add(apiSecond)
	s.Check(past, pastFate, harness.Due(timing.Moment{Before: end, After: end}, 9).Extend(clockBound))
	s.Check(future, futureFate, harness.Due(ahead, 3))
}

func TestRowRestartedDuringCountdown(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.Restarted)
	controller := s.Start(harness.Options{Name: "restarted"})
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 10))
	s.Running(pod)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, tainted.After.Add(6*time.Second))
	if err := controller.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := controller.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcome := s.Await(pod, tainted.After.Add(20*time.Second))
	row.Saw("due after 10 s, killed and started after 6 s: %s", outcome.Since(tainted, "the taint"))
	// All that is left of the taint's time is the API server's, which is in whole seconds, by a clock that is known to within one.
	s.Check(pod, outcome, harness.Due(tainted, 10).Extend(apiSecond+clockBound))
}

func TestRowSecondsThatOverflow(t *testing.T) {
	s := suite.Shared(t)
	row := s.Row(results.Overflow)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 18446744074))
	finite := s.Pod(node, builders.Tolerates("ill", 2)) // by which the taint has been seen
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(finite, harness.Due(tainted, 2))
	outcome := s.Await(pod, tainted.After.Add(5*time.Second))
	row.Saw("%s", outcome.Since(tainted, "the taint"))
	s.Stayed(pod, outcome, "it tolerates the taint for 584 years")
}

// TestRowControllerManagerRestarted has a node that dies, and the controller manager that tainted it restarted in the
// middle of the countdown: it takes the taint away, because it does not know the node yet, and puts it back with a new
// time. Nothing is better with the node meanwhile.
func TestRowControllerManagerRestarted(t *testing.T) {
	s := suite.Alone(t)
	row := s.Row(results.NodeController)
	s.Start(harness.Options{Name: "kcm-restarted"})
	node := s.Node()
	const tolerated = 10
	pod := s.Pod(node, builders.Tolerates(corev1.TaintNodeUnreachable, tolerated), builders.Tolerates(corev1.TaintNodeNotReady, tolerated))
	s.Running(pod)
	s.Silence(node)
	tainted := s.AwaitTaint(node, corev1.TaintNodeUnreachable, time.Minute)
	stamped := s.TimeAdded(node, corev1.TaintNodeUnreachable)
	s.Quiet(pod, tainted.After.Add(4*time.Second))
	manager := s.CP.Part(controlplane.ControllerManager)
	s.Must(manager.Kill())
	s.Must(manager.Start(t.Context()))
	outcome := s.Await(pod, tainted.After.Add(2*tolerated*time.Second))
	t.Logf("timeAdded was %s, and is %s", stamped, s.TimeAdded(node, corev1.TaintNodeUnreachable))
	row.Saw("due after %d s, it was restarted after 4 s: %s", tolerated, outcome.Since(tainted, "the taint"))
	s.Check(pod, outcome, harness.Due(tainted, tolerated))
}

// TestBothRestartDuringCountdown has a node that dies, and in the middle of its pod's countdown both the controller manager,
// which then stamps the taint anew, and ours, whose memory is gone with it.
func TestBothRestartDuringCountdown(t *testing.T) {
	suite.OursOnly(t, "the built-in one forgets by itself already")
	s := suite.Alone(t)
	controller := s.Start(harness.Options{Name: "both-restarted", LeaderElect: true})
	node := s.Node()
	const tolerated = 25
	pod := s.Pod(node, builders.Tolerates(corev1.TaintNodeUnreachable, tolerated), builders.Tolerates(corev1.TaintNodeNotReady, tolerated))
	s.Running(pod)
	s.Silence(node)
	tainted := s.AwaitTaint(node, corev1.TaintNodeUnreachable, time.Minute)
	stamped := s.TimeAdded(node, corev1.TaintNodeUnreachable)
	s.Quiet(pod, tainted.After.Add(10*time.Second))
	s.Must(controller.Kill())
	manager := s.CP.Part(controlplane.ControllerManager)
	s.Must(manager.Kill())
	s.Must(manager.Start(t.Context()))
	s.Eventually("a taint that is stamped anew", 10*time.Second, func(context.Context) error {
		if again := s.TimeAdded(node, corev1.TaintNodeUnreachable); again.IsZero() || again.Equal(stamped) {
			return fmt.Errorf("timeAdded is %s", again)
		}
		return nil
	})
	s.Must(controller.Start(t.Context()))
	outcome := s.Await(pod, tainted.After.Add(2*tolerated*time.Second))
	// The Lease of the one that was killed has to end first; that is over by then.
	s.Check(pod, outcome, harness.Due(tainted, tolerated).Extend(5*time.Second))
}
