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
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const (
	// versionBefore is the commit of the version that this one takes the place of: the last of main before the work on this version. Once there
	// are releases it is the tag of the last one.
	versionBefore = "b2cbba5"
	// beforePolicies is the last commit of a version that knows no policies.
	beforePolicies = "f67252f"
)

// oldRules are the permissions of a deployment from before there were policies.
func oldRules() []rbacv1.PolicyRule {
	return harness.RulesWithout("pods/eviction", "poddisruptionbudgets", "namespaces", "taintevictionpolicies", "taintevictionpolicies/status")
}

// unreadable is what the log says while policies may not be read.
const unreadable = "grant list and watch on taintevictionpolicies.policy.taint-manager.io to the service account"

// TestUpgradeWithoutTheCRD starts a controller with old permissions where there is no CustomResourceDefinition, and has both come while it
// runs.
func TestUpgradeWithoutTheCRD(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	controller := s.Start(harness.Options{Name: "upgraded", Kubeconfig: s.Account("upgraded", oldRules())})
	nodes := s.Nodes(3)
	asBefore, atFirst, kept := s.Pod(nodes[0]), s.Pod(nodes[1], builders.Tolerates("ill", 3)), s.Pod(nodes[2])
	s.Evicted(asBefore, harness.Due(s.Taint(nodes[0], builders.NoExecute("ill")), 0))
	if log, err := controller.Log(); err != nil || strings.Contains(log, "Cannot read policies") {
		t.Errorf("without a CustomResourceDefinition there is nothing to complain of: %v", err)
	}

	s.Account("upgraded", launcher.Rules())
	tainted := s.Taint(nodes[1], builders.NoExecute("ill"))
	s.policies = s.Policies()
	s.Evicted(atFirst, harness.Due(tainted, 3)) // before there is a policy
	created := s.put("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: ill}]")
	s.accepted("keep", 11*time.Second) // 10 s until it looks again, and 1 s for any change
	s.Saw("a policy applies %.1f s after the CustomResourceDefinition came with it", time.Since(created.Before).Seconds())
	tainted = s.Taint(nodes[2], builders.NoExecute("ill"))
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Stays(kept, tainted.After.Add(2*time.Second), "the policy keeps it")
}

// TestUpgradeRemovesTheCRD removes the CustomResourceDefinition, and with it policies that keep 30 pods on ten nodes, of which the eviction
// brake lets two evict at once.
func TestUpgradeRemovesTheCRD(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	s.policies = s.Policies()
	s.Start(braked(t, "removed", "maxNodes: 2, windowSeconds: 5, cooldownSeconds: 1"))
	s.create("even", "matchingPrecedence: 100, mode: Keep, taints: [{key: even}]")
	s.create("odd", "matchingPrecedence: 100, mode: Keep, taints: [{key: odd}]")
	const each = 3
	nodes := s.Nodes(10)
	pods := s.Many(len(nodes)*each, func(i int) *corev1.Pod { return builders.Pod(nodes[i/each], builders.Named(fmt.Sprintf("pod-%d", i))) })
	var tainted timing.Moment
	for i, node := range nodes {
		tainted = s.Taint(node, builders.NoExecute([]string{"even", "odd"}[i%2]))
	}
	s.counts("even", 0, 0, 0, 15, 5)
	s.counts("odd", 0, 0, 0, 15, 5)
	s.Quiet(pods[0], tainted.After.Add(6*time.Second)) // by then the taints are too old to count
	brakeIs(s.Scene, false, time.Second)

	removed := s.RemovePolicies()
	brakeIs(s.Scene, true, 2*time.Second)
	outcomes := s.AwaitAll(pods, removed.After.Add(15*time.Second))
	window := harness.Due(removed, 6) // 5 s of the window, and 1 s more
	early, last := map[int]bool{}, time.Time{}
	for i, outcome := range outcomes {
		if outcome.Evicted && outcome.At.Before(window.From) {
			early[i/each] = true
			continue
		}
		s.Check(pods[i], outcome, window)
		last = timing.Later(last, outcome.At)
	}
	if len(early) > 2 {
		t.Errorf("pods of %d nodes went at once, of which 2 may", len(early))
	}
	s.Saw("pods of %d of 10 nodes went at once, the last of all %.1f s after the policies", len(early), last.Sub(removed.Before).Seconds())
	brakeIs(s.Scene, false, 2*time.Second)
}

