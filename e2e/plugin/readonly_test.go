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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// TestItOnlyReads says by the API server's own log that no verb here writes, and that none asks for what it may not have.
func TestItOnlyReads(t *testing.T) {
	w, ctx := shared, t.Context()
	must(t, w.cp.Namespace(ctx, "reads"))
	_, err := controlplane.CreateNode(ctx, w.client, "reads", func(node *corev1.Node) {
		node.Spec.Taints = []corev1.Taint{{Key: keyA, Effect: corev1.TaintEffectNoSchedule}} // which plan removes
	})
	must(t, err)
	must(t, controlplane.WaitForNodes(ctx, w.client, "reads"))
	pod, err := w.client.CoreV1().Pods("reads").Create(ctx, builders.Pod("reads", builders.Named("p"), builders.Tolerates(keyA, 300)), metav1.CreateOptions{})
	must(t, err)
	for _, args := range [][]string{
		{"plan", "reads", "--taint", keyA + ":NoExecute"},
		{"plan", "reads", "--taint", keyA + ":NoExecute", "--room=false", "-o", "wide"},
		{"plan", "-l", "kubernetes.io/hostname=reads", "--remove", keyA},
		{"why", pod.Name, "-n", "reads"},
		{"why", "gone", "-n", "reads"},
		{"status", "-A"},
		{"status", "reads", "-o", "wide"},
		{"watch", "reads"}, // fails, because nothing makes that node empty
		{"__complete", "plan", "re"},
		{"__complete", "why", "-n", "reads", ""},
	} {
		if _, code, err := w.ask(ctx, w.kubeconfig, args...); err != nil && (args[1] != "gone" && args[0] != "watch" || code != 1) {
			t.Errorf("%v: %v", args, err)
		}
	}
	time.Sleep(time.Second) // the API server writes its log a moment later
	log, err := os.Open(w.audit.Path())
	must(t, err)
	defer log.Close()
	verbs := sets.New[string]()
	must(t, controlplane.ReadAudit(log, func(event *auditv1.Event) {
		if event.User.Username != userOf(reader) {
			return
		}
		verbs.Insert(event.Verb)
		if event.ResponseStatus != nil && event.ResponseStatus.Code == 403 {
			t.Errorf("it asked for what its account may not have: %s %s", event.Verb, event.RequestURI)
		}
		if limit := event.Verb == "list"; limit && !strings.Contains(event.RequestURI, "limit=") {
			t.Errorf("a list that is not paged: %s", event.RequestURI)
		}
	}))
	if !verbs.Equal(sets.New("get", "list", "watch")) {
		t.Errorf("it used the verbs %v, and is to use get, list and watch alone", sets.List(verbs))
	}
}

// TestItSaysWhatItCouldNotRead takes permissions away.
func TestItSaysWhatItCouldNotRead(t *testing.T) {
	w, ctx := shared, t.Context()
	must(t, w.cp.Namespace(ctx, "unread"))
	_, err := controlplane.CreateNode(ctx, w.client, "unread")
	must(t, err)
	must(t, controlplane.WaitForNodes(ctx, w.client, "unread"))
	_, err = w.client.CoreV1().Pods("unread").Create(ctx, builders.Pod("unread", builders.Named("p"), builders.Tolerates(keyA, 300)), metav1.CreateOptions{})
	must(t, err)
	kubeconfig, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "little", []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list"}, Resources: []string{"nodes", "pods"}, APIGroups: []string{""}},
	})
	must(t, err)
	output, code, err := w.ask(ctx, kubeconfig, "plan", "unread", "--taint", keyA+":NoExecute", "-o", "json")
	must(t, err)
	var answer struct {
		Unread []struct{ What, Error, Means string }
		Pods   []struct{ Fate fate }
	}
	must(t, json.Unmarshal(output, &answer))
	what := sets.New[string]()
	for _, unread := range answer.Unread {
		what.Insert(unread.What)
		if !strings.Contains(unread.Error, "forbidden") || unread.Means == "" {
			t.Errorf("got %+v", unread)
		}
	}
	if want := sets.New("ConfigMap kube-system/taint-manager-starts", "policies", "disruption budgets"); !what.Equal(want) {
		t.Errorf("it says that it could not read %v, want %v", sets.List(what), sets.List(want))
	}
	if code != 3 || len(answer.Pods) != 1 || !answer.Pods[0].Fate.ModeUnknown || answer.Pods[0].Fate.Mode != "" {
		t.Errorf("exit code %d, %+v: want 3, and a mode that is not known", code, answer.Pods)
	}
}

// TestBudgetsAreUsedUpInSequence compares plan with what the eviction API then lets go: each of three pods alone could.
func TestBudgetsAreUsedUpInSequence(t *testing.T) {
	w, ctx := shared, t.Context()
	const namespace = "sequence"
	must(t, w.cp.Namespace(ctx, namespace))
	_, err := controlplane.CreateNode(ctx, w.client, namespace)
	must(t, err)
	must(t, controlplane.WaitForNodes(ctx, w.client, namespace))
	for i, name := range []string{"second", "first", "third"} {
		pod := builders.Pod(namespace, builders.Named(name), builders.Tolerates(keyA, []int64{4, 2, 6}[i]))
		pod.Labels = map[string]string{"app": namespace}
		_, err := w.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		must(t, err)
	}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: ptr.To(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": namespace}}}}
	_, err = w.client.PolicyV1().PodDisruptionBudgets(namespace).Create(ctx, budget, metav1.CreateOptions{})
	must(t, err)
	must(t, loop.Until(ctx, 200*time.Millisecond, time.Minute, func(ctx context.Context) error {
		budget, err := w.client.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "all", metav1.GetOptions{})
		if err == nil && budget.Status.DisruptionsAllowed != 1 {
			err = fmt.Errorf("the budget allows %d disruptions", budget.Status.DisruptionsAllowed)
		}
		return err
	}))
	policies := t.TempDir() + "/policies.yaml"
	must(t, os.WriteFile(policies, []byte(`apiVersion: policy.taint-manager.io/v1alpha1
kind: TaintEvictionPolicy
metadata: {name: sequence}
spec: {matchingPrecedence: 10, mode: Evict, taints: [{key: `+keyA+`}], nodeSelector: {matchLabels: {kubernetes.io/hostname: sequence}}, evict: {deleteAfter: Never}}
`), 0o600))
	output, code, err := w.ask(ctx, w.kubeconfig, "plan", namespace, "--taint", keyA+":NoExecute", "--policies", policies, "-o", "json")
	must(t, err)
	var answer struct {
		Pods []struct {
			Pod  struct{ Name string }
			Fate struct {
				Outcome   string
				BlockedBy []string
			}
		}
	}
	must(t, json.Unmarshal(output, &answer))
	var got []string
	for _, pod := range answer.Pods {
		got = append(got, pod.Pod.Name+" "+pod.Fate.Outcome)
	}
	if want := "first Scheduled, second Blocked, third Blocked"; strings.Join(got, ", ") != want || code != 4 {
		t.Errorf("exit code %d, %s; want 4 and %s", code, strings.Join(got, ", "), want)
	}
	for _, name := range []string{"first", "second", "third"} { // in the order in which they go
		err := w.client.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
		if accepted := err == nil; accepted != (name == "first") {
			t.Errorf("the eviction API says of %s: %v", name, err)
		}
	}
}
