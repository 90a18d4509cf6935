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
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// examiner is the account that runs doctor.
	examiner = "doctor"
	// doctored is the namespace of what is wrong.
	doctored = "doctored"
)

// doctorRules are what doctor needs to check everything.
func doctorRules() []rbacv1.PolicyRule {
	read, ask := []string{"get", "list"}, []string{"create"}
	return append(readRules(),
		rbacv1.PolicyRule{Verbs: read, Resources: []string{"deployments"}, APIGroups: []string{"apps"}},
		rbacv1.PolicyRule{Verbs: read, Resources: []string{"leases"}, APIGroups: []string{"coordination.k8s.io"}},
		rbacv1.PolicyRule{Verbs: read, Resources: []string{"customresourcedefinitions"}, APIGroups: []string{"apiextensions.k8s.io"}},
		rbacv1.PolicyRule{Verbs: ask, Resources: []string{"subjectaccessreviews"}, APIGroups: []string{"authorization.k8s.io"}},
	)
}

// examiner makes the account that runs doctor, and returns its kubeconfig.
func (w *world) examiner(t *testing.T) string {
	t.Helper()
	kubeconfig, _, err := w.cp.ServiceAccount(t.Context(), readerNamespace, examiner, doctorRules())
	must(t, err)
	return kubeconfig
}

// host makes a node with the name of this machine, so that the processes that the tests start seem to be pods there.
func (w *world) host(t *testing.T) (name string) {
	t.Helper()
	name, err := os.Hostname()
	must(t, err)
	name = strings.ToLower(name)
	_, err = controlplane.CreateNode(t.Context(), w.client, name)
	must(t, err)
	t.Cleanup(func() { must(t, w.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})) })
	must(t, controlplane.WaitForNodes(t.Context(), w.client, name))
	return name
}

// openPractice deploys taint-manager in place of the built-in controller, with a policy that is a mistake.
func (w *world) openPractice(t *testing.T) {
	t.Helper()
	node := w.host(t)
	w.deploy(t, metav1.NamespaceSystem, node)
	w.controllerManager(t, node, "--controllers="+controlplane.DefaultControllers)
	w.policy(t, "edge", map[string]any{"matchingPrecedence": int64(10), "mode": "Keep", "nodeSelector": map[string]any{"matchLabels": map[string]any{"edge": "true"}}})
	must(t, loop.Until(t.Context(), 200*time.Millisecond, 20*time.Second, func(ctx context.Context) error {
		deployment, err := w.client.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, launcher.Name, metav1.GetOptions{})
		if err == nil && deployment.Status.AvailableReplicas != 2 {
			err = fmt.Errorf("%d replicas are available", deployment.Status.AvailableReplicas)
		}
		return err
	}))
}

// finding is what is read of the output of doctor.
type finding struct {
	Severity, Check, Seen, Do string
	Objects                   []string
}

// examine runs doctor, and checks that its exit code is that of the worst finding.
func (w *world) examine(t *testing.T, kubeconfig string) (findings []finding) {
	t.Helper()
	output, code, err := w.ask(t.Context(), kubeconfig, "doctor", "-o", "json")
	must(t, err)
	var answer struct{ Findings []finding }
	must(t, json.Unmarshal(output, &answer))
	want := 0
	for _, f := range answer.Findings {
		want = max(want, map[string]int{"Error": 4, "Warning": 3}[f.Severity])
	}
	if code != want {
		t.Errorf("exit code %d, want %d by %+v", code, want, answer.Findings)
	}
	return answer.Findings
}

// found waits until doctor finds something.
func (w *world) found(t *testing.T, kubeconfig, severity, check, seen string) {
	t.Helper()
	w.foundWithin(t, 20*time.Second, kubeconfig, severity, check, seen)
}

func (w *world) foundWithin(t *testing.T, limit time.Duration, kubeconfig, severity, check, seen string) {
	t.Helper()
	must(t, loop.Until(t.Context(), 200*time.Millisecond, limit, func(context.Context) error {
		findings := w.examine(t, kubeconfig)
		if !slices.ContainsFunc(findings, func(f finding) bool {
			return f.Severity == severity && f.Check == check && strings.Contains(f.Seen+" "+strings.Join(f.Objects, " "), seen)
		}) {
			return fmt.Errorf("%s of %s with %q is not in %+v", severity, check, seen, findings)
		}
		return nil
	}))
}

// deploy makes a Deployment with the labels of the manifests, with pods on a node that pretend to run.
func (w *world) deploy(t *testing.T, namespace, node string) {
	t.Helper()
	labels := map[string]string{"app.kubernetes.io/name": "taint-manager", "app.kubernetes.io/component": "controller"}
	pod := builders.Pod("")
	pod.Spec.HostNetwork = true
	pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	pod.Spec.Containers[0].Image = "example.com/taint-manager:v1.0.0"
	_, err := w.client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: launcher.Name, Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, w.client.AppsV1().Deployments(namespace).Delete(context.Background(), launcher.Name, metav1.DeleteOptions{}))
	})
}

