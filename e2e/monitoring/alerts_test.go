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

package monitoring

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

const (
	// healthyFor is how long nothing is wrong at first. It is several times what the shortened rules wait for.
	healthyFor = 30 * time.Second
	// bound is how long the whole test may take, without what is built before.
	bound = 4 * time.Minute

	evictionsOverdue = "TaintManagerEvictionsOverdue"
	noLeader         = "TaintManagerNoLeader"
	evictionBrakeOn  = "TaintManagerEvictionBrakeOn"
	evictionsBlocked = "TaintManagerEvictionsBlocked"
	evictionErrors   = "TaintManagerEvictionErrors"
	auditLogLost     = "TaintManagerAuditLogLosesLines"
	clockOff         = "TaintManagerClockOff"
	previewForgotten = "TaintManagerPreviewForgotten"
	pauseForgotten   = "TaintManagerPauseForgotten"
)

// config switches on the eviction brake.
const config = `apiVersion: config.taint-manager.io/v1alpha1
kind: TaintManagerConfiguration
evictionBrake: {maxNodes: 4, windowSeconds: 30, cooldownSeconds: 2}
`

// TestAlertsFire has two replicas evict under load. Nothing fires. Then it makes one fault after another: each alert that is for it fires, and no
// other one, and ends when the fault does. At last it asks for all that the dashboard shows.
func TestAlertsFire(t *testing.T) {
	suite.OursOnly(t, "about our own metrics")
	s := suite.Alone(t)
	skewed := s.SkewedBinary()
	rules := shortened(t, readFile(t, rulesFile))
	tool(t, prometheusProgram)
	began := time.Now()
	r := &faults{Scene: s, policies: s.Policies(), prometheus: startPrometheus(s, rules)}
	r.start()
	healthy := r.settles()
	r.load()
	r.policy("drain", "{matchingPrecedence: 100, mode: Evict, taints: [{key: drain}], evict: {deleteAfter: Never}}")
	time.Sleep(healthyFor)
	r.expectSilence(healthy)

	forgotten := r.beginForgotten()
	r.fault("a budget that allows nothing", r.blockByBudget, evictionsBlocked)
	r.fault("a webhook that answers 500", r.breakWebhook, evictionErrors)
	r.fault("deletes are denied", r.denyDeletes, evictionsOverdue, evictionErrors)
	r.fault("many nodes are tainted", r.taintManyNodes, evictionBrakeOn)
	r.fault("a clock is wrong", func() func() { return r.skewClock(skewed) }, clockOff)
	r.fault("the Lease cannot be written", r.denyLease, noLeader)
	r.fault("the device of the audit log is full", r.fillDevice, auditLogLost)
	r.fault("all replicas are stopped", r.stopReplicas, noLeader)
	r.endForgotten(forgotten)

	r.expectOnlyWhatWasWrong(healthy, time.Now())
	if took := time.Since(began); took > bound {
		t.Errorf("took %s, want %s at most", took.Round(time.Second), bound)
	} else {
		s.Saw("all that took %s", took.Round(time.Second))
	}
	r.checkDashboard(healthy, time.Now())
}

// start starts two replicas, of which one leads, and has Prometheus read them.
func (r *faults) start() {
	path := filepath.Join(r.T.TempDir(), "taint-manager.yaml")
	r.Must(os.WriteFile(path, []byte(config), 0o600))
	for i := range 2 {
		r.replicas = append(r.replicas, r.Start(harness.Options{Name: fmt.Sprint("watched-", i), LeaderElect: true, Args: []string{"--config=" + path}}))
	}
	r.prometheus.reads(r.replicas...)
	r.leads()
}

// pods makes pods on a new node, which has not been tainted.
func (r *faults) pods(n int, changes ...builders.Change) (node string, pods []*corev1.Pod) {
	r.T.Helper()
	node = r.Node()
	return node, r.Many(n, func(i int) *corev1.Pod { // called by several at the same time
		return builders.Pod(node, append(slices.Clone(changes), builders.Named(fmt.Sprintf("%s-%d", node, i)))...)
	})
}

// blockByBudget has two pods be evicted that their disruption budget wants both of.
func (r *faults) blockByBudget() (end func()) {
	guarded := map[string]string{"app": "guarded"}
	budgets := r.Client.PolicyV1().PodDisruptionBudgets(r.Namespace)
	_, err := budgets.Create(r.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "guarded"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: guarded},
		},
	}, metav1.CreateOptions{})
	r.Must(err)
	node, pods := r.pods(2, func(pod *corev1.Pod) { pod.Labels = guarded })
	r.Taint(node, builders.NoExecute("drain"))
	return func() {
		r.Must(budgets.Delete(r.Context(), "guarded", metav1.DeleteOptions{}))
		r.gone(pods)
	}
}

