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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestWalkthrough does what the walkthrough in manifests/README.md says, with its commands: it tries taint-manager beside the built-in
// controller, switches over, empties a node under a disruption budget, upgrades taint-manager meanwhile and rolls it back, upgrades the node,
// and goes back to the built-in controller. While the node is emptied, another worker dies. Clients send requests to servers on the node all
// the time: none may fail. Each pod that goes has to have a reason, and goes when that says.
func TestWalkthrough(t *testing.T) {
	w := newWalkthrough(t)
	w.deployWorkloads()
	ready := w.fewestReady(ingress)
	clients := w.clients(w.drained, w.other)

	w.install()
	w.tryBesideBuiltin()
	w.switchOver()
	w.prepare()
	w.emptyNode()
	w.upgradeNode()
	w.goBack()

	w.verdict()
	if fewest := ready(); fewest < servers-1 {
		t.Errorf("%d servers were ready at one time, and their budget wants %d", fewest, servers-1)
	}
	report := w.reports(clients)
	if report.Failed > 0 {
		t.Errorf("%d of %d requests failed: %s", report.Failed, report.Requests, strings.Join(report.Failures, "\n"))
	}
	w.measured("requests", fmt.Sprintf("%d of %d failed, the slowest took %s", report.Failed, report.Requests, report.Slowest.Round(10*time.Millisecond)))
}

// install builds, pushes, and installs by the chart, as a dry run.
func (w *walkthrough) install() {
	w.Helper()
	w.assign("variables")
	w.step(w.shell, "build")
	w.stepInBoth("path")
	w.step(w.shell, "install")
	w.running(w.values["TAG"])
}

// tryBesideBuiltin has a pod that the built-in controller evicts, and the dry run tells of.
func (w *walkthrough) tryBesideBuiltin() {
	w.Helper()
	w.step(w.shell, "doctor-dry-run")
	tried := w.run(on(w.lost), builders.Tolerates(w.second, 5))
	tainted := w.taint(w.lost, w.second)
	w.evictedAt(tried, due(tainted, 5))
	w.gone(tried)
	w.step(w.shell, "preview")
	w.untaint(w.lost, w.second)
	w.expect(tried, due(tainted, 5), byDeletion)
}

// switchOver has taint-manager evict, and switches the built-in controller off.
func (w *walkthrough) switchOver() {
	w.Helper()
	w.step(w.shell, "evict")
	w.switchBy(false, func() { w.asRoot("switch-off", cluster.ControlPlane()) })
	w.step(w.shell, "doctor")
}

func (w *walkthrough) prepare() {
	w.Helper()
	w.step(w.shell, "build-new")
	w.step(w.shell, "policy")
	w.awaitBudget(servers)
	w.step(w.shell, "plan")
}

// emptyNode begins to empty the node, and has everything else happen before that ends.
func (w *walkthrough) emptyNode() {
	w.Helper()
	began := time.Now()
	watched := w.start(w.shell, "drain")
	w.tainted = w.awaitTaint(w.drained, w.key)
	w.expectPatient()

	w.must(cluster.Pause(w.Context(), w.lost))
	w.Cleanup(func() { w.revive(w.lost) })
	unreachable := w.awaitTaint(w.lost, corev1.TaintNodeUnreachable)
	w.lostAt = unreachable
	for _, pod := range w.quick {
		w.expect(pod, due(unreachable, 5).Extend(takeover), byDeletion)
	}
	w.watch.Await(w.Context(), unreachable.After.Add(time.Minute), func(seen *podwatch.Sightings) bool { return seen.Left(w.quick) == 0 })
	w.step(w.beside, "status")
	w.awaitReady("quick", len(w.quick), w.lost)

	w.step(w.beside, "upgrade")
	w.running(w.values["NEW_TAG"])
	w.stillEmptying("the upgrade")
	w.step(w.beside, "rollback")
	w.running(w.values["TAG"])
	w.stillEmptying("rolling back")

	watched()
	w.measured("the node was empty after", time.Since(began).Round(time.Second).String())
	w.revive(w.lost)
}

