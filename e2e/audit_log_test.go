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
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

// audited is a pod, and what the audit log has to say of it.
type audited struct {
	pod     *corev1.Pod
	outcome v1alpha1.Outcome
	reasons []v1alpha1.Reason
	// due is when its deadline is, from the taint on.
	due timing.Window
	// further looks at the rest of the line.
	further func(line *v1alpha1.EvictionRecord) bool
}

// auditScene is a scene whose controller writes an audit log.
type auditScene struct {
	policyScene
	began time.Time
	file  *harness.AuditFile
	proxy *harness.Proxy
	want  []audited
	owner *corev1.ConfigMap
	// metrics is the token of somebody who may read metrics.
	metrics string
}

// TestAuditLog has pods be evicted, cancelled, spared, previewed, deleted by somebody else, and evicted after failures, and compares each line
// with what the API server's own audit log and the test know.
func TestAuditLog(t *testing.T) {
	suite.OursOnly(t, "it has no audit log")
	s := &auditScene{policyScene: policyScene{Scene: suite.Alone(t)}, began: time.Now()}
	s.policies = s.Policies()
	s.proxy, s.file = s.Proxy(0), s.AuditFile()
	controller := s.Start(harness.Options{Name: "audited", LeaderElect: true, Proxy: s.proxy, Args: s.file.Args()})
	s.metrics = s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	s.create("preview", "matchingPrecedence: 100, mode: Preview, taints: [{key: previewed}]")
	s.create("evict", "matchingPrecedence: 100, mode: Evict, taints: [{key: evicted}], evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 4}, gracePeriodSeconds: 3")
	var err error
	s.owner, err = s.Client.CoreV1().ConfigMaps(s.Namespace).Create(s.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	s.Must(err)
	nodes := s.Nodes(8)
	s.evicted(nodes[0])
	s.guarded(nodes[1])
	s.previewed(nodes[2])
	s.cancelled(nodes[3], nodes[4])
	s.kept(nodes[5])
	s.retried(nodes[6])
	s.spared(nodes[7])
	s.compare()
	s.Must(controller.Stop()) // before the proxy
	s.compare()
}

// owned makes the ConfigMap the controller of a pod.
func (s *auditScene) owned(pod *corev1.Pod) {
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: s.owner.UID, Controller: ptr.To(true)}}
}

func (s *auditScene) expect(a audited) { s.want = append(s.want, a) }

// window is when a deadline is: a second that the API has stored counts as its end, and the API server's clock is known to within 250 ms.
func window(m timing.Moment, seconds float64) timing.Window {
	w := timing.Due(m, seconds, 1500*time.Millisecond)
	w.From = w.From.Add(-250 * time.Millisecond)
	return w
}

// evicted has pods be due at once, and after their toleration.
func (s *auditScene) evicted(node string) {
	s.T.Helper()
	var now []*corev1.Pod
	for range 5 {
		now = append(now, s.Pod(node, s.owned))
	}
	later := s.Pod(node, builders.Tolerates("ill", 3), s.owned)
	tainted := s.Taint(node, corev1.Taint{Key: "ill", Value: "flu", Effect: corev1.TaintEffectNoExecute})
	own := func(line *v1alpha1.EvictionRecord) bool {
		return line.Owner != nil && *line.Owner == v1alpha1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: s.owner.UID} &&
			line.Taint.Key == "ill" && line.Taint.Value == "flu" && line.Taint.Effect == corev1.TaintEffectNoExecute && line.Mode == v1alpha1.ModeDelete &&
			line.ConditionWritten && line.Policy == "" && line.Attempts == 1 && line.DelayedBy == nil && *line.LatenessSeconds < harness.Punctual.Seconds()
	}
	for _, pod := range now {
		s.expect(audited{pod, v1alpha1.OutcomeEvicted, []v1alpha1.Reason{v1alpha1.ReasonUntolerated}, window(tainted, 0), func(line *v1alpha1.EvictionRecord) bool {
			return own(line) && line.Toleration == nil
		}})
	}
	s.expect(audited{later, v1alpha1.OutcomeEvicted, []v1alpha1.Reason{v1alpha1.ReasonTolerationEnds}, window(tainted, 3), func(line *v1alpha1.EvictionRecord) bool {
		return own(line) && *line.Toleration.TolerationSeconds == 3
	}})
	s.AwaitGone(append(now, later), tainted.After.Add(8*time.Second))
}

