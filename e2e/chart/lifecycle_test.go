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

package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
)

// TestLifecycle installs the chart as README.md says, tests, upgrades, rolls back and uninstalls it.
func TestLifecycle(t *testing.T) {
	w := shared
	w.cleanUp(t, system)
	const field = "noticeSeconds"
	older := w.older(t, field)
	install := strings.ReplaceAll(w.commands(t, "install", "helm")[0], w.chart+" ", older+" ")
	w.shell(t, install)
	d := w.deployment(t, system)
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/taint-manager/taint-manager:older" {
		t.Errorf("the image is %s", image)
	}
	process := w.run(t, system)
	w.evicts(t)
	t.Run("helm test", w.testTest)
	must(t, process.Stop())

	// What the leader has written, and what operators have.
	starts := w.client.CoreV1().ConfigMaps(system)
	const record = `{"data":{"worker":"a record"}}`
	_, err := starts.Patch(t.Context(), "taint-manager-starts", types.MergePatchType, []byte(record), metav1.PatchOptions{FieldManager: name})
	must(t, err)
	w.keep(t, "kept")
	check := func(when, image string, has bool) {
		t.Helper()
		d := w.deployment(t, system)
		if got := d.Spec.Template.Spec.Containers[0].Image; got != "ghcr.io/taint-manager/taint-manager:"+image {
			t.Errorf("%s the image is %s", when, got)
		}
		if args := d.Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"--v=2", "--config=/etc/taint-manager/taint-manager.yaml"}) {
			t.Errorf("%s the values of the installation are lost: %v", when, args)
		}
		if got := w.hasField(t, field); got != has {
			t.Errorf("%s the CustomResourceDefinition has %s: %t", when, field, got)
		}
		config, err := starts.Get(t.Context(), "taint-manager-starts", metav1.GetOptions{})
		must(t, err)
		if config.Data["worker"] != "a record" {
			t.Errorf("%s the starts of taints are %v", when, config.Data)
		}
		_, err = w.dynamic.Resource(policies).Get(t.Context(), "kept", metav1.GetOptions{})
		must(t, err)
	}
	commands := w.commands(t, "upgrade", "helm")
	if len(commands) != 3 {
		t.Fatalf("the commands are %q", commands)
	}
	check("before", "older", false)
	w.shell(t, commands[0])
	check("after the upgrade", "dev", true)
	w.shell(t, commands[1])
	check("after the rollback", "older", false)
	w.shell(t, commands[0])
	check("after another upgrade", "dev", true)

	if _, err := w.helm.Run(t.Context(), "install", "second", w.chart, "--namespace", "default"); err == nil || !strings.Contains(err.Error(), "cannot be imported into the current release") {
		t.Errorf("a second release: %v", err)
	}
	manifest, err := w.helm.Run(t.Context(), "get", "manifest", name, "--namespace", system)
	must(t, err)
	w.shell(t, commands[2])
	w.uninstalled(t, manifest)
	_, err = w.dynamic.Resource(policies).Get(t.Context(), "kept", metav1.GetOptions{})
	must(t, err)

	// The next release takes over what the first one left.
	w.shell(t, w.commands(t, "install", "helm")...)
	w.deployment(t, system)
	w.shell(t, commands[2])
	w.uninstalled(t, manifest)
}

// testTest runs helm test while nothing is wrong, and with a fault.
func (w *world) testTest(t *testing.T) {
	command := w.commands(t, "test", "helm")
	printed := w.shell(t, command...)
	for _, want := range []string{
		`Phase: +Succeeded`, `OK +Permissions +system:serviceaccount:kube-system:taint-manager has all \d+ permissions of the manifests\.`,
		`OK +YourPermissions +You may read all that the plugin reads\.`, `OK +Replicas +One Deployment, kube-system/taint-manager, with 2 replicas available\.`,
	} {
		if !regexp.MustCompile(want).MatchString(printed) {
			t.Errorf("helm test does not say %q", want)
		}
	}
	w.nothingOfTheTest(t)

	manager := builders.Pod("control-plane-0", builders.Named("kube-controller-manager"), func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"component": "kube-controller-manager"}
		pod.Spec.Containers[0].Command = []string{"kube-controller-manager"}
	})
	manager, err := w.client.CoreV1().Pods(system).Create(t.Context(), manager, metav1.CreateOptions{})
	must(t, err)
	defer func() {
		must(t, w.client.CoreV1().Pods(system).Delete(t.Context(), manager.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	}()
	printed, err = w.helm.Shell(t.Context(), command[0])
	if err == nil || !regexp.MustCompile(`Error +BuiltInController +The built-in controller is on`).MatchString(printed) {
		t.Errorf("with the built-in controller on, helm test says\n%s", printed)
	}
	pod, err := w.client.CoreV1().Pods(system).Get(t.Context(), "taint-manager-test", metav1.GetOptions{})
	if err != nil || pod.Status.Phase != corev1.PodFailed {
		t.Errorf("the pod of a test that fails does not stay: %v", err)
	}
	w.shell(t, "helm upgrade taint-manager "+w.older(t, "noticeSeconds")+" --namespace kube-system --reuse-values --set 'test.skip={BuiltInController}'", command[0])
	w.nothingOfTheTest(t)
}

// nothingOfTheTest checks that nothing is left of a test that has passed, above all no permissions.
func (w *world) nothingOfTheTest(t *testing.T) {
	t.Helper()
	const test = "taint-manager-test"
	for what, get := range map[string]func() error{
		"pod": func() error {
			_, err := w.client.CoreV1().Pods(system).Get(t.Context(), test, metav1.GetOptions{})
			return err
		},
		"ServiceAccount": func() error {
			_, err := w.client.CoreV1().ServiceAccounts(system).Get(t.Context(), test, metav1.GetOptions{})
			return err
		},
		"ClusterRole": func() error {
			_, err := w.client.RbacV1().ClusterRoles().Get(t.Context(), test, metav1.GetOptions{})
			return err
		},
		"ClusterRoleBinding": func() error {
			_, err := w.client.RbacV1().ClusterRoleBindings().Get(t.Context(), test, metav1.GetOptions{})
			return err
		},
	} {
		if err := get(); !apierrors.IsNotFound(err) {
			t.Errorf("the %s of helm test is still there: %v", what, err)
		}
	}
}