// stillEmptying fails the test if nothing is left on the node that is emptied: then it was not emptied meanwhile.
func (w *walkthrough) stillEmptying(during string) {
	w.Helper()
	left := 0
	w.watch.Look(func(seen *podwatch.Sightings) {
		for _, pod := range seen.All() {
			if pod.Last.Labels["app"] == ingress && pod.Last.Spec.NodeName == w.drained && pod.Going.IsZero() {
				left++
			}
		}
	})
	if left == 0 {
		w.Errorf("when %s ended, all servers of node %s had been evicted: they have to take longer", during, w.drained)
	}
	w.Logf("%d servers were left on node %s at the end of %s", left, w.drained, during)
}

// upgradeNode upgrades the node that is empty, and gives it back.
func (w *walkthrough) upgradeNode() {
	w.Helper()
	w.asRoot("upgrade-node", w.drained)
	w.step(w.shell, "uncordon")
	w.step(w.shell, "events")
	w.eventually("all nodes", 2*time.Minute, w.nodesReady)
}

// goBack switches the built-in controller on again, and removes everything.
func (w *walkthrough) goBack() {
	w.Helper()
	w.switchBy(true, func() { w.asRoot("switch-on", cluster.ControlPlane()) })
	w.step(w.shell, "started")
	w.step(w.shell, "uninstall")
	w.eventually("no pods of ours", time.Minute, func(ctx context.Context) error {
		pods, err := ours.pods(ctx)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("there are %d", len(pods))
		}
		return err
	})
	if len(w.steps) > 0 {
		w.Errorf("nobody runs the step %s of the document", w.steps[0].Name)
	}
}

// expectPatient notes when pods have to go that tolerate the taint for a while, and that no budget covers.
func (w *walkthrough) expectPatient() {
	w.Helper()
	for pod, seconds := range w.patient {
		w.expect(pod, due(w.tainted, float64(seconds)).Extend(takeover), byEviction)
	}
}

// takeover is how much later a pod may go because another replica has to lead: by "Replicas" in manifests/README.md.
const takeover = 5 * time.Second

// verdict checks all pods that were ever there: which have gone, when, and by what.
func (w *walkthrough) verdict() {
	w.Helper()
	w.awaitReady(ingress, servers, "")
	var all []podwatch.Sighting
	w.watch.Look(func(seen *podwatch.Sightings) { all = seen.All() })
	gone := 0
	for _, pod := range all {
		if pod.Going.IsZero() || pod.Last.Spec.NodeName == "" {
			continue
		}
		if complaint := w.unexplained(pod); complaint != "" {
			w.Errorf("pod %s/%s on node %s: %s", pod.Last.Namespace, pod.Last.Name, pod.Last.Spec.NodeName, complaint)
		}
		if pod.Last.Labels["app"] == ingress {
			gone++
		}
	}
	if gone != servers/2 {
		w.Errorf("%d servers have gone, and %d were on node %s", gone, servers/2, w.drained)
	}
	expected := make([]expectation, 0, len(w.expected))
	for _, e := range w.expected {
		expected = append(expected, e.expectation)
		w.gone(e.pod)
	}
	worst := w.evicted(expected...)
	w.checkEndings()
	w.measured("worst lateness", timing.Round(worst).String())
}

// unexplained says why a pod should not have gone as it did.
func (w *walkthrough) unexplained(seen podwatch.Sighting) string {
	pod, reason := seen.Last, ""
	if condition := builders.ConditionOf(pod, corev1.DisruptionTarget); condition != nil && condition.Status == corev1.ConditionTrue {
		reason = condition.Reason
	}
	want := ""
	switch {
	case w.expected[pod.UID].pod != nil:
		want = w.expected[pod.UID].reason // and at its time
	case pod.Labels["app"] == ingress && pod.Spec.NodeName == w.drained:
		want = byEviction
		if early := w.tainted.Before.Add(minimumAge).Sub(seen.Going); early > 0 {
			return fmt.Sprintf("it went %s before the taint was %s old", early, minimumAge)
		}
	case pod.Namespace == ours.namespace && pod.Labels["app.kubernetes.io/name"] == ourName && pod.Spec.NodeName == w.lost && reason != "":
		want = byDeletion // a replica of ours
		if early := w.lostAt.Before.Add(time.Minute).Sub(seen.Going); early > 0 {
			return fmt.Sprintf("it went %s early", early)
		}
	case pod.Namespace == w.namespace && pod.Labels["app"] != "client":
		return fmt.Sprintf("it went (%q), and had no reason to", reason)
	}
	if reason != want {
		return fmt.Sprintf("it went by %q, and not by %q", reason, want)
	}
	return ""
}