// guarded has a pod be deleted whatever its budget says, after 4 s.
func (s *auditScene) guarded(node string) {
	s.T.Helper()
	_, err := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: web()},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	pod := s.Pod(node, func(pod *corev1.Pod) { pod.Labels = web() })
	s.Running(pod)
	tainted := s.Taint(node, builders.NoExecute("evicted"))
	s.expect(audited{pod, v1alpha1.OutcomeEvicted, []v1alpha1.Reason{v1alpha1.ReasonUntolerated}, window(tainted, 0), func(line *v1alpha1.EvictionRecord) bool {
		return line.BudgetOverridden && line.Mode == v1alpha1.ModeDelete && line.Policy == "evict" && slices.Contains(line.DelayedBy, v1alpha1.DelayBudget) &&
			*line.LatenessSeconds > 3.5 && *line.LatenessSeconds < 7 && ptr.Deref(line.GracePeriodSeconds, 0) == 3
	}})
	s.AwaitGone([]*corev1.Pod{pod}, tainted.After.Add(10*time.Second))
}

func (s *auditScene) previewed(node string) {
	s.T.Helper()
	pod := s.Pod(node, builders.Tolerates("previewed", 60))
	tainted := s.Taint(node, builders.NoExecute("previewed"))
	s.expect(audited{pod, v1alpha1.OutcomePreviewed, []v1alpha1.Reason{v1alpha1.ReasonHeldByPolicy}, window(tainted, 60), func(line *v1alpha1.EvictionRecord) bool {
		return line.Policy == "preview" && line.Mode == v1alpha1.ModePreview && len(line.Held) == 1 && line.Held[0].Policy == "preview"
	}})
}

// cancelled has evictions be withdrawn: by the pod, by the node, and by somebody who deletes the pod first. One is moved before.
func (s *auditScene) cancelled(first, second string) {
	s.T.Helper()
	forever := s.Pod(first, builders.Tolerates("ill", 60))
	tainted := s.Taint(first, builders.NoExecute("ill"))
	moved, untainted := s.Pod(second, builders.Tolerates("ill", 60)), s.Pod(second, builders.Tolerates("ill", 60))
	removed := s.Pod(second, builders.Tolerates("ill", 60))
	taintedToo := s.Taint(second, builders.NoExecute("ill"))
	s.scheduled(4)
	_, err := s.Client.CoreV1().Pods(s.Namespace).Patch(s.Context(), forever.Name, types.JSONPatchType,
		[]byte(`[{"op":"add","path":"/spec/tolerations/0","value":{"operator":"Exists"}}]`), metav1.PatchOptions{})
	s.Must(err)
	s.SetTolerationSeconds(moved, "ill", 90)
	s.Remove(removed)
	s.scheduled(2)
	s.Untaint(second)
	tolerated := func(seconds int64) func(*v1alpha1.EvictionRecord) bool {
		return func(line *v1alpha1.EvictionRecord) bool {
			return line.Owner == nil && line.Attempts == 0 && *line.Toleration.TolerationSeconds == seconds && line.Taint.Key == "ill"
		}
	}
	noTaint := []v1alpha1.Reason{v1alpha1.ReasonNoTaint}
	s.expect(audited{forever, v1alpha1.OutcomeCancelled, []v1alpha1.Reason{v1alpha1.ReasonTolerated}, window(tainted, 60), tolerated(60)})
	s.expect(audited{moved, v1alpha1.OutcomeCancelled, noTaint, window(taintedToo, 90), tolerated(90)})
	s.expect(audited{untainted, v1alpha1.OutcomeCancelled, noTaint, window(taintedToo, 60), tolerated(60)})
	s.expect(audited{removed, v1alpha1.OutcomeCancelled, []v1alpha1.Reason{v1alpha1.ReasonGone, v1alpha1.ReasonTerminating}, window(taintedToo, 60), tolerated(60)})
}

