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
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
)

// TestExitCodes has each verb end in the ways that a cluster decides on. What wrong arguments, an API server that is away and a signal do is
// tested with the verbs, and the codes of doctor are with its findings.
func TestExitCodes(t *testing.T) {
	const room, quiet = "exits", "exits-quiet"
	w, ctx := shared, t.Context()
	w.room(t, room)
	w.room(t, quiet)
	w.pod(t, room, "goes", "goes", builders.Tolerates(keyA, 300))
	w.pod(t, quiet, "stays", "stays", builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	_, err := w.client.PolicyV1().PodDisruptionBudgets(room).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"}, Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "goes"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	policies := t.TempDir() + "/policies.yaml"
	must(t, os.WriteFile(policies, []byte("apiVersion: policy.taint-manager.io/v1alpha1\nkind: TaintEvictionPolicy\nmetadata: {name: exits}\n"+
		"spec: {matchingPrecedence: 10, mode: Evict, taints: [{key: "+keyA+"}], nodeSelector: {matchLabels: {kubernetes.io/hostname: "+room+"}}, evict: {deleteAfter: Never}}\n"), 0o600))
	must(t, builders.SetTaints(ctx, w.client, quiet, builders.NoExecute(keyB)))
	pauser := w.pauser(t, "exits")
	forbidden, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "exits-forbidden", readRules()) // the reader asks for nothing that it may not have
	must(t, err)
	for _, test := range []struct {
		want       int
		kubeconfig string
		args       []string
	}{
		{0, w.kubeconfig, []string{"plan", quiet, "--taint", keyA + ":NoExecute"}},
		{3, w.kubeconfig, []string{"plan", room, "--taint", keyA + ":NoExecute"}},
		{4, w.kubeconfig, []string{"plan", room, "--taint", keyA + ":NoExecute", "--policies", policies}},
		{1, w.kubeconfig, []string{"plan", "no-such-node", "--taint", keyA + ":NoExecute"}},
		{0, w.kubeconfig, []string{"why", "goes", "-n", room}},
		{1, w.kubeconfig, []string{"why", "nobody", "-n", room}},
		{0, w.kubeconfig, []string{"status"}},
		{1, w.kubeconfig, []string{"status", "no-such-node"}},
		{0, w.kubeconfig, []string{"watch", quiet}}, // nobody goes
		{1, w.kubeconfig, []string{"watch", "no-such-node"}},
		{1, forbidden, []string{"pause", "--taint", keyA}},
		{1, pauser, []string{"resume", "--name", "exits"}}, // there is none
		{0, pauser, []string{"pause", "--taint", keyA, "--name", "exits", "--for", "1h"}},
		{0, pauser, []string{"resume", "--name", "exits"}},
	} {
		if output, code, err := w.ask(ctx, test.kubeconfig, test.args...); code != test.want {
			t.Errorf("%v: exit code %d, want %d: %v\n%s", test.args, code, test.want, err, output)
		}
	}
	must(t, builders.SetTaints(ctx, w.client, room, builders.NoExecute(keyA)))
	if output, code, _ := w.ask(ctx, w.kubeconfig, "watch", room, "--timeout", "1s"); code != 2 {
		t.Errorf("a timeout: exit code %d, want 2\n%s", code, output)
	}
}

// TestCompletion has a shell ask for names that a real API server has.
func TestCompletion(t *testing.T) {
	const room = "completes"
	w, ctx := shared, t.Context()
	w.room(t, room)
	w.pod(t, room, "web-1", "web")
	must(t, builders.SetTaints(ctx, w.client, room, corev1.Taint{Key: "completes.example.com/repair", Value: "disk", Effect: corev1.TaintEffectNoExecute}))
	w.createPolicy(t, "completes", "{matchingPrecedence: 0, mode: Keep, taints: [{key: completes.example.com/upgrade, value: os}]}", nil)
	w.createPolicy(t, "completes-not", "{matchingPrecedence: 1, mode: Keep, taints: [{key: completes.example.com/*}]}", nil)
	for _, test := range [][]string{
		{"completes\n:4\n", "plan", "complet"},
		{"web-1\n:4\n", "why", "-n", room, "w"},
		{"completes\n:4\n", "resume", "--name", "complet"},
		{"completes.example.com/repair\n:6\n", "plan", room, "--remove", "completes.example.com/"},
		{"completes.example.com/repair=disk\n:6\n", "plan", room, "--remove", "completes.example.com/repair="},
		{"completes.example.com/repair\ncompletes.example.com/upgrade\n:6\n", "plan", room, "--taint", "completes"},
		{"completes.example.com/upgrade=os\n:6\n", "plan", room, "--taint", "completes.example.com/upgrade="},
		{"completes.example.com/*\ncompletes.example.com/repair\ncompletes.example.com/upgrade\n:6\n", "pause", "--taint", "completes"},
		{"completes.example.com/repair=disk:NoExecute\n:4\n", "plan", "--remove", "completes.example.com/repair=disk:"},
		{"completes.example.com/repair=disk:NoExecute\ncompletes.example.com/repair=disk:NoSchedule\n:4\n", "plan", "--taint", "completes.example.com/repair=disk:"},
		{"completes.example.com/repair:NoExecute\ncompletes.example.com/repair:NoSchedule\ncompletes.example.com/repair=disk\n:6\n", "pause", "--taint", "completes.example.com/repair"},
	} {
		output, _, err := w.ask(ctx, w.kubeconfig, append([]string{"__completeNoDesc"}, test[1:]...)...)
		if err != nil || string(output) != test[0] {
			t.Errorf("%v: got %q, %v; want %q", test[1:], output, err, test[0])
		}
	}
}