// breakWebhook has a webhook on deletions answer with 500 while pods are due.
func (r *faults) breakWebhook() (end func()) {
	node, pods := r.pods(20)
	hook := r.Webhook("deletes", webhook.Options{Operation: admissionv1.Delete, Resource: "pods"})
	hook.Breaks(http.StatusInternalServerError)
	r.Taint(node, builders.NoExecute("ill"))
	return func() {
		hook.Answers(webhook.Allow)
		r.gone(pods)
	}
}

// denyDeletes has an admission policy deny deletions while pods are due.
func (r *faults) denyDeletes() (end func()) {
	node, pods := r.pods(5)
	allow := r.DenyDeletes()
	r.Taint(node, builders.NoExecute("ill"))
	return func() {
		allow()
		r.gone(pods)
	}
}

// taintManyNodes taints eight nodes, of which four may evict.
func (r *faults) taintManyNodes() (end func()) {
	nodes := r.Nodes(8)
	r.Many(24, func(i int) *corev1.Pod { return builders.Pod(nodes[i/3], builders.Named(fmt.Sprint("many-", i))) })
	for _, node := range nodes {
		r.Taint(node, builders.NoExecute("mistake"))
	}
	return func() {
		for _, node := range nodes {
			r.Untaint(node)
		}
	}
}

// skewClock starts a third replica on a machine whose clock is 20 s ahead, and is set after 17 s.
func (r *faults) skewClock(binary string) (end func()) {
	const ahead, setAfter = 20 * time.Second, 17 * time.Second
	started := time.Now()
	third := r.Start(harness.Options{
		Name: "skewed", Binary: binary, LeaderElect: true, Env: []string{launcher.WallClock(ahead, 0, setAfter)},
	})
	r.prometheus.reads(append(slices.Clone(r.replicas), third)...)
	return func() {
		r.third = third
		time.Sleep(time.Until(started.Add(setAfter)))
	}
}

// denyLease has an admission policy deny all writes of the Lease.
func (r *faults) denyLease() (end func()) {
	r.Must(r.third.Stop()) // of the fault before
	r.prometheus.reads(r.replicas...)
	return r.DenyLease()
}

// fillDevice has another replica lead whose audit log is on a device that is full. One leads all the time, and Prometheus reads that one.
func (r *faults) fillDevice() (end func()) {
	log := r.AuditFile()
	full := r.Start(harness.Options{Name: "full", LeaderElect: true, Args: log.Args()})
	r.Must(os.Remove(log.Path)) // a standby writes nothing
	r.Must(os.Symlink("/dev/full", log.Path))
	r.prometheus.reads(append(slices.Clone(r.replicas), full)...)
	start := r.stopReplicas()
	r.leads()
	r.prometheus.reads(full)
	return func() {
		start()
		r.prometheus.reads(append(slices.Clone(r.replicas), full)...)
		r.Must(full.Stop())
		r.leads()
		r.prometheus.reads(r.replicas...)
	}
}

// stopReplicas stops both replicas.
func (r *faults) stopReplicas() (end func()) {
	for _, replica := range r.replicas {
		r.Must(replica.Stop())
	}
	return func() {
		for _, replica := range r.replicas {
			r.Must(replica.Start(r.Context()))
		}
	}
}

// beginForgotten makes a preview and a pause for taints that no node has. Nobody ends them.
func (r *faults) beginForgotten() *phase {
	p := &phase{name: "a preview and a pause are forgotten", alerts: []string{previewForgotten, pauseForgotten}, from: time.Now()}
	r.policy("preview", "{matchingPrecedence: 1, mode: Preview, taints: [{key: none}]}")
	r.policy("pause", "{matchingPrecedence: 0, mode: Keep, taints: [{key: none}]}")
	return p
}

// endForgotten waits for the alerts, and deletes what was forgotten.
func (r *faults) endForgotten(p *phase) {
	r.fires(p)
	for _, name := range []string{"preview", "pause"} {
		r.Must(r.policies.Delete(r.Context(), name, metav1.DeleteOptions{}))
	}
	r.ends(p)
}
