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
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// TestOwnNamespace installs the chart into a namespace that enforces Pod Security "restricted", on an API server that admits pods of the system's
// priority classes only where there is a quota for them.
func TestOwnNamespace(t *testing.T) {
	w := shared
	const own = name
	w.cleanUp(t, own)
	kubectl := w.commands(t, "namespace", "kubectl")
	if want := []string{"kubectl create namespace " + own, "kubectl label namespace " + own + " pod-security.kubernetes.io/enforce=restricted"}; !slices.Equal(kubectl, want) {
		t.Fatalf("README.md has the commands %q, and this test does what these do: %q", kubectl, want)
	}
	_, err := w.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: own, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}},
	}, metav1.CreateOptions{})
	must(t, err)
	install := w.commands(t, "namespace", "helm")[0]
	uninstall := "helm uninstall taint-manager --namespace " + own

	w.shell(t, install+" --set resourceQuota.enabled=false")
	must(t, loop.Until(t.Context(), interval, timeout, func(ctx context.Context) error {
		d, err := w.client.AppsV1().Deployments(own).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range d.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && strings.Contains(condition.Message, "insufficient quota to match these scopes") {
				return nil
			}
		}
		return fmt.Errorf("without a quota its pods are admitted, so nothing is known of the quota: %+v", d.Status)
	}))
	manifest, err := w.helm.Run(t.Context(), "get", "manifest", name, "--namespace", own)
	must(t, err)
	w.shell(t, uninstall)
	w.uninstalled(t, manifest)

	w.shell(t, install)
	w.deployment(t, own)
	process := w.run(t, own)
	w.evicts(t)
	lease, err := w.client.CoordinationV1().Leases(own).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		t.Errorf("nobody leads by a Lease in the namespace: %v", err)
	}
	w.shell(t, "helm test taint-manager --namespace "+own+" --logs")
	must(t, process.Stop())
	manifest, err = w.helm.Run(t.Context(), "get", "manifest", name, "--namespace", own)
	must(t, err)
	w.shell(t, uninstall)
	w.uninstalled(t, manifest)
}

// TestCarefulStart installs a dry run, and lets it evict afterwards.
func TestCarefulStart(t *testing.T) {
	w := shared
	w.cleanUp(t, system)
	commands := w.commands(t, "dry-run", "helm")
	if len(commands) != 2 {
		t.Fatalf("the commands are %q", commands)
	}
	for i, want := range [][]string{{"--v=2", "--dry-run"}, {"--v=2"}} {
		notes := w.shell(t, commands[i])
		if args := w.deployment(t, system).Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, want) {
			t.Errorf("after %s the arguments are %q, want %q", commands[i], args, want)
		}
		if says := strings.Contains(notes, "It evicts no pod: dryRun is set."); says != (i == 0) {
			t.Errorf("after %s the notes say\n%s", commands[i], notes)
		}
		// Nobody leads in a dry run, which is not wrong then.
		process := w.run(t, system)
		printed := w.shell(t, "helm test taint-manager --namespace kube-system --logs")
		if says := strings.Contains(printed, "only a dry run is on"); says != (i == 0) {
			t.Errorf("after %s helm test says\n%s", commands[i], printed)
		}
		must(t, process.Stop())
	}
	// What the notes say to do after a dry run.
	_, next, _ := strings.Cut(w.shell(t, commands[1]+" --set dryRun=true"), "let it evict:\n")
	upgrade := strings.TrimSpace(strings.Split(strings.TrimSpace(next), "\n")[0])
	w.shell(t, strings.Replace(upgrade, " CHART ", " "+w.chart+" ", 1))
	if args := w.deployment(t, system).Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"--v=2"}) {
		t.Errorf("after %s the arguments are %q", upgrade, args)
	}
	manifest, err := w.helm.Run(t.Context(), "get", "manifest", name, "--namespace", system)
	must(t, err)
	w.shell(t, "helm uninstall taint-manager --namespace kube-system")
	w.uninstalled(t, manifest)
}

// TestAdoption makes what `kubectl apply -k` makes, and has the chart take it over: no pod is made again.
func TestAdoption(t *testing.T) {
	w := shared
	w.cleanUp(t, system)
	manifest, err := w.helm.Run(t.Context(), "template", name, w.chart, "--namespace", system, "--skip-tests", "--set", "crd.enabled=false")
	must(t, err)
	w.applyAsKustomize(t, manifest)
	before := w.deployment(t, system)
	pods := w.pods(t)
	w.shell(t, w.commands(t, "adopt", "helm")...)
	after := w.deployment(t, system)
	if after.UID != before.UID || !equality.Semantic.DeepEqual(after.Spec, before.Spec) {
		t.Errorf("the Deployment is %s\n%+v\nand was %s\n%+v", after.UID, after.Spec, before.UID, before.Spec)
	}
	if now := w.pods(t); !maps.Equal(now, pods) || len(pods) != 2 {
		t.Errorf("the pods are %v, and were %v", now, pods)
	}
	if release := after.Annotations["meta.helm.sh/release-name"]; release != name {
		t.Errorf("the Deployment is of release %q", release)
	}
	manifest, err = w.helm.Run(t.Context(), "get", "manifest", name, "--namespace", system)
	must(t, err)
	w.shell(t, "helm uninstall taint-manager --namespace kube-system")
	w.uninstalled(t, manifest)
}

// pods returns the UIDs of the replicas by name.
func (w *world) pods(t *testing.T) map[string]types.UID {
	t.Helper()
	list, err := w.client.CoreV1().Pods(system).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=taint-manager,app.kubernetes.io/component=controller"})
	must(t, err)
	uids := map[string]types.UID{}
	for i := range list.Items {
		uids[list.Items[i].Name] = list.Items[i].UID
	}
	return uids
}

// applyAsKustomize creates objects as kubectl apply -k does: without the labels of Helm. (That the objects are the same otherwise is tested beside
// the chart.)
func (w *world) applyAsKustomize(t *testing.T, manifest string) {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(w.client.Discovery())
	must(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for document := range strings.SplitSeq("\n"+manifest, "\n---") {
		object := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(document), &object.Object))
		if len(object.Object) == 0 {
			continue
		}
		labels := object.GetLabels()
		maps.DeleteFunc(labels, func(label, _ string) bool {
			return slices.Contains([]string{"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}, label)
		})
		object.SetLabels(labels)
		mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
		must(t, err)
		_, err = w.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Create(t.Context(), object, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}