// TestUpgradeWithoutPermission starts a controller that may not read the policies that there are.
func TestUpgradeWithoutPermission(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	s.policies = s.Policies()
	s.put("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: kept}]")
	kubeconfig := s.Account("forbidden", oldRules())
	nodes := s.Nodes(4)
	goes, stays, failed := s.Pod(nodes[0]), s.Pod(nodes[1]), s.Pod(nodes[2])
	s.Pod(nodes[3])
	s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Taint(nodes[1], builders.NoExecute("kept"))
	s.Taint(nodes[2], builders.NoExecute(corev1.TaintNodeOutOfService))
	controller := s.Start(harness.Options{Name: "forbidden", Kubeconfig: kubeconfig, Unready: true})
	s.Eventually("complaints", 10*time.Second, func(context.Context) error { return complains(s.Scene, controller, unreadable) })
	s.tellsWhy()
	s.Quiet(goes, time.Now().Add(3*time.Second))
	for _, pod := range []*corev1.Pod{stays, failed} {
		s.Stays(pod, time.Now(), "nobody knows what the policies say")
	}

	s.Account("forbidden", launcher.Rules())
	granted := timing.Now()
	s.Check(goes, s.Await(goes, granted.After.Add(5*time.Second)), timing.Due(granted, -1, 5*time.Second)) // tried again each second
	s.Check(failed, s.Await(failed, granted.After.Add(5*time.Second)), timing.Due(granted, -1, 5*time.Second))
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Stays(stays, time.Now().Add(2*time.Second), "the policy keeps it")
	s.ready()
}

// TestUpgradeGivesNoPermission has the CustomResourceDefinition come to a controller that runs with old permissions: it knows that there may
// be policies, and not which.
func TestUpgradeGivesNoPermission(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	controller := s.Start(harness.Options{Name: "half", Kubeconfig: s.Account("half", oldRules())})
	nodes := s.Nodes(4)
	asBefore, later, goes, stays := s.Pod(nodes[0]), s.Pod(nodes[1], builders.Tolerates("ill", 14)), s.Pod(nodes[2]), s.Pod(nodes[3])
	s.Evicted(asBefore, harness.Due(s.Taint(nodes[0], builders.NoExecute("ill")), 0))
	s.policies = s.Policies()
	s.put("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: kept}]")
	tainted := s.Taint(nodes[1], builders.NoExecute("ill"))
	s.Eventually("complaints", 11*time.Second, func(context.Context) error { return complains(s.Scene, controller, unreadable) })
	s.tellsWhy()
	s.Taint(nodes[2], builders.NoExecute("ill"))
	s.Taint(nodes[3], builders.NoExecute("kept"))
	if events := s.NodeEvents(nodes[2], "TaintManagerKept", 1, time.Now().Add(5*time.Second)); len(events) != 1 ||
		events[0].Message != "Kept by policies that cannot be read: 1 pod that would be due now, 0 pods that would be due later" {
		t.Errorf("Events on the node: %v", messages(events))
	}
	s.Quiet(later, tainted.After.Add(16*time.Second))
	for _, pod := range []*corev1.Pod{goes, stays} {
		s.Stays(pod, time.Now(), "nobody knows what the policies say")
	}

	s.Account("half", launcher.Rules())
	granted := timing.Now()
	for _, pod := range []*corev1.Pod{later, goes} {
		s.Check(pod, s.Await(pod, granted.After.Add(5*time.Second)), timing.Due(granted, -1, 5*time.Second))
	}
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Stays(stays, time.Now().Add(2*time.Second), "the policy keeps it")
	s.ready()
}

// tellsWhy checks that /readyz?verbose tells why a controller is not ready.
func (s policyScene) tellsWhy() {
	s.T.Helper()
	if status, body := s.Ask("/readyz?verbose", ""); status != http.StatusInternalServerError || !strings.Contains(body, "[-]caches failed") {
		s.T.Errorf("readyz: %d: %s", status, body)
	}
}

// ready waits until the controller is ready.
func (s policyScene) ready() {
	s.T.Helper()
	s.Eventually("readiness", 15*time.Second, func(context.Context) error {
		if status, body := s.Ask("/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("%d: %s", status, body)
		}
		return nil
	})
}

