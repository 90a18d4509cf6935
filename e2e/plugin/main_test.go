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

// Package plugin tests kubectl taint-manager against a real control plane, beside the controller.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/manifests"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

const (
	// readerNamespace and reader are the account that runs the plugin. It may read, and nothing else.
	readerNamespace, reader = "plugin", "reader"
	startTimeout            = 30 * time.Minute
)

// userOf returns the name by which the API server knows an account that runs the plugin.
func userOf(account string) string { return "system:serviceaccount:" + readerNamespace + ":" + account }

// readRules are all that the plugin needs to say everything.
func readRules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{Verbs: read, Resources: []string{"nodes", "pods", "namespaces", "configmaps", "persistentvolumes"}, APIGroups: []string{""}},
		{Verbs: read, Resources: []string{"leases"}, APIGroups: []string{"coordination.k8s.io"}},
		{Verbs: read, Resources: []string{"events"}, APIGroups: []string{"events.k8s.io"}},
		{Verbs: read, Resources: []string{"poddisruptionbudgets"}, APIGroups: []string{"policy"}},
		{Verbs: read, Resources: []string{"taintevictionpolicies"}, APIGroups: []string{policyv1alpha1.GroupName}},
	}
}

// world is what the tests share: a control plane with policies, the plugin, and the API server's log of what it asks for.
type world struct {
	cp         *controlplane.ControlPlane
	client     kubernetes.Interface
	policies   dynamic.ResourceInterface
	plugin     string
	manager    string
	kubeconfig string
	audit      *controlplane.AuditLog
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

func start(ctx context.Context) (*world, error) {
	w := &world{}
	dir, err := os.MkdirTemp("", "taint-manager-plugin-")
	if err != nil {
		return w, err
	}
	if w.audit, err = controlplane.NewAuditLog(dir, "users", userOf(reader), userOf(examiner)); err != nil {
		return w, err
	}
	w.cp, err = controlplane.Start(ctx, controlplane.Options{
		Progress: os.Stderr, ExtraArgs: map[controlplane.Program][]string{controlplane.APIServer: w.audit.Args()},
	})
	if err != nil {
		return w, err
	}
	if w.client, err = w.cp.Client(); err != nil {
		return w, err
	}
	if w.manager, err = launcher.Binary(ctx, w.cp.Dir()); err != nil {
		return w, err
	}
	if w.plugin, err = launcher.Build(ctx, w.cp.Dir(), launcher.Plugin); err != nil {
		return w, err
	}
	if err := w.servePolicies(ctx); err != nil {
		return w, err
	}
	w.kubeconfig, _, err = w.cp.ServiceAccount(ctx, readerNamespace, reader, readRules())
	return w, err
}

// servePolicies makes the CustomResourceDefinition.
func (w *world) servePolicies(ctx context.Context) error {
	client, err := dynamic.NewForConfig(w.cp.AdminConfig())
	if err != nil {
		return err
	}
	crd, err := manifests.PolicyCRD()
	if err != nil {
		return err
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	w.policies = client.Resource(policyv1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
	return loop.Until(ctx, 100*time.Millisecond, 30*time.Second, func(ctx context.Context) error {
		_, err := w.policies.List(ctx, metav1.ListOptions{})
		return err
	})
}

func (w *world) stop() error {
	var err error
	if w.cp != nil {
		err = errors.Join(w.cp.Crashed(), w.cp.Stop())
	}
	if w.audit != nil {
		err = errors.Join(err, os.RemoveAll(w.audit.Dir))
	}
	return err
}

// ask runs the plugin, and returns what it wrote and its exit code. The codes 3 and 4, which are findings, are no errors.
func (w *world) ask(ctx context.Context, kubeconfig string, args ...string) (stdout []byte, code int, err error) {
	return answered(exec.CommandContext(ctx, w.plugin, append([]string{"--kubeconfig", kubeconfig}, args...)...))
}

// answered runs a command of the plugin.
func answered(cmd *exec.Cmd) (stdout []byte, code int, err error) {
	stdout, err = cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == 3 || exit.ExitCode() == 4) {
		return stdout, exit.ExitCode(), nil
	}
	if errors.As(err, &exit) {
		err = fmt.Errorf("exit code %d: %s", exit.ExitCode(), exit.Stderr)
	}
	return stdout, cmd.ProcessState.ExitCode(), err
}
