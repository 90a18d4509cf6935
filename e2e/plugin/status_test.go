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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// statusAnswer is what is read of status -o json.
type statusAnswer struct {
	Leader *struct {
		Holder string
		Leads  bool
	}
	Unread []struct{ What string }
	Holds  []struct {
		Policy, Mode, CreatedBy, CreatedWith string
		Pause                                bool
		Expires                              time.Time
		Pods                                 int
	}
	Total map[string]int
	Nodes []struct {
		Node   string
		Taints []struct {
			Taint string
			Since time.Time
		}
		Pods []struct {
			Pod     struct{ Name string }
			State   string
			Because string
			Fate    struct {
				Deadline time.Time
				Policy   string
			}
			Terminating *struct{ Finalizers []string }
		}
	}
}

// states returns the state of each pod, and why it is in it.
func (a *statusAnswer) states() map[string]string {
	all := map[string]string{}
	for _, node := range a.Nodes {
		for _, pod := range node.Pods {
			all[pod.Pod.Name] = pod.State + ": " + pod.Because
		}
	}
	return all
}

func (w *world) status(ctx context.Context, kubeconfig string, args ...string) (*statusAnswer, error) {
	output, _, err := w.ask(ctx, kubeconfig, append([]string{"status", "-o", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	answer := &statusAnswer{}
	return answer, json.Unmarshal(output, answer)
}

// createPolicy makes a policy with a spec in YAML, which is deleted when the test ends.
func (w *world) createPolicy(t *testing.T, name, spec string, annotations map[string]string) {
	t.Helper()
	var fields any
	must(t, yaml.Unmarshal([]byte(spec), &fields))
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": name}, "spec": fields,
	}}
	object.SetAnnotations(annotations)
	_, err := w.policies.Create(t.Context(), object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	must(t, err)
	t.Cleanup(func() {
		if err := w.policies.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// room makes a namespace and a node of one name, both for one test.
func (w *world) room(t *testing.T, name string) {
	t.Helper()
	must(t, w.cp.Namespace(t.Context(), name))
	w.node(t, name)
}

// node makes a node for one test.
func (w *world) node(t *testing.T, name string) {
	t.Helper()
	_, err := controlplane.CreateNode(t.Context(), w.client, name)
	must(t, err)
	must(t, controlplane.WaitForNodes(t.Context(), w.client, name))
	t.Cleanup(func() {
		if err := w.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// pod makes a pod with a label in a room, and waits until it is ready.
func (w *world) pod(t *testing.T, room, name, app string, changes ...builders.Change) {
	t.Helper()
	w.podIn(t, room, room, name, append(changes, func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": app} })...)
}

// podIn makes a pod in a namespace on a node, and waits until it is ready.
func (w *world) podIn(t *testing.T, namespace, node, name string, changes ...builders.Change) {
	t.Helper()
	pod := builders.Pod(node, append([]builders.Change{builders.Named(name)}, changes...)...)
	_, err := w.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	must(t, loop.Until(t.Context(), 100*time.Millisecond, time.Minute, func(ctx context.Context) error {
		pod, err := w.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if ready := builders.ConditionOf(pod, corev1.PodReady); ready == nil || ready.Status != corev1.ConditionTrue {
			return fmt.Errorf("pod %s is not ready", name)
		}
		return nil
	}))
}

// TestStatusSaysWhatGoesOn has a pod in each state, beside a controller.
func TestStatusSaysWhatGoesOn(t *testing.T) {
	const room = "status"
	w, ctx := shared, t.Context()
	w.room(t, room)
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	selects := "nodeSelector: {matchLabels: {kubernetes.io/hostname: " + room + "}}, "
	w.createPolicy(t, "status-keep", "{matchingPrecedence: 1, mode: Keep, "+selects+"podSelector: {matchLabels: {app: kept}}}",
		map[string]string{"taint-manager.io/created-by": "alice"})
	w.createPolicy(t, "status-hour", "{matchingPrecedence: 2, mode: Keep, "+selects+"podSelector: {matchLabels: {app: hour}}, expireTime: \""+
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+"\"}", nil)
	w.createPolicy(t, "status-evict", "{matchingPrecedence: 3, mode: Evict, "+selects+"taints: [{key: "+keyA+"}], "+
		"podSelector: {matchLabels: {app: blocked}}, evict: {deleteAfter: Never}}", nil)
	_, err = w.client.PolicyV1().PodDisruptionBudgets(room).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"}, Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "blocked"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	for _, app := range []string{"kept", "hour", "blocked"} {
		w.pod(t, room, app, app)
	}
	w.pod(t, room, "later", "later", builders.Tolerates(keyA, 300))
	w.pod(t, room, "stays", "stays", builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	w.pod(t, room, "ending", "ending", func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/hold"} })
	defer func() {
		_, err := w.client.CoreV1().Pods(room).Patch(ctx, "ending", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		must(t, err)
	}()
	tainted := time.Now()
	must(t, builders.SetTaints(ctx, w.client, room, builders.NoExecute(keyA)))
	want := map[string]string{
		"kept": "Held: held by policy status-keep (Keep)", "hour": "Held: held by policy status-hour (Keep)",
		"blocked": "Blocked: budget nothing allows 0: 1 of 1 healthy, 1 wanted",
		"later":   "Scheduled: tolerates " + keyA + " for 300s", "ending": "Terminating: ",
	}
	var answer *statusAnswer
	must(t, loop.Until(ctx, 500*time.Millisecond, 20*time.Second, func(ctx context.Context) error {
		if answer, err = w.status(ctx, w.kubeconfig, room); err != nil {
			return err
		}
		got := answer.states()
		for name, state := range want {
			if !strings.HasPrefix(got[name], state) || len(got) != len(want) {
				return fmt.Errorf("got %q, want %q", got, want)
			}
		}
		return nil
	}))
	if answer.Leader == nil || !answer.Leader.Leads || len(answer.Unread) > 0 {
		t.Errorf("leader %+v, unread %+v", answer.Leader, answer.Unread)
	}
	if answer.Total["stay"] != 1 || answer.Total["held"] != 2 || answer.Total["blocked"] != 1 || answer.Total["scheduled"] != 1 {
		t.Errorf("total %v", answer.Total)
	}
	if since := answer.Nodes[0].Taints[0].Since; since.Sub(tainted).Abs() > 2*time.Second {
		t.Errorf("tainted since %v, it was at %v", since, tainted)
	}
	holds := map[string]string{}
	for _, hold := range answer.Holds {
		holds[hold.Policy] = fmt.Sprintf("%s %d %s %t", hold.Mode, hold.Pods, hold.CreatedBy, !hold.Expires.IsZero())
	}
	if holds["status-keep"] != "Keep 1 alice false" || holds["status-hour"] != "Keep 1  true" {
		t.Errorf("holds %v", holds)
	}
	w.seesThePause(t, room)
}

// seesThePause has a policy that holds everything.
func (w *world) seesThePause(t *testing.T, room string) {
	t.Helper()
	w.createPolicy(t, "status-pause", "{matchingPrecedence: 0, mode: Keep}", nil)
	answer, err := w.status(t.Context(), w.kubeconfig, room)
	must(t, err)
	if len(answer.Holds) == 0 || answer.Holds[0].Policy != "status-pause" || !answer.Holds[0].Pause || answer.Holds[0].CreatedWith == "" ||
		answer.Holds[0].Pods < 3 {
		t.Errorf("holds %+v", answer.Holds)
	}
	must(t, w.policies.Delete(t.Context(), "status-pause", metav1.DeleteOptions{}))
}

// TestStatusOfNothing has no node with a taint that evicts.
func TestStatusOfNothing(t *testing.T) {
	const room = "nothing"
	w := shared
	w.room(t, room)
	cmd := exec.CommandContext(t.Context(), w.plugin, "--kubeconfig", w.kubeconfig, "status", "-l", "kubernetes.io/hostname="+room)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	must(t, cmd.Run())
	if stdout.Len() > 0 || stderr.String() != "No node with labels kubernetes.io/hostname=nothing has a taint that evicts pods.\n" {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
}

// TestStatusSaysWhatItCouldNotRead takes permissions away.
func TestStatusSaysWhatItCouldNotRead(t *testing.T) {
	const room = "unread-status"
	w, ctx := shared, t.Context()
	w.room(t, room)
	w.pod(t, room, "due", "due")
	must(t, builders.SetTaints(ctx, w.client, room, builders.NoExecute(keyA)))
	kubeconfig, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "little-status", []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list"}, Resources: []string{"nodes", "pods"}, APIGroups: []string{""}},
	})
	must(t, err)
	answer, err := w.status(ctx, kubeconfig, room)
	must(t, err)
	var unread []string
	for _, u := range answer.Unread {
		unread = append(unread, u.What)
	}
	const want = "ConfigMap kube-system/taint-manager-starts, policies, disruption budgets, Lease kube-system/taint-manager, Events"
	if got := strings.Join(unread, ", "); got != want {
		t.Errorf("unread %q, want %q", got, want)
	}
	if state := answer.states()["due"]; state != "Due: does not tolerate "+keyA+"; policies could not be read, and one may keep it" {
		t.Errorf("the pod is %q", state)
	}
}

// TestWatchEndsWhenTheNodeIsEmpty has pods that go at once, one after some seconds, one that a finalizer keeps, and one that stays.
func TestWatchEndsWhenTheNodeIsEmpty(t *testing.T) {
	const room = "watch"
	w, ctx := shared, t.Context()
	w.room(t, room)
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	w.pod(t, room, "now", "now")
	w.pod(t, room, "later", "later", builders.Tolerates(keyA, 4))
	w.pod(t, room, "stays", "stays", builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	w.pod(t, room, "ending", "ending", func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/hold"} })
	must(t, builders.SetTaints(ctx, w.client, room, builders.NoExecute(keyA)))

	output, code, _ := w.ask(ctx, w.kubeconfig, "watch", room, "--timeout", "10s")
	if code != 2 || !strings.Contains(string(output), room+": timed out after 10s, with 1 pod still there") {
		t.Errorf("exit code %d, output\n%s", code, output)
	}

	released := make(chan time.Time, 1)
	time.AfterFunc(3*time.Second, func() {
		released <- time.Now()
		_, err := w.client.CoreV1().Pods(room).Patch(ctx, "ending", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	output, code, err = w.ask(ctx, w.kubeconfig, "watch", room, "--timeout", "1m")
	ended := time.Now()
	must(t, err)
	if at := <-released; code != 0 || ended.Before(at) || ended.Sub(at) > 5*time.Second {
		t.Errorf("exit code %d, %s after the last pod was released\n%s", code, ended.Sub(at), output)
	}
	for _, want := range []string{"0 of 1 gone, 1 terminating, 0 to go", "finalizer example.com/hold", room + ": done, all pods that go are gone, 1 in ",
		"1 pod not going: 1 tolerating"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("%q is not in\n%s", want, output)
		}
	}
	pods, err := w.client.CoreV1().Pods(room).List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(pods.Items) != 1 || pods.Items[0].Name != "stays" {
		t.Errorf("%d pods are left", len(pods.Items))
	}
	if _, code, err := w.ask(ctx, w.kubeconfig, "watch", "no-such-node"); code != 1 || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a node that does not exist: exit code %d, %v", code, err)
	}
}
