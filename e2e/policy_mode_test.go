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

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// statusTimeout is how long the status of a policy may take, on a machine that also runs the whole control plane.
const statusTimeout = 10 * time.Second

// policyScene is a scene with policies and a controller.
type policyScene struct {
	*harness.Scene
	policies dynamic.ResourceInterface
}

// withPolicies returns a scene whose API server serves policies, and which has a controller.
func withPolicies(t *testing.T) policyScene {
	t.Helper()
	suite.OursOnly(t, "it knows no policies")
	s := suite.Alone(t)
	scene := policyScene{s, s.Policies()}
	s.Start(harness.Options{})
	return scene
}

// create creates a policy with a spec in YAML, and returns when the controller has it.
func (s policyScene) create(name, spec string) {
	s.T.Helper()
	s.put(name, spec)
	s.accepted(name, statusTimeout)
}

// put creates a policy, and returns when the API server has it.
func (s policyScene) put(name, spec string) timing.Moment {
	s.T.Helper()
	policy := policyOf(s.T, spec)
	policy.SetName(name)
	created, err := timing.Of(func() error {
		_, err := s.policies.Create(s.Context(), policy, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		return err
	})
	s.Must(err)
	return created
}

// accepted waits until the controller has a policy.
func (s policyScene) accepted(name string, within time.Duration) {
	s.T.Helper()
	s.within(name, "accepted", within, func(status policyv1alpha1.TaintEvictionPolicyStatus) bool {
		return meta.IsStatusConditionTrue(status.Conditions, policyv1alpha1.ConditionAccepted)
	})
}

func (s policyScene) delete(name string) timing.Moment {
	s.T.Helper()
	deleted, err := timing.Of(func() error { return s.policies.Delete(s.Context(), name, metav1.DeleteOptions{}) })
	s.Must(err)
	return deleted
}

// eventually waits until the status of a policy is as wanted.
func (s policyScene) eventually(name, what string, wanted func(policyv1alpha1.TaintEvictionPolicyStatus) bool) {
	s.T.Helper()
	s.within(name, what, statusTimeout, wanted)
}

// within is eventually, for so long.
func (s policyScene) within(name, what string, timeout time.Duration, wanted func(policyv1alpha1.TaintEvictionPolicyStatus) bool) {
	s.T.Helper()
	s.Eventually("policy "+name+" "+what, timeout, func(ctx context.Context) error {
		object, err := s.policies.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		policy := policyv1alpha1.TaintEvictionPolicy{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &policy); err != nil {
			return err
		}
		if policy.Status.ObservedGeneration != policy.Generation || !wanted(policy.Status) {
			return fmt.Errorf("its status is %+v", policy.Status)
		}
		return nil
	})
}

// counts waits until a policy counts so many pods and nodes.
func (s policyScene) counts(name string, scheduled, blocked, preview, kept, nodes int32) {
	s.T.Helper()
	s.eventually(name, fmt.Sprintf("counts %d, %d, %d, %d on %d", scheduled, blocked, preview, kept, nodes), func(status policyv1alpha1.TaintEvictionPolicyStatus) bool {
		is := func(n *int32, want int32) bool { return ptr.Deref(n, -1) == want }
		return is(status.ScheduledPods, scheduled) && is(status.BlockedPods, blocked) && is(status.PreviewPods, preview) && is(status.KeptPods, kept) &&
			is(status.Nodes, nodes) && meta.IsStatusConditionTrue(status.Conditions, policyv1alpha1.ConditionEvictionInProgress) == (scheduled > 0)
	})
}

func TestPolicyKeep(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(2)
	s.create("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: ill}]")
	kept, other := s.Pod(nodes[0]), s.Pod(nodes[1])
	tainted := s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Check(other, s.Await(other, s.Taint(nodes[1], builders.NoExecute("other")).After.Add(5*time.Second)), harness.Due(tainted, 0))
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Quiet(kept, tainted.After.Add(4*time.Second))
	if events := s.NodeEvents(nodes[0], "TaintManagerKept", 1, time.Now().Add(5*time.Second)); len(events) != 1 ||
		events[0].Message != "Kept by policy keep: 1 pod that would be due now, 0 pods that would be due later" {
		t.Errorf("Events on the node: %v", messages(events))
	}
	deleted := s.delete("keep")
	outcome := s.Evicted(kept, harness.Due(deleted, 0))
	s.Saw("kept for 4 s, and %s of the policy", outcome.Since(deleted, "the deletion"))
}

func messages(events []corev1.Event) (texts []string) {
	for _, event := range events {
		texts = append(texts, event.Reason+": "+event.Message)
	}
	return texts
}

func TestPolicyPreview(t *testing.T) {
	s := withPolicies(t)
	node := s.Node()
	s.create("careful", "matchingPrecedence: 100, mode: Preview")
	now, later := s.Pod(node), s.Pod(node, builders.Tolerates("ill", 600))
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.counts("careful", 0, 0, 2, 0, 1)
	s.modePods(map[string]float64{"Delete": 0, "Evict": 0, "Preview": 2, "Keep": 0})
	s.Remove(later)
	s.counts("careful", 0, 0, 1, 0, 1)
	if events := s.NodeEvents(node, "TaintManagerPreview", 1, time.Now().Add(5*time.Second)); len(events) != 1 ||
		events[0].Message != "Preview by policy careful, nothing is evicted: 1 pod would be due now, 1 pod later" {
		t.Errorf("Events on the node: %v", messages(events))
	}
	s.Stays(now, tainted.After.Add(3*time.Second), "a preview evicts nothing")
	s.Untaint(node)
	s.counts("careful", 0, 0, 0, 0, 0)
}

// modePods checks the metric of pods by mode.
func (s policyScene) modePods(want map[string]float64) {
	s.T.Helper()
	reader := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	for mode, pods := range want {
		if got := s.Metric(reader, "taint_manager_policy_pods", fmt.Sprintf("mode=%q", mode)); got != pods {
			s.T.Errorf("the metric of mode %s is %v, want %v", mode, got, pods)
		}
	}
}

func TestPolicyMinTaintAge(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(3)
	s.create("slow", "matchingPrecedence: 100, mode: Delete, minTaintAgeSeconds: 4, taints: [{key: ill}]")
	s.create("plain", "matchingPrecedence: 100, mode: Delete, taints: [{key: plain}]")
	mistake, meant, plain := s.Pod(nodes[0]), s.Pod(nodes[1]), s.Pod(nodes[2])
	tainted, first := s.Taint(nodes[1], builders.NoExecute("ill")), s.Taint(nodes[2], builders.NoExecute("plain"))
	s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Evicted(plain, harness.Due(first, 0))
	s.Untaint(nodes[0])
	s.Evicted(meant, harness.Due(tainted, 4))
	s.Stays(mistake, tainted.After.Add(7*time.Second), "its node's taint went before it was old enough")
}

func TestPolicyExpires(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(3)
	expires := time.Now().Add(8 * time.Second).Truncate(time.Second)
	until := func(key string, end time.Time) string {
		return fmt.Sprintf("matchingPrecedence: 100, mode: Keep, taints: [{key: %s}], expireTime: %q", key, end.UTC().Format(time.RFC3339))
	}
	s.create("for-a-while", until("ill", expires))
	s.create("over", until("over", expires.Add(-time.Hour)))
	s.create("for-good", "matchingPrecedence: 100, mode: Keep, taints: [{key: good}]")
	pod, over, kept := s.Pod(nodes[0]), s.Pod(nodes[1]), s.Pod(nodes[2])
	s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Taint(nodes[2], builders.NoExecute("good"))
	s.Evicted(over, harness.Due(s.Taint(nodes[1], builders.NoExecute("over")), 0))
	s.counts("for-a-while", 0, 0, 0, 1, 1)
	s.counts("for-good", 0, 0, 0, 1, 1)
	outcome := s.Evicted(pod, harness.Due(timing.Moment{Before: expires, After: expires}, 0))
	s.counts("for-a-while", 0, 0, 0, 0, 0)
	s.Stays(kept, expires.Add(2*time.Second), "its policy does not expire")
	s.Saw("evicted %s after the policy expired", timing.Round(outcome.At.Sub(expires)))
}

func TestPolicyWhichApplies(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(2)
	s.create("a-late", "matchingPrecedence: 200, mode: Keep, taints: [{key: ill}]")
	s.create("b-first", "matchingPrecedence: 100, mode: Delete, taints: [{key: ill}], podSelector: {matchLabels: {app: web}}")
	s.create("c-equal", "matchingPrecedence: 100, mode: Keep, taints: [{key: ill}], podSelector: {matchLabels: {app: web, tier: data}}")
	labelled := func(labels map[string]string) builders.Change {
		return func(pod *corev1.Pod) { pod.Labels = labels }
	}
	web := s.Pod(nodes[0], labelled(map[string]string{"app": "web"}))
	data := s.Pod(nodes[0], labelled(map[string]string{"app": "web", "tier": "data"}))
	none := s.Pod(nodes[0])
	both := s.Pod(nodes[1])
	tainted := s.Taint(nodes[0], builders.NoExecute("ill"))
	second := s.Taint(nodes[1], builders.NoExecute("ill"), builders.NoExecute("worse"))
	s.Evicted(web, harness.Due(tainted, 0))
	s.Evicted(both, harness.Due(second, 0)) // by the other taint
	s.counts("a-late", 0, 0, 0, 1, 1)
	s.counts("c-equal", 0, 0, 0, 1, 1)
	s.Stays(data, tainted.After.Add(3*time.Second), "at equal precedence Keep comes first")
	s.Stays(none, tainted.After.Add(3*time.Second), "the policy of precedence 200 keeps it")
	changed, err := timing.Of(func() error { return s.setLabels(none, `{"app":"web"}`) })
	s.Must(err)
	s.Evicted(none, harness.Due(changed, 0))
}

// setLabels changes labels of a pod.
func (s policyScene) setLabels(pod *corev1.Pod, labels string) error {
	return s.Client.CoreV1().RESTClient().Patch("application/merge-patch+json").Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		Body([]byte(`{"metadata":{"labels":` + labels + `}}`)).Do(s.Context()).Error()
}

func TestPolicySelectsNodesAndNamespaces(t *testing.T) {
	s := withPolicies(t)
	beside := s.Beside("other")
	nodes := []string{s.Node(), beside.Node()}
	var selector []string
	for key, value := range s.NodeSelector() {
		selector = append(selector, fmt.Sprintf("%s: %s", key, value))
	}
	s.create("node", "matchingPrecedence: 100, mode: Keep, taints: [{key: by-node}], nodeSelector: {matchLabels: {"+strings.Join(selector, ", ")+"}}")
	s.create("namespace", "matchingPrecedence: 100, mode: Keep, taints: [{key: by-namespace}], "+
		"namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: ["+s.Namespace+"]}]}")
	here, there := s.Pod(nodes[0]), beside.Pod(nodes[1])
	tainted := s.Taint(nodes[0], builders.NoExecute("by-node"), builders.NoExecute("by-namespace"))
	first := s.Taint(nodes[1], builders.NoExecute("by-node"))
	beside.Evicted(there, harness.Due(first, 0))
	again := beside.Pod(nodes[0])
	outcome := beside.Await(again, time.Now().Add(5*time.Second))
	if !outcome.Evicted {
		t.Error("a pod of another namespace is kept")
	}
	s.Stays(here, tainted.After.Add(3*time.Second), "both policies keep it")
}

func TestPolicyAfterARestart(t *testing.T) {
	s := withPolicies(t)
	node := s.Node()
	s.create("keep", "matchingPrecedence: 0, mode: Keep")
	pod := s.Pod(node)
	s.Taint(node, builders.NoExecute("ill"))
	s.counts("keep", 0, 0, 0, 1, 1)
	s.Must(s.Controller.Kill())
	s.Must(s.Controller.Start(s.Context()))
	s.Stays(pod, time.Now().Add(5*time.Second), "a restarted controller reads policies before it evicts")
}

func TestPolicyNoScheduleTaint(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(2)
	noSchedule := func(key string) corev1.Taint { return corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule} }
	tolerating := func(effect corev1.TaintEffect) builders.Change {
		return builders.With(corev1.Toleration{Key: "maintenance", Operator: corev1.TolerationOpExists, Effect: effect})
	}
	goes, tolerates := s.Pod(nodes[0]), s.Pod(nodes[0], tolerating(corev1.TaintEffectNoSchedule))
	seconds := s.Pod(nodes[0], builders.Tolerates("maintenance", 9))
	cordoned := s.Pod(nodes[1])
	s.Taint(nodes[0], noSchedule("maintenance"))
	tainted := s.Taint(nodes[1], noSchedule("other"), noSchedule(corev1.TaintNodeUnschedulable))
	s.Quiet(goes, tainted.After.Add(3*time.Second))
	created, err := timing.Of(func() error {
		s.create("maintenance", "matchingPrecedence: 100, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: maintenance, effect: NoSchedule}]")
		return nil
	})
	s.Must(err)
	s.Evicted(goes, harness.Due(created, 5))
	s.Evicted(seconds, harness.Due(created, 9))
	s.Stays(tolerates, time.Now().Add(time.Second), "it tolerates the taint")
	s.Stays(cordoned, time.Now().Add(time.Second), "no policy names its node's taints")
}