// controllerManager makes a pod on a node that shows the flags of kube-controller-manager, as kubeadm's does.
func (w *world) controllerManager(t *testing.T, node string, flags ...string) {
	t.Helper()
	pods := w.client.CoreV1().Pods(metav1.NamespaceSystem)
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	must(t, pods.DeleteCollection(t.Context(), now, metav1.ListOptions{LabelSelector: "component=kube-controller-manager"}))
	pod := builders.Pod(node)
	pod.Name, pod.GenerateName = "", "kube-controller-manager-" // kwok deletes by name, and another one of the name with it
	pod.Labels = map[string]string{"component": "kube-controller-manager"}
	pod.Spec.Containers[0].Command = append([]string{"kube-controller-manager"}, flags...)
	_, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, pods.DeleteCollection(context.Background(), now, metav1.ListOptions{LabelSelector: "component=kube-controller-manager"}))
	})
}

// TestDoctor finds no error where there is none, and each of some faults.
func TestDoctor(t *testing.T) {
	w, ctx := shared, t.Context()
	must(t, w.cp.Namespace(ctx, doctored))
	_, err := controlplane.CreateNode(ctx, w.client, "doctored")
	must(t, err)
	must(t, controlplane.WaitForNodes(ctx, w.client, "doctored"))
	kubeconfig := w.examiner(t)
	w.deploy(t, metav1.NamespaceSystem, w.host(t))
	w.controllerManager(t, "doctored", "--controllers="+controlplane.DefaultControllers)
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Name: "taint-manager-doctored", Binary: w.manager})
	must(t, err)
	stopped := false
	defer func() {
		if !stopped {
			must(t, process.Stop())
		}
	}()
	w.found(t, kubeconfig, "OK", "Replicas", "with 2 replicas available")
	w.found(t, kubeconfig, "OK", "Leader", " leads since ")
	for _, f := range w.examine(t, kubeconfig) {
		// The other tests leave policies whose nodes are gone, tolerations that come twice, and so on.
		mine := !slices.Contains([]string{"Policies", "Tolerations", "Budgets", "Version", "EvictionLoops"}, f.Check)
		if f.Severity == "Error" || mine && f.Severity != "OK" {
			t.Errorf("nothing is wrong, and it finds %+v", f)
		}
	}

	for _, fault := range []struct {
		name, severity, check, seen string
		plant                       func(t *testing.T)
	}{
		{"the built-in controller is on", "Error", "BuiltInController", "is on", func(t *testing.T) { w.controllerManager(t, "doctored", "--leader-elect=true") }},
		{"two Deployments", "Error", "Replicas", "doctored/taint-manager", func(t *testing.T) { w.deploy(t, doctored, "doctored") }},
		{"permissions", "Error", "Permissions", "delete pods", func(t *testing.T) {
			must(t, launcher.Withdraw(ctx, w.cp, launcher.Name))
			t.Cleanup(func() {
				_, err := launcher.Account(context.Background(), w.cp, launcher.Name, launcher.Rules())
				must(t, err)
			})
		}},
		{"an older CustomResourceDefinition", "Warning", "CustomResourceDefinition", "spec.noticeSeconds", w.dropField},
		{"a policy that selects nothing", "Warning", "Policies", "Policy nowhere selects no node", func(t *testing.T) {
			w.policy(t, "nowhere", map[string]any{"matchingPrecedence": int64(9), "mode": "Keep", "nodeSelector": map[string]any{"matchLabels": map[string]any{"nobody": "has"}}})
		}},
		{"a policy that never applies", "Warning", "Policies", "Policy second never applies: policy first comes first", func(t *testing.T) {
			taints := []any{map[string]any{"key": "doctored.example.com/*"}}
			w.policy(t, "first", map[string]any{"matchingPrecedence": int64(7), "mode": "Keep", "taints": taints})
			w.policy(t, "second", map[string]any{"matchingPrecedence": int64(8), "mode": "Preview", "taints": taints})
		}},
		{"a pause without end", "Warning", "Pause", "does not end by itself", func(t *testing.T) {
			w.policy(t, "halt", map[string]any{"matchingPrecedence": int64(0), "mode": "Keep", "taints": []any{map[string]any{"key": "doctored.example.com/halt"}}})
		}},
		{"a toleration without effect", "Warning", "Tolerations", "doctored/twice", func(t *testing.T) {
			w.doctoredPod(t, builders.Pod("doctored", builders.Named("twice"), builders.Tolerates("doctored.example.com/a", 5), builders.Tolerates("doctored.example.com/a", 50)))
		}},
		{"a budget that never allows", "Warning", "Budgets", "doctored/never (maxUnavailable is 0)", func(t *testing.T) {
			w.policy(t, "evicting", map[string]any{"matchingPrecedence": int64(900), "mode": "Evict", "evict": map[string]any{"deleteAfter": "Never"},
				"taints": []any{map[string]any{"key": "doctored.example.com/evict"}}})
			w.doctoredPod(t, builders.Pod("doctored", builders.Named("covered"), func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": "never"} }))
			budgets := w.client.PolicyV1().PodDisruptionBudgets(doctored)
			_, err := budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "never"}, Spec: policyv1.PodDisruptionBudgetSpec{
				MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "never"}}}}, metav1.CreateOptions{})
			must(t, err)
			t.Cleanup(func() { must(t, budgets.Delete(context.Background(), "never", metav1.DeleteOptions{})) })
		}},
		{"a taint of the future", "Warning", "TimeAdded", "doctored: doctored.example.com/late", func(t *testing.T) {
			must(t, builders.SetTaints(ctx, w.client, "doctored", builders.NoExecuteSince("doctored.example.com/late", time.Now().Add(time.Hour))))
			t.Cleanup(func() { must(t, builders.SetTaints(context.Background(), w.client, "doctored")) })
		}},
		{"two at once", "Error", "Replicas", "doctored/taint-manager", w.second},
		{"the clock of a node", "Warning", "NodeClocks", "doctored-ahead (", w.nodeAhead},
		{"a loop", "Warning", "EvictionLoops", "Pods of agent in namespace doctored came back to a node that they had been evicted from", w.loop},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Cleanup(func() { // the last to run: what was planted is gone
				if fault.check != "EvictionLoops" && !t.Failed() {
					w.gone(t, kubeconfig, fault.check, fault.seen)
				}
			})
			fault.plant(t)
			w.found(t, kubeconfig, fault.severity, fault.check, fault.seen)
		})
	}
	stopped = true
	must(t, process.Stop())
	w.found(t, kubeconfig, "Error", "Leader", "no replica leads")
	w.onlyReads(t)
}

