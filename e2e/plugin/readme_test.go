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
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	readme      = "../../cmd/kubectl-taint_manager/README.md"
	maintenance = "example.com/maintenance"
	shop        = "shop"
)

var update = flag.Bool("update", false, "write the output of a real run into the plugin's README")

// TestREADME runs each verb on a small shop, and writes what it prints into the README. Without -update it only runs them.
//
// A verb has a block there, between <!-- run: COMMAND --> and <!-- end -->, where COMMAND is what follows kubectl taint-manager. Blocks that
// are not in the list here, and commands that have no block, are errors.
func TestREADME(t *testing.T) {
	w := shared
	process, err := launcher.Start(t.Context(), w.cp, launcher.Options{Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	document, err := os.ReadFile(readme)
	must(t, err)
	web := w.openShop(t)
	policies := t.TempDir() + "/policy.yaml"
	must(t, os.WriteFile(policies, []byte(evictPolicy), 0o600))
	rename := map[string]string{"WEB": web, "policy.yaml": policies}

	run := func(command string) {
		t.Helper()
		output := w.show(t, command, rename)
		begin, end := "<!-- run: "+command+" -->\n", "<!-- end -->"
		before, rest, found := bytes.Cut(document, []byte(begin))
		_, after, ended := bytes.Cut(rest, []byte(end))
		if !found || !ended {
			t.Errorf("the README has no block %q", begin)
			return
		}
		shown := strings.ReplaceAll(command, "WEB", web)
		document = bytesOf(before, []byte(begin), fmt.Appendf(nil, "\n```console\n$ kubectl taint-manager %s\n%s```\n\n", shown, output), []byte(end), after)
	}
	run("plan worker-0 --taint example.com/maintenance=kernel:NoExecute")
	run("plan worker-0 --taint example.com/maintenance=kernel:NoExecute --policies policy.yaml")
	run("plan worker-0 --taint example.com/maintenance=kernel:NoExecute -o name")
	must(t, builders.SetTaints(t.Context(), w.client, "worker-0", corev1.Taint{Key: maintenance, Value: "kernel", Effect: corev1.TaintEffectNoExecute}))
	time.Sleep(3 * time.Second) // what the reader would take
	run("why WEB -n shop")
	run("why debug -n shop")
	run("status")
	// Nothing tolerates the second taint.
	time.AfterFunc(5*time.Second, func() {
		if err := builders.SetTaints(t.Context(), w.client, "worker-0", corev1.Taint{Key: maintenance, Value: "kernel", Effect: corev1.TaintEffectNoExecute},
			builders.NoExecute("example.com/power-off")); err != nil {
			t.Error(err)
		}
	})
	run("watch worker-0 --timeout 5m")
	w.openPractice(t)
	run("pause --taint example.com/maintenance --for 1h")
	run("resume")
	run("doctor")
	if *update {
		must(t, os.WriteFile(readme, document, 0o644))
	}
}

const evictPolicy = `apiVersion: policy.taint-manager.io/v1alpha1
kind: TaintEvictionPolicy
metadata: {name: maintenance}
spec:
  matchingPrecedence: 100
  taints: [{key: example.com/maintenance}]
  mode: Evict
  evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 900}
`

func bytesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// show runs the plugin as in a terminal, and returns what it prints.
func (w *world) show(t *testing.T, command string, rename map[string]string) []byte {
	t.Helper()
	args := []string{"--kubeconfig", w.kubeconfig}
	switch verb, _, _ := strings.Cut(command, " "); verb {
	case "pause", "resume":
		args[1] = w.pauser(t, "operator")
	case "doctor":
		args[1] = w.examiner(t)
	}
	for arg := range strings.FieldsSeq(command) {
		if to, known := rename[arg]; known {
			arg = to
		}
		args = append(args, arg)
	}
	output, err := exec.CommandContext(t.Context(), w.plugin, args...).CombinedOutput()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 3) {
		t.Errorf("%s: %v\n%s", command, err, output)
	}
	return output
}

// openShop makes two nodes and what runs there, and returns the name of a web pod.
func (w *world) openShop(t *testing.T) (web string) {
	t.Helper()
	ctx := t.Context()
	must(t, w.cp.Namespace(ctx, shop))
	for _, name := range []string{"worker-0", "worker-1"} {
		_, err := controlplane.CreateNode(ctx, w.client, name)
		must(t, err)
	}
	must(t, controlplane.WaitForNodes(ctx, w.client, "worker-0", "worker-1"))
	for _, pod := range []*corev1.Pod{
		builders.Pod("worker-0", builders.Named("debug"), func(pod *corev1.Pod) {
			pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}),
		builders.Pod("worker-0", builders.Named("agent"), builders.With(corev1.Toleration{Operator: corev1.TolerationOpExists})),
	} {
		_, err := w.client.CoreV1().Pods(shop).Create(ctx, pod, metav1.CreateOptions{})
		must(t, err)
	}
	pods := w.deployWeb(t, shop, 3, builders.Tolerates(maintenance, 300), func(pod *corev1.Pod) {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "worker-0"}
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")}
	})
	return pods[0].Name
}

// deployWeb makes some servers and a disruption budget that allows one of them to go, and returns them when they are ready.
func (w *world) deployWeb(t *testing.T, namespace string, replicas int32, change ...builders.Change) []corev1.Pod {
	t.Helper()
	ctx := t.Context()
	labels := map[string]string{"app": "web"}
	_, err := w.client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: builders.Pod("", change...).Spec}},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = w.client.PolicyV1().PodDisruptionBudgets(namespace).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(replicas - 1)), Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}, metav1.CreateOptions{})
	must(t, err)
	must(t, loop.Until(ctx, 200*time.Millisecond, time.Minute, func(ctx context.Context) error {
		budget, err := w.client.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && budget.Status.DisruptionsAllowed != 1 {
			err = fmt.Errorf("the budget allows %d disruptions", budget.Status.DisruptionsAllowed)
		}
		return err
	}))
	pods, err := w.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	must(t, err)
	return pods.Items
}
