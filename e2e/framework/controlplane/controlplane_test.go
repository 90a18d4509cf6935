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

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// TestControlPlane runs the real programs. It builds them where they are missing.
func TestControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a whole control plane")
	}
	parent := t.TempDir()
	cp := StartT(t, Options{
		Dir: parent, Progress: testWriter{t}, NodeLeaseSeconds: 4,
		ExtraArgs: map[Program][]string{
			ControllerManager: {"--node-monitor-period=1s", "--node-monitor-grace-period=6s"},
		},
	})
	client, err := cp.Client()
	if err != nil {
		t.Fatal(err)
	}
	reportMemory(t, cp)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *ControlPlane, kubernetes.Interface)
	}{
		{"reports its version", testVersion},
		{"runs pods", testDeployment},
		{"gives a service account what its rules say", testServiceAccount},
		{"keeps data when etcd and apiserver are killed", testRestart},
		{"taints a silent node", testSilence},
		{"taints all nodes without kwok", testKwok},
		{"runs the built-in controller", testBuiltin},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, cp, client) }) {
			return
		}
	}
	if err := cp.Crashed(); err != nil {
		t.Error(err)
	}
	testStop(t, cp, parent)
}

func testVersion(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	got, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	want := pinnedVersion(t)
	if os.Getenv(AssetsVariable) == "" && got.GitVersion != want {
		t.Errorf("the API server says that it is %s, want %s", got.GitVersion, want)
	}
}

func testDeployment(t *testing.T, cp *ControlPlane, client kubernetes.Interface) {
	ctx := t.Context()
	if err := cp.Namespace(ctx, "pods"); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateNode(ctx, client, "node-a"); err != nil {
		t.Fatal(err)
	}
	if err := WaitForNodes(ctx, client, "node-a"); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments("pods").Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, client, 3)
}

// awaitRunning waits until that many pods run on node-a, with the tolerations that admission adds.
func awaitRunning(t *testing.T, client kubernetes.Interface, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d running pods", want), func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods("pods").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		running := 0
		for _, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodRunning && pod.Spec.NodeName == "node-a" && len(pod.Spec.Tolerations) == 2 {
				running++
			}
		}
		if running != want {
			return fmt.Errorf("%d run of %d", running, len(pods.Items))
		}
		return nil
	})
}

func testServiceAccount(t *testing.T, cp *ControlPlane, _ kubernetes.Interface) {
	ctx := t.Context()
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list"}}}
	path, config, err := cp.ServiceAccount(ctx, "accounts", "reader", rules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	// The authorizer learns of a new role by a watch.
	eventually(t, "permission", func(ctx context.Context) error {
		_, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing pods gave %v, want it to be forbidden", err)
	}
}

func testRestart(t *testing.T, cp *ControlPlane, client kubernetes.Interface) {
	before, err := client.CoreV1().Namespaces().Get(t.Context(), "pods", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []Program{APIServer, Etcd} {
		if err := cp.Part(program).Kill(); err != nil {
			t.Fatal(err)
		}
		if cp.Part(program).Running() {
			t.Errorf("%s runs after Kill", program)
		}
		if program == APIServer {
			if _, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
				t.Error("there is an answer although the API server is gone")
			}
		}
		if err := cp.Part(program).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the same namespace", func(ctx context.Context) error {
		after, err := client.CoreV1().Namespaces().Get(ctx, "pods", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if after.UID != before.UID {
			return errors.New("another namespace")
		}
		return nil
	})
	// The other parts go on: somebody has to make, bind and run the fourth pod.
	patchScale(t, client, 4)
	awaitRunning(t, client, 4)
}

func testSilence(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	ctx := t.Context()
	if _, err := CreateNode(ctx, client, "node-b"); err != nil {
		t.Fatal(err)
	}
	if err := WaitForNodes(ctx, client, "node-b"); err != nil {
		t.Fatal(err)
	}
	if err := Silence(ctx, client, "node-b"); err != nil {
		t.Fatal(err)
	}
	awaitUnreachable(t, client, "node-b", corev1.TaintEffectNoExecute)
	if node, err := client.CoreV1().Nodes().Get(ctx, "node-a", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	} else if err := unready(node); err != nil {
		t.Errorf("the other node: %v", err)
	}
	if err := Unsilence(ctx, client, "node-b"); err != nil {
		t.Fatal(err)
	}
	if err := WaitForNodes(ctx, client, "node-b"); err != nil {
		t.Error(err)
	}
}

// awaitUnreachable waits for the taint that comes when the heartbeats of a node have ended.
func awaitUnreachable(t *testing.T, client kubernetes.Interface, name string, effect corev1.TaintEffect) {
	t.Helper()
	eventually(t, "the taint", func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, taint := range node.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnreachable && taint.Effect == effect {
				return nil
			}
		}
		return fmt.Errorf("taints: %v", node.Spec.Taints)
	})
}

func testKwok(t *testing.T, cp *ControlPlane, client kubernetes.Interface) {
	if err := cp.Part(Kwok).Kill(); err != nil {
		t.Fatal(err)
	}
	// No more than that: when all nodes are silent the controller manager blames itself. See Silence.
	awaitUnreachable(t, client, "node-a", corev1.TaintEffectNoSchedule)
	awaitUnreachable(t, client, "node-b", corev1.TaintEffectNoSchedule)
	if err := cp.Part(Kwok).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := WaitForNodes(t.Context(), client, "node-a", "node-b"); err != nil {
		t.Fatal(err)
	}
}

func testBuiltin(t *testing.T, cp *ControlPlane, client kubernetes.Interface) {
	ctx := t.Context()
	builtin, err := cp.StartBuiltin(ctx, BuiltinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods, err := client.CoreV1().Pods("pods").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	patch := `{"spec":{"taints":[{"key":"test","effect":"NoExecute"}]}}`
	if err := patchNode(ctx, client, "node-a", patch); err != nil {
		t.Fatal(err)
	}
	eventually(t, "eviction", func(ctx context.Context) error {
		_, err := client.CoreV1().Pods("pods").Get(ctx, pods.Items[0].Name, metav1.GetOptions{})
		if err == nil {
			return errors.New("the pod is still there")
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	http, err := cp.HTTPClient()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "metrics", func(ctx context.Context) error {
		return AskHealth(ctx, http, builtin.URL()+"/metrics")
	})
	if err := builtin.Stop(); err != nil {
		t.Error(err)
	}
}

func testStop(t *testing.T, cp *ControlPlane, parent string) {
	began := time.Now()
	if err := cp.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("stopped in %s", time.Since(began))
	for _, process := range cp.processes() {
		if process.Running() {
			t.Errorf("%s still runs", process.Name())
		}
		if exists(process.PID()) {
			t.Errorf("process %d of %s is left", process.PID(), process.Name())
		}
	}
	if exists(cp.sweeper.cmd.Process.Pid) {
		t.Error("the helper is left")
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s is left", entry.Name())
	}
}
