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

package plugin

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/manifests"
)

// dropField takes a field out of the CustomResourceDefinition, as an older one has none.
func (w *world) dropField(t *testing.T) {
	t.Helper()
	client, err := dynamic.NewForConfig(w.cp.AdminConfig())
	must(t, err)
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	const path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/noticeSeconds"
	const rules = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"
	const name = "taintevictionpolicies.policy.taint-manager.io"
	before, err := crds.Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	_, err = crds.Patch(t.Context(), name, types.JSONPatchType, []byte(`[{"op":"remove","path":"`+path+`"},{"op":"remove","path":"`+rules+`"}]`), metav1.PatchOptions{})
	must(t, err)
	t.Cleanup(func() {
		now, err := crds.Get(context.Background(), name, metav1.GetOptions{})
		must(t, err)
		now.Object["spec"] = before.Object["spec"]
		_, err = crds.Update(context.Background(), now, metav1.UpdateOptions{})
		must(t, err)
	})
}

// loop writes the Events of pods that are evicted from a node again and again.
func (w *world) loop(t *testing.T) {
	t.Helper()
	for i, pod := range []string{"agent-x2c4d", "agent-b8n5m", "agent-9w7v6"} {
		evicted := time.Now().Add(-time.Duration(i) * time.Minute)
		_, err := w.client.EventsV1().Events(doctored).Create(t.Context(), &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Name: pod}, EventTime: metav1.NewMicroTime(evicted), ReportingController: "taint-manager", ReportingInstance: "x", Type: "Normal",
			Reason: "TaintManagerEviction", Action: "Evict", Note: "Evicted from node doctored for taint a:NoExecute, not tolerated; due at " + evicted.UTC().Format(time.RFC3339) + ", 1ms late",
			Regarding: corev1.ObjectReference{Kind: "Pod", Namespace: doctored, Name: pod, UID: types.UID(pod)},
		}, metav1.CreateOptions{})
		must(t, err)
	}
}

// second runs a second taint-manager, with a Lease in a namespace of its own, as its manifests install it there.
func (w *world) second(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	kubeconfig, _, err := w.cp.ServiceAccount(ctx, doctored, launcher.Name, launcher.Rules())
	must(t, err)
	role, err := manifests.Role()
	must(t, err)
	role.Namespace = doctored
	must(t, w.cp.EnsureRole(ctx, role))
	must(t, w.cp.BindRole(ctx, doctored, role.Name, doctored, launcher.Name))
	must(t, w.cp.BindRole(ctx, metav1.NamespaceSystem, "extension-apiserver-authentication-reader", doctored, launcher.Name))
	process, err := launcher.Start(ctx, w.cp, launcher.Options{
		Name: "taint-manager-second", Binary: w.manager, Kubeconfig: kubeconfig, Args: []string{"--leader-elect-resource-namespace=" + doctored, "--taint-start-configmap="},
	})
	must(t, err)
	t.Cleanup(func() { must(t, process.Stop()) })
}

// nodeAhead has a kubelet with a clock that is five minutes ahead: this is what it writes into the Lease of its node.
func (w *world) nodeAhead(t *testing.T) {
	t.Helper()
	const name = "doctored-ahead"
	w.silentNode(t, name, func(*corev1.Node) {})
	leases := w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	_, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(name), LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NewMicroTime(time.Now().Add(5 * time.Minute))),
	}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, leases.Delete(context.Background(), name, metav1.DeleteOptions{})) })
}

// silentNode makes a node whose kubelet does nothing.
func (w *world) silentNode(t *testing.T, name string, change func(*corev1.Node)) {
	t.Helper()
	_, err := controlplane.CreateNode(t.Context(), w.client, name, func(node *corev1.Node) {
		node.Labels[controlplane.SilentLabel] = ""
		change(node)
	})
	must(t, err)
	t.Cleanup(func() { must(t, w.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})) })
}