// TestUpgradeAndRollback hands over from this version to the one before, and back. The version before has the CustomResourceDefinition of this
// version, because that is upgraded first, and its own configuration: a file that this version reads as well.
func TestUpgradeAndRollback(t *testing.T) {
	s := policyScene{Scene: otherVersions(t)}
	path := s.taintManagerAt(versionBefore)
	s.policies = s.Policies()
	s.put("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: kept}]")
	const age = 12 // in the time of the version before
	s.put("later", fmt.Sprintf("matchingPrecedence: 200, mode: Delete, minTaintAgeSeconds: %d, taints: [{key: young}]", age))
	config := braked(t, "", "maxNodes: 9").Args
	nodes := s.Nodes(2)
	kept, later := s.Pod(nodes[0]), s.Pod(nodes[1])

	var keptSince, youngSince timing.Moment
	s.handOverAndBack(path, config, func() {
		s.accepted("keep", statusTimeout)
		s.accepted("later", statusTimeout)
		keptSince, youngSince = s.Taint(nodes[0], builders.NoExecute("kept")), s.Taint(nodes[1], builders.NoExecute("young"))
	})
	s.Check(later, s.Await(later, youngSince.After.Add((age+10)*time.Second)), timing.Due(youngSince, age, 2*time.Second))
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Stays(kept, keptSince.After.Add(2*time.Second), "a policy that both versions know keeps it")
}

// TestUpgradeFromBeforePolicies hands over from this version to the last one that knew no policies, and back, where there are none.
func TestUpgradeFromBeforePolicies(t *testing.T) {
	s := policyScene{Scene: otherVersions(t)}
	s.handOverAndBack(s.taintManagerAt(beforePolicies), nil, func() {})
}

// otherVersions returns a scene for a test that runs other versions of ours.
func otherVersions(t *testing.T) *harness.Scene {
	t.Helper()
	suite.OursOnly(t, "it is about our own versions")
	return suite.Alone(t)
}

// taintManagerAt returns the path of taint-manager as of a commit. Without the history of the repository it skips the test.
func (s policyScene) taintManagerAt(commit string) string {
	s.T.Helper()
	path, err := controlplane.TaintManagerAt(s.Context(), os.Stderr, commit)
	if errors.Is(err, controlplane.ErrNoHistory) {
		s.T.Skipf("the version of %s cannot be built, so nothing is known of a rollback to it: %v", commit, err)
	}
	s.Must(err)
	return path
}

// handOverAndBack hands over from this version to another, and back, while pods wait for their deadlines. What neither the nodes nor the pods
// show is in the ConfigMap: the node's list of taints changes after the first taint, so that the API dates both by that change. started is called
// when this version leads, for the first time.
func (s policyScene) handOverAndBack(path string, args []string, started func()) {
	s.T.Helper()
	now := s.Start(harness.Options{Name: "this-version", LeaderElect: true, Args: args})
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(now) })
	node := s.Node()
	const first, last, step = 8, 24, 2
	var pods []*corev1.Pod
	for seconds := int64(first); seconds <= last; seconds += step {
		pods = append(pods, s.Pod(node, builders.Tolerates("ill", seconds)))
	}
	stays := s.Pod(node, builders.Tolerates("ill", 600))
	s.Running(append(pods, stays)...)
	started()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	at := func(seconds int) {
		s.T.Helper()
		s.Quiet(stays, tainted.After.Add(time.Duration(seconds)*time.Second))
	}
	at(3)
	s.Taint(node, builders.NoExecute("ill"), corev1.Taint{Key: "other", Effect: corev1.TaintEffectPreferNoSchedule})
	at(6) // the record is written once a second
	config, err := s.Client.CoreV1().ConfigMaps(launcher.Namespace).Get(s.Context(), "taint-manager-starts", metav1.GetOptions{})
	s.Must(err)
	if _, recorded := config.Data[node]; !recorded {
		s.T.Errorf("there is no record of the first taint, so nothing is known of how the other version reads it: %v", config.Data)
	}
	old := s.Start(harness.Options{Name: "other-version", LeaderElect: true, Binary: path, Args: args})
	at(9)
	s.Must(now.Stop())
	s.Eventually("leadership of the other version", 5*time.Second, func(context.Context) error { return leads(old) })
	at(15)
	s.Must(now.Start(s.Context()))
	at(17)
	s.Must(old.Stop())

	outcomes := s.AwaitAll(pods, tainted.After.Add((last+10)*time.Second))
	worst := s.CheckAll(pods, outcomes, func(i int) timing.Window {
		return timing.Due(tainted, float64(first+step*i), 2*time.Second)
	})
	s.Saw("%d pods went at most %.1f s after their deadlines, over two hand-overs", len(pods), worst.Seconds())
	s.Stays(stays, time.Now(), "it is due in ten minutes")
}