// gone waits until doctor does not find something any more.
func (w *world) gone(t *testing.T, kubeconfig, check, seen string) {
	t.Helper()
	var last []finding
	for range 50 {
		var answer struct{ Findings []finding }
		output, _, err := w.ask(context.Background(), kubeconfig, "doctor", "-o", "json")
		must(t, err)
		must(t, json.Unmarshal(output, &answer))
		last = slices.DeleteFunc(answer.Findings, func(f finding) bool {
			return f.Check != check || !strings.Contains(f.Seen+" "+strings.Join(f.Objects, " "), seen)
		})
		if len(last) == 0 {
			return
		}
	}
	t.Errorf("it is gone, and it still finds %+v", last)
}

func (w *world) policy(t *testing.T, name string, spec map[string]any) {
	t.Helper()
	_, err := w.policies.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": name}, "spec": spec,
	}}, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	must(t, err)
	t.Cleanup(func() { must(t, w.policies.Delete(context.Background(), name, metav1.DeleteOptions{})) })
}

// doctoredPod makes a pod for as long as the test runs.
func (w *world) doctoredPod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	_, err := w.client.CoreV1().Pods(doctored).Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, w.client.CoreV1().Pods(doctored).Delete(context.Background(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	})
}

// onlyReads says by the API server's log that doctor wrote nothing, and asked for nothing that it may not have.
func (w *world) onlyReads(t *testing.T) {
	t.Helper()
	time.Sleep(time.Second) // the API server writes its log a moment later
	log, err := os.Open(w.audit.Path())
	must(t, err)
	defer log.Close()
	requests := sets.New[string]()
	must(t, controlplane.ReadAudit(log, func(event *auditv1.Event) {
		if event.User.Username != userOf(examiner) {
			return
		}
		if event.Verb != "get" && event.Verb != "list" {
			requests.Insert(event.Verb + " " + event.ObjectRef.Resource)
		}
		if event.ResponseStatus != nil && event.ResponseStatus.Code == 403 {
			t.Errorf("it asked for what its account may not have: %s %s", event.Verb, event.RequestURI)
		}
		if event.Verb == "list" && !strings.Contains(event.RequestURI, "limit=") {
			t.Errorf("a list that is not paged: %s", event.RequestURI)
		}
	}))
	if want := sets.New("create subjectaccessreviews", "create selfsubjectaccessreviews"); !requests.Equal(want) {
		t.Errorf("besides get and list, it did %v; want %v", sets.List(requests), sets.List(want))
	}
}

// TestDoctorSaysWhatItCouldNotRead asks without any permission, and with a few.
func TestDoctorSaysWhatItCouldNotRead(t *testing.T) {
	w, ctx := shared, t.Context()
	nothing, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "nobody", nil)
	must(t, err)
	for _, f := range w.examine(t, nothing) {
		allowed := f.Check == "Clock" || f.Check == "YourPermissions"
		if f.Severity != "Unknown" && !allowed {
			t.Errorf("it claims, without any permission: %+v", f)
		}
	}
	little, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "peeper", readRules())
	must(t, err)
	unknown := sets.New[string]()
	for _, f := range w.examine(t, little) {
		if f.Severity == "Unknown" {
			unknown.Insert(f.Check)
		}
	}
	for _, check := range []string{"Replicas", "Version", "CustomResourceDefinition", "Permissions"} {
		if !unknown.Has(check) {
			t.Errorf("%s is known without permission", check)
		}
	}
	for _, check := range []string{"Leader", "NodeClocks", "Pause", "Policies", "Tolerations", "Budgets", "DisruptionController", "TimeAdded"} {
		if unknown.Has(check) {
			t.Errorf("%s is not known", check)
		}
	}
}