// TestDoctorOfWhatTakesAMinute has a node be lost, with a pod of a StatefulSet, and kube-controller-manager hang.
func TestDoctorOfWhatTakesAMinute(t *testing.T) {
	w, ctx := shared, t.Context()
	const room = "doctored-slow"
	must(t, w.cp.Namespace(ctx, room))
	kubeconfig := w.examiner(t)
	w.losesNode(t, room)

	manager := w.cp.Part(controlplane.ControllerManager)
	must(t, manager.Pause())
	t.Cleanup(func() { must(t, manager.Resume()) })
	budgets := w.client.PolicyV1().PodDisruptionBudgets(room)
	_, err := budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "uncounted"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, budgets.Delete(context.Background(), "uncounted", metav1.DeleteOptions{})) })
	w.found(t, kubeconfig, "OK", "DisruptionController", "up to date") // it may take a minute

	const minute = 70 * time.Second
	w.foundWithin(t, minute, kubeconfig, "Warning", "DisruptionController", room+"/uncounted")
	w.foundWithin(t, minute, kubeconfig, "Warning", "OutOfService", room+"/db-0")
	must(t, manager.Resume())
	w.found(t, kubeconfig, "OK", "DisruptionController", "up to date")
	// Once an operator has said that the node is out of service, its pods are replaced, and there is nothing to find.
	must(t, builders.SetTaints(ctx, w.client, room, builders.NoExecute(corev1.TaintNodeUnreachable), builders.NoExecute(corev1.TaintNodeOutOfService)))
	w.found(t, kubeconfig, "OK", "OutOfService", "")
}

// losesNode makes a node that has been unreachable for six minutes, with a pod of a StatefulSet that is terminating: there is no kubelet that
// would end it.
func (w *world) losesNode(t *testing.T, room string) {
	t.Helper()
	ctx := t.Context()
	since := metav1.NewTime(time.Now().Add(-6 * time.Minute))
	w.silentNode(t, room, func(node *corev1.Node) {
		node.Spec.Taints = []corev1.Taint{builders.NoExecuteSince(corev1.TaintNodeUnreachable, since.Time)}
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", LastHeartbeatTime: since, LastTransitionTime: since,
		}}
	})
	labels := map[string]string{"app": "db"}
	spec := builders.Pod(room).Spec
	spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	_, err := w.client.AppsV1().StatefulSets(room).Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		Replicas: ptr.To[int32](1), ServiceName: "db", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
	}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, w.client.AppsV1().StatefulSets(room).Delete(context.Background(), "db", metav1.DeleteOptions{}))
	})
	must(t, loop.Until(ctx, 200*time.Millisecond, 20*time.Second, func(ctx context.Context) error {
		return w.client.CoreV1().Pods(room).Delete(ctx, "db-0", metav1.DeleteOptions{})
	}))
}

// TestDoctorOfAWrongClock runs doctor where the clock is an hour ahead.
func TestDoctorOfAWrongClock(t *testing.T) {
	w, ctx := shared, t.Context()
	kubeconfig := w.examiner(t)
	t.Log("building the plugin with a wall clock of its own (the first time takes minutes)")
	skewed, err := launcher.BuildSkewed(ctx, t.TempDir(), launcher.Plugin)
	must(t, err)
	right := map[string]string{}
	for _, f := range w.examine(t, kubeconfig) {
		right[f.Check+f.Seen] = f.Severity
	}
	cmd := exec.CommandContext(ctx, skewed, "--kubeconfig", kubeconfig, "doctor", "-o", "json")
	cmd.Env = append(os.Environ(), launcher.WallClock(time.Hour, time.Hour, 0))
	output, _, err := answered(cmd)
	must(t, err)
	var answer struct{ Findings []finding }
	must(t, json.Unmarshal(output, &answer))
	for _, f := range answer.Findings {
		switch {
		case f.Check != "Clock":
			if right[f.Check+f.Seen] != f.Severity {
				t.Errorf("with a wrong clock it finds %+v, otherwise %v", f, right)
			}
		case f.Severity != "Warning" || f.Seen != "The API server's clock is 1h0m0s behind this machine's.":
			t.Errorf("found %+v", f)
		}
	}
	if len(answer.Findings) != len(right) {
		t.Errorf("%d findings with a wrong clock, %d otherwise", len(answer.Findings), len(right))
	}
}