// scheduled waits until the controller has scheduled so many pods.
func (s *auditScene) scheduled(want int) {
	s.T.Helper()
	s.Eventually(fmt.Sprintf("%d scheduled evictions", want), 10*time.Second, func(context.Context) error {
		if got := s.Metric(s.metrics, "taint_manager_scheduled_evictions", ""); got != float64(want) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}

func (s *auditScene) kept(node string) {
	s.T.Helper()
	pod := s.Pod(node, builders.Tolerates("kept", 60))
	tainted := s.Taint(node, builders.NoExecute("kept"))
	s.scheduled(1)
	s.create("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: kept}]")
	s.scheduled(0)
	s.expect(audited{pod, v1alpha1.OutcomeCancelled, []v1alpha1.Reason{v1alpha1.ReasonHeldByPolicy}, window(tainted, 60), func(line *v1alpha1.EvictionRecord) bool {
		return len(line.Held) == 1 && line.Held[0].Policy == "keep" && line.Held[0].Mode == v1alpha1.ModeKeep && line.Held[0].Taint == "kept:NoExecute"
	}})
}

// retried has the API server deny a DELETE for a while.
func (s *auditScene) retried(node string) {
	s.T.Helper()
	pod := s.Pod(node)
	s.Running(pod)
	allow := s.DenyDeletes()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Quiet(pod, tainted.After.Add(2*time.Second))
	allow()
	s.expect(audited{pod, v1alpha1.OutcomeEvicted, []v1alpha1.Reason{v1alpha1.ReasonUntolerated}, window(tainted, 0), func(line *v1alpha1.EvictionRecord) bool {
		return line.Attempts > 2 && slices.Contains(line.DelayedBy, v1alpha1.DelayFailures) && *line.LatenessSeconds > 2 && !line.AnswerLost
	}})
	s.AwaitGone([]*corev1.Pod{pod}, time.Now().Add(10*time.Second))
}

// spared has a pod be due by a watch of nodes that is behind.
func (s *auditScene) spared(node string) {
	s.T.Helper()
	pod := s.Pod(node, builders.Tolerates("ill", 3), s.owned)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.scheduled(1)
	const behind = 6 * time.Second
	s.proxy.DelayNodes(behind)
	s.Untaint(node)
	s.expect(audited{pod, v1alpha1.OutcomeSpared, []v1alpha1.Reason{v1alpha1.ReasonNoTaint}, window(tainted, 3), func(line *v1alpha1.EvictionRecord) bool {
		return line.Attempts == 1 && line.Taint.Key == "ill" && line.LatenessSeconds == nil && !line.ConditionWritten
	}})
	s.Stays(pod, time.Now().Add(behind), "its node has no taint any more")
	s.proxy.DelayNodes(0)
	s.scheduled(0)
}

// compare compares all lines.
func (s *auditScene) compare() {
	s.T.Helper()
	lines := map[types.UID][]v1alpha1.EvictionRecord{}
	s.Eventually("a line for each pod", 5*time.Second, func(context.Context) error {
		clear(lines)
		for _, line := range s.file.Lines() {
			lines[line.Pod.UID] = append(lines[line.Pod.UID], line)
		}
		if len(lines) < len(s.want) {
			return fmt.Errorf("%d pods of %d have lines", len(lines), len(s.want))
		}
		return nil
	})
	accepted, evicted := s.Accepted(s.began), 0
	for _, want := range s.want {
		name, about := want.pod.Name, lines[want.pod.UID]
		delete(lines, want.pod.UID)
		if len(about) != 1 {
			s.T.Errorf("pod %s has %d lines: %+v", name, len(about), about)
			continue
		}
		line := about[0]
		if line.Outcome != want.outcome || !slices.Contains(want.reasons, line.Reason) || line.Pod.Name != name || line.Node != want.pod.Spec.NodeName {
			s.T.Errorf("pod %s: want %s, %v: %+v", name, want.outcome, want.reasons, line)
		}
		if line.Deadline.Before(want.due.From) || line.Deadline.After(want.due.To) {
			s.T.Errorf("pod %s: its deadline is between %s and %s, not %s", name, want.due.From, want.due.To, line.Deadline)
		}
		if !want.further(&line) || line.Taint == nil || line.Taint.StartFrom == "" || line.Binding.IsZero() || line.DryRun || !line.Leader || line.Instance == "" {
			s.T.Errorf("pod %s: %+v", name, line)
		}
		at, deleted := accepted[name]
		if deleted != (want.outcome == v1alpha1.OutcomeEvicted) {
			s.T.Errorf("pod %s was deleted by us: %v", name, deleted)
		}
		if deleted {
			if evicted++; line.Time.Sub(at).Abs() > time.Second {
				s.T.Errorf("pod %s was deleted at %s, and its line says %s", name, at, line.Time)
			}
		}
	}
	if len(lines) > 0 || evicted != len(accepted) {
		s.T.Errorf("there are lines about others: %v; %d lines tell of %d evictions", lines, evicted, len(accepted))
	}
	s.Saw("%d pods, each with one line, of which %d were evicted", len(s.want), evicted)
}

// TestAuditLogOverACrash has a leader be stopped and another one be killed in a storm. All evictions that were accepted have a line, but for
// those whose DELETE was on its way when the leader was killed.
func TestAuditLogOverACrash(t *testing.T) {
	suite.OursOnly(t, "it has no audit log")
	s := suite.Alone(t)
	began := time.Now()
	var files []*harness.AuditFile
	start := func(name string) *harness.Controller {
		file := s.AuditFile()
		files = append(files, file)
		return s.Start(harness.Options{Name: "audited-" + name, LeaderElect: true, Args: append(file.Args(), "--max-concurrent-evictions=40")})
	}
	const inFlight = 40
	first := start("first")
	s.Eventually("leadership", 30*time.Second, func(context.Context) error { return leads(first) })
	second := start("second")
	storm := s.Storm(2*stormPods, stormNodes)
	storm.Begin()
	storm.Spare()
	storm.AwaitGone(0.2)
	s.Must(first.Stop())
	stopped := len(files[0].Lines())
	storm.AwaitGone(0.5)
	s.Must(second.Kill())
	killed := time.Now()
	start("third")
	storm.Recovers(timing.Now())

	told := map[string]int{}
	for _, file := range files {
		for _, line := range file.Lines() {
			if line.Outcome == v1alpha1.OutcomeEvicted {
				told[line.Pod.Name]++
			}
		}
	}
	gone, lost := storm.Gone(), 0
	for name, at := range gone {
		switch n := told[name]; {
		case n > 1:
			t.Errorf("pod %s has %d lines", name, n)
		case n == 1:
		case at.Before(killed.Add(-time.Second)) || at.After(killed.Add(time.Second)):
			t.Errorf("pod %s was deleted %s before the kill, and has no line", name, killed.Sub(at))
		default:
			lost++
		}
		delete(told, name)
	}
	if len(told) > 0 || lost > inFlight {
		t.Errorf("lines about pods that were not deleted: %v; %d deletions without a line", told, lost)
	}
	for name := range s.Accepted(began) {
		if _, deleted := gone[name]; !deleted {
			t.Errorf("pod %s was deleted, and is none of those that had to go", name)
		}
	}
	s.Saw("%d deletions: the leader that was stopped wrote %d lines; when the next one was killed, %d lost theirs", len(gone), stopped, lost)
}

// TestAuditLogOnStandardOutput has the lines be beside the log of the process, and all be there when it has been stopped in a storm.
func TestAuditLogOnStandardOutput(t *testing.T) {
	suite.OursOnly(t, "it has no audit log")
	s := suite.Alone(t)
	began := time.Now()
	controller := s.Start(harness.Options{Name: "stdout", LeaderElect: true, Args: []string{"--audit-log-path=-"}})
	storm := s.Storm(stormPods, stormNodes)
	storm.Begin()
	storm.AwaitGone(0.3)
	s.Must(controller.Stop())
	var names []string
	for _, line := range controller.AuditLines(s) {
		if line.Outcome == v1alpha1.OutcomeEvicted {
			names = append(names, line.Pod.Name)
		}
	}
	accepted := s.Accepted(began)
	for _, name := range names {
		if _, deleted := accepted[name]; !deleted {
			t.Errorf("pod %s was not deleted", name)
		}
		delete(accepted, name)
	}
	s.Saw("%d lines", len(names))
	if len(accepted) > 0 || len(names) == 0 {
		t.Errorf("%d lines, and no line about %v", len(names), accepted)
	}
}

// TestAuditLogCannotBeOpened ends the process at its start, with what to do.
func TestAuditLogCannotBeOpened(t *testing.T) {
	suite.OursOnly(t, "it has no audit log")
	s := suite.Alone(t)
	output, code := suite.Command(t, "--kubeconfig="+s.Account("no-audit", launcher.Rules()), "--audit-log-path=/no/such/directory/audit.log")
	if code != 1 || !strings.Contains(output, "--audit-log-path=/no/such/directory/audit.log: cannot open the file") ||
		!strings.Contains(output, "or - for standard output") {
		t.Errorf("exit code %d: %s", code, output)
	}
}
