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

// Package chart tests the Helm chart on a real control plane, by Helm itself.
//
// kwok pretends that pods run. What runs for real is what a test starts with the arguments and the service account of a pod that the chart has
// made: the controller, and the plugin in the pod of `helm test`, whose kubelet is played here.
package chart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/helm"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

const (
	startTimeout = 30 * time.Minute
	// timeout bounds what takes a few seconds on an idle machine.
	timeout  = 60 * time.Second
	interval = 100 * time.Millisecond
)

// admission makes the API server admit pods of the system's priority classes only where there is a quota for them, as GKE's does.
const admission = `
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: ResourceQuota
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: ResourceQuotaConfiguration
      limitedResources:
        - resource: pods
          matchScopes:
            - scopeName: PriorityClass
              operator: In
              values: [system-node-critical, system-cluster-critical]
`

// world is what the tests share.
type world struct {
	dir     string
	cp      *controlplane.ControlPlane
	client  kubernetes.Interface
	dynamic dynamic.Interface
	helm    *helm.Client
	manager string
	kubelet *kubelet
	// chart is the directory of the chart.
	chart string
}

var shared *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	w, err := start(ctx)
	code := 1
	if err == nil {
		shared = w
		code = m.Run()
	}
	if err = errors.Join(err, w.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func start(ctx context.Context) (w *world, err error) {
	w = &world{}
	if w.dir, err = os.MkdirTemp("", "taint-manager-chart-"); err != nil {
		return w, err
	}
	root, err := helm.Root(ctx)
	if err != nil {
		return w, err
	}
	w.chart = filepath.Join(root, "manifests/helm/taint-manager")
	config := filepath.Join(w.dir, "admission.yaml")
	if err := os.WriteFile(config, []byte(admission), 0o600); err != nil {
		return w, err
	}
	w.cp, err = controlplane.Start(ctx, controlplane.Options{
		Progress: os.Stderr,
		ExtraArgs: map[controlplane.Program][]string{
			// The played kubelet is found by its address.
			controlplane.APIServer: {"--admission-control-config-file=" + config, "--kubelet-preferred-address-types=InternalIP"},
		},
	})
	if err != nil {
		return w, err
	}
	if w.client, err = w.cp.Client(); err != nil {
		return w, err
	}
	if w.dynamic, err = dynamic.NewForConfig(w.cp.AdminConfig()); err != nil {
		return w, err
	}
	if err := w.build(ctx); err != nil {
		return w, err
	}
	if err := w.quota(ctx); err != nil {
		return w, err
	}
	return w, w.nodes(ctx)
}

// quota makes the quota that GKE has in kube-system.
func (w *world) quota(ctx context.Context) error {
	_, err := w.client.CoreV1().ResourceQuotas(metav1.NamespaceSystem).Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "critical-pods"},
		Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1G")},
			ScopeSelector: &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{
				ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"system-node-critical", "system-cluster-critical"},
			}}},
		},
	}, metav1.CreateOptions{})
	return err
}

// build builds the programs that run for real.
func (w *world) build(ctx context.Context) (err error) {
	if w.helm, err = helm.New(ctx, w.dir, w.cp.AdminKubeconfig()); err != nil {
		return err
	}
	if w.manager, err = launcher.Binary(ctx, w.dir); err != nil {
		return err
	}
	plugin := filepath.Join(w.dir, "kubectl-taint_manager")
	build := exec.CommandContext(ctx, "go", "build", "-o", plugin, "github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin: %w\n%s", err, output)
	}
	w.kubelet = &kubelet{cp: w.cp, client: w.client, plugin: plugin}
	return w.kubelet.start(ctx)
}

// nodes makes three control-plane nodes, which the values for production need.
func (w *world) nodes(ctx context.Context) error {
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("control-plane-%d", i))
		_, err := controlplane.CreateNode(ctx, w.client, names[i], func(node *corev1.Node) { node.Labels["node-role.kubernetes.io/control-plane"] = "" })
		if err != nil {
			return err
		}
	}
	if err := controlplane.WaitForNodes(ctx, w.client, names...); err != nil {
		return err
	}
	// kwok takes the addresses of a new node for its own.
	const kubelet = `{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`
	for _, name := range names {
		if _, err := w.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, fmt.Appendf(nil, kubelet, w.kubelet.port), metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) stop() error {
	var err error
	if w.kubelet != nil {
		err = w.kubelet.stop()
	}
	if w.cp != nil {
		err = errors.Join(err, w.cp.Crashed(), w.cp.Stop())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// commands returns the lines of a block of the chart's README.md that begin with a word, as they are run here: with the chart of the
// repository.
func (w *world) commands(t *testing.T, block, first string) (lines []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.chart, "README.md"))
	must(t, err)
	_, rest, begins := strings.Cut(string(data), "<!-- "+block+": begin -->\n```sh\n")
	text, _, ends := strings.Cut(rest, "```\n<!-- "+block+": end -->")
	if !begins || !ends {
		t.Fatalf("README.md of the chart has no block %s", block)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, first+" ") {
			line = strings.ReplaceAll(line, "oci://registry.example.com/charts/taint-manager", w.chart)
			lines = append(lines, strings.ReplaceAll(line, "--values ", "--values "+w.chart+"/"))
		}
	}
	return lines
}

// shell runs command lines, which must succeed, and returns what the last one printed.
func (w *world) shell(t *testing.T, lines ...string) (printed string) {
	t.Helper()
	for _, line := range lines {
		var err error
		printed, err = w.helm.Shell(t.Context(), line)
		must(t, err)
		t.Logf("$ %s\n%s", line, printed)
	}
	return printed
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
