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
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// pauser makes an account that may pause, and returns its kubeconfig.
func (w *world) pauser(t *testing.T, name string) string {
	t.Helper()
	rules := append(readRules(), rbacv1.PolicyRule{
		Verbs: []string{"get", "list", "create", "update", "delete"}, Resources: []string{"taintevictionpolicies"}, APIGroups: []string{policyv1alpha1.GroupName},
	})
	kubeconfig, _, err := w.cp.ServiceAccount(t.Context(), readerNamespace, name, rules)
	must(t, err)
	return kubeconfig
}

// pauseAnswer is what is read of the output of pause and resume.
type pauseAnswer struct {
	Action, DryRun string
	Acknowledged   bool
	Pause          struct {
		CreatedBy string
		Until     time.Time
	}
	Held struct{ Pods, Nodes, DueNow, Later int }
}

// asks runs pause or resume, and fails the test if it fails.
func (w *world) asks(t *testing.T, kubeconfig string, args ...string) (answer pauseAnswer) {
	t.Helper()
	output, _, err := w.ask(t.Context(), kubeconfig, append(args, "-o", "json")...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	must(t, json.Unmarshal(output, &answer))
	return answer
}

// refuses runs the plugin, which is to fail with a text.
func (w *world) refuses(t *testing.T, kubeconfig string, code int, text string, args ...string) {
	t.Helper()
	_, got, err := w.ask(t.Context(), kubeconfig, args...)
	if err == nil || got != code || !strings.Contains(err.Error(), text) {
		t.Errorf("%v: exit code %d, %v; want %d and %q", args, got, err, code, text)
	}
}

// TestPause pauses, lets others try to change that, resumes, and lets a pause expire, beside the controller.
func TestPause(t *testing.T) {
	w, ctx := shared, t.Context()
	const namespace, key = "paused", "example.com/paused"
	must(t, w.cp.Namespace(ctx, namespace))
	for _, name := range []string{"paused-0", "paused-1"} {
		_, err := controlplane.CreateNode(ctx, w.client, name)
		must(t, err)
	}
	must(t, controlplane.WaitForNodes(ctx, w.client, "paused-0", "paused-1"))
	watch, err := podwatch.Start(ctx, w.client, namespace)
	must(t, err)
	process, err := launcher.Start(ctx, w.cp, launcher.Options{Name: "taint-manager-paused", Binary: w.manager})
	must(t, err)
	defer func() { must(t, process.Stop()) }()
	alice, bob := w.pauser(t, "alice"), w.pauser(t, "bob")
	var pods []*corev1.Pod
	for _, name := range []string{"paused-0", "paused-1"} {
		pod, err := w.client.CoreV1().Pods(namespace).Create(ctx, builders.Pod(name, builders.Named(name)), metav1.CreateOptions{})
		must(t, err)
		pods = append(pods, pod)
	}

	w.refuses(t, alice, 64, "a pause of all taints also holds failover", "pause", "--for=1m")
	w.refuses(t, alice, 1, "there is no policy pause", "resume")
	peeper, _, err := w.cp.ServiceAccount(ctx, readerNamespace, "peeper", readRules())
	must(t, err)
	w.refuses(t, peeper, 1, "forbidden", "pause", "--taint="+key)
	began := time.Now()
	if answer := w.asks(t, alice, "pause", "--for=10m", "--include-node-conditions"); !answer.Acknowledged || answer.Action != "Created" ||
		answer.Pause.CreatedBy != userOf("alice") || answer.Pause.Until.Sub(began).Round(5*time.Second) != 10*time.Minute {
		t.Errorf("got %+v", answer)
	}
	for _, pod := range pods {
		must(t, builders.SetTaints(ctx, w.client, pod.Spec.NodeName, builders.NoExecute(key)))
	}
	if gone := watch.Await(ctx, time.Now().Add(4*time.Second), func(seen *podwatch.Sightings) bool { return seen.Left(pods) < len(pods) }); gone {
		t.Error("a pod went during the pause")
	}
	w.refuses(t, bob, 1, "is a pause by "+userOf("alice"), "pause", "--taint="+key)
	w.refuses(t, bob, 1, "to end it all the same, add --overwrite", "resume")
	if answer := w.asks(t, alice, "resume", "--dry-run=server"); answer.Held.Pods < 2 || answer.Held.DueNow < 2 || answer.DryRun != "server" {
		t.Errorf("got %+v", answer)
	}
	// Another one of hers takes its place, which holds one node alone.
	if answer := w.asks(t, alice, "pause", "--taint="+key, "-l", "kubernetes.io/hostname=paused-0"); answer.Action != "Replaced" ||
		answer.Held.Pods != 1 || answer.Held.Nodes != 1 || !answer.Pause.Until.IsZero() {
		t.Errorf("got %+v", answer)
	}
	w.goes(t, watch, pods[1], time.Now(), 5*time.Second)
	if watch.Of(pods[0]).Going.IsZero() != true {
		t.Error("the pod on the other node went, too")
	}
	if answer := w.asks(t, bob, "resume", "--overwrite"); answer.Action != "Deleted" || answer.Held.DueNow != 1 {
		t.Errorf("got %+v", answer)
	}
	w.goes(t, watch, pods[0], time.Now(), 5*time.Second)
	if _, err := w.policies.Get(ctx, "pause", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the policy is there: %v", err)
	}
	w.expires(t, watch, bob, namespace, key)
	w.logs(t, process.LogPath(),
		`"Pause is on, holding evictions" policy="pause" createdBy="`+userOf("alice")+`" until="20`,
		`"Pause is on, holding evictions" policy="pause" createdBy="`+userOf("alice")+`" until="its policy is deleted" taints="`+key+`:NoExecute" nodes="kubernetes.io/hostname=paused-0"`,
		`"Pause is over" policy="pause" createdBy="`+userOf("alice")+`" because="the policy is gone"`,
		`"Pause is on, holding evictions" policy="short" createdBy="`+userOf("bob")+`" until="20`,
		`"Pause is over" policy="short" createdBy="`+userOf("bob")+`" because="the policy has expired"`)
}

// goes waits until a pod goes, which is to be after a time and within a while.
func (w *world) goes(t *testing.T, watch *podwatch.Watch, pod *corev1.Pod, from time.Time, within time.Duration) {
	t.Helper()
	watch.Await(t.Context(), from.Add(within), func(seen *podwatch.Sightings) bool { return !seen.Of(pod).Going.IsZero() })
	if going := watch.Of(pod).Going; going.IsZero() {
		t.Errorf("pod %s does not go", pod.Name)
	} else {
		t.Logf("pod %s went %s after", pod.Name, going.Sub(from).Round(time.Millisecond))
	}
}

// expires has a pause end by itself.
func (w *world) expires(t *testing.T, watch *podwatch.Watch, kubeconfig, namespace, key string) {
	t.Helper()
	ctx := t.Context()
	answer := w.asks(t, kubeconfig, "pause", "--name=short", "--for=8s", "--taint="+key)
	pod, err := w.client.CoreV1().Pods(namespace).Create(ctx, builders.Pod("paused-0", builders.Named("third")), metav1.CreateOptions{})
	must(t, err)
	w.goes(t, watch, pod, answer.Pause.Until, 5*time.Second)
	if going := watch.Of(pod).Going; going.Before(answer.Pause.Until) {
		t.Errorf("the pod went at %v, and the pause lasts until %v", going, answer.Pause.Until)
	}
	must(t, w.policies.Delete(ctx, "short", metav1.DeleteOptions{}))
}

// logs waits until a log has lines with some texts, in order.
func (w *world) logs(t *testing.T, path string, texts ...string) {
	t.Helper()
	must(t, loop.Until(t.Context(), 100*time.Millisecond, 5*time.Second, func(context.Context) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rest := string(data)
		for _, text := range texts {
			_, after, found := strings.Cut(rest, text)
			if !found {
				return fmt.Errorf("the log has no %s after what comes before it", text)
			}
			rest = after
		}
		return nil
	}))
}
