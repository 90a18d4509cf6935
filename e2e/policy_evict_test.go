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
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// web are the labels of the pods of the Deployment in these tests.
func web() map[string]string { return map[string]string{"app": "web"} }

// deploy makes a Deployment on the scene's nodes with a budget that wants all of its pods but one, and waits until they are ready.
func (s policyScene) deploy(replicas int32) {
	s.T.Helper()
	_, err := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(replicas - 1)), Selector: &metav1.LabelSelector{MatchLabels: web()},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	template := builders.Pod("")
	template.Labels = web()
	template.Spec.NodeSelector = s.NodeSelector()
	template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: web()},
	}}
	_, err = s.Client.AppsV1().Deployments(s.Namespace).Create(s.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: web()},
			Template: corev1.PodTemplateSpec{ObjectMeta: template.ObjectMeta, Spec: template.Spec},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	s.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Client.AppsV1().Deployments(s.Namespace).Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
			s.T.Errorf("removing the Deployment: %v", err)
		}
	})
	s.Eventually("the budget", 30*time.Second, func(ctx context.Context) error {
		budget, err := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (budget.Status.CurrentHealthy != replicas || budget.Status.DisruptionsAllowed != 1) {
			err = fmt.Errorf("its status is %+v", budget.Status)
		}
		return err
	})
}

// fewest watches the pods of the Deployment until it is ended, and returns how many were ready at the same time, at least.
func (s policyScene) fewest() (end func() int) {
	s.T.Helper()
	selector := metav1.ListOptions{LabelSelector: "app=web"}
	list, err := s.Client.CoreV1().Pods(s.Namespace).List(s.Context(), selector)
	s.Must(err)
	ctx, cancel := context.WithCancel(s.Context())
	selector.ResourceVersion = list.ResourceVersion
	events, err := s.Client.CoreV1().Pods(s.Namespace).Watch(ctx, selector)
	s.Must(err)
	ready := map[types.UID]bool{}
	for i := range list.Items {
		ready[list.Items[i].UID] = serves(&list.Items[i])
	}
	fewest, done := count(ready), make(chan struct{})
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				ready[pod.UID] = event.Type != "DELETED" && serves(pod)
				fewest = min(fewest, count(ready))
			}
		}
	}()
	return func() int {
		cancel()
		<-done
		return fewest
	}
}

// serves reports whether a pod is ready and stays.
func serves(pod *corev1.Pod) bool {
	condition := builders.ConditionOf(pod, corev1.PodReady)
	return pod.DeletionTimestamp == nil && condition != nil && condition.Status == corev1.ConditionTrue
}

func count(ready map[types.UID]bool) (n int) {
	for _, is := range ready {
		if is {
			n++
		}
	}
	return n
}

// empty waits until no pod of the Deployment is left on a node.
func (s policyScene) empty(node string) {
	s.T.Helper()
	s.Eventually("emptying "+node, 60*time.Second, func(ctx context.Context) error {
		pods, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web", FieldSelector: "spec.nodeName=" + node})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods are left", len(pods.Items))
		}
		return err
	})
}

// TestPolicyRollout empties two nodes, one after the other, of a Deployment whose budget wants three of four pods: by mode Delete they are
// fewer for a moment, by mode Evict never.
func TestPolicyRollout(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(3)
	s.create("delete", "matchingPrecedence: 100, mode: Delete, taints: [{key: deleting}]")
	s.create("evict", "matchingPrecedence: 100, mode: Evict, taints: [{key: evicting}], evict: {deleteAfter: Never}")
	s.Taint(nodes[2], corev1.Taint{Key: "spare", Effect: corev1.TaintEffectNoSchedule})
	s.deploy(4)
	s.Untaint(nodes[2])
	rollout := func(key string) int {
		end := s.fewest()
		for _, node := range nodes[:2] {
			s.Taint(node, builders.NoExecute(key))
			s.empty(node)
			s.Untaint(node)
		}
		return end()
	}
	began := time.Now()
	evicting := rollout("evicting")
	took := time.Since(began)
	s.Eventually("recovery", 30*time.Second, func(ctx context.Context) error {
		pods, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return err
		}
		if len(pods.Items) != 4 {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
	deleting := rollout("deleting")
	if evicting < 3 {
		t.Errorf("by mode Evict %d pods were ready at one time, the budget wants 3", evicting)
	}
	if deleting >= 3 {
		t.Errorf("by mode Delete %d pods were ready all the time: this test shows nothing", deleting)
	}
	s.Saw("of 4 pods at least %d were ready by mode Evict (both nodes empty after %s), %d by mode Delete", evicting, took.Round(time.Second), deleting)
}

// TestPolicyEvictIsBlocked has a budget that allows nothing.
func TestPolicyEvictIsBlocked(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(2)
	s.create("patient", "matchingPrecedence: 100, mode: Evict, taints: [{key: patient}], evict: {deleteAfter: Never}")
	s.create("strict", "matchingPrecedence: 100, mode: Evict, taints: [{key: strict}], evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 8}")
	_, err := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: web()},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	labelled := func(pod *corev1.Pod) { pod.Labels = web() }
	waits, ends, free := s.Pod(nodes[0], labelled), s.Pod(nodes[1], labelled), s.Pod(nodes[0])
	s.Running(waits, ends, free)
	s.Taint(nodes[0], builders.NoExecute("patient"))
	tainted := s.Taint(nodes[1], builders.NoExecute("strict"))
	s.counts("patient", 1, 1, 0, 0, 1)
	if outcome := s.Await(free, tainted.After.Add(3*time.Second)); !outcome.Evicted {
		t.Error("a pod without a budget is not evicted")
	}
	s.Evicted(ends, harness.Due(tainted, 8))
	if events := s.Events("TaintManagerEvictionBlocked", 1, time.Now().Add(15*time.Second)); len(events) == 0 || !strings.Contains(events[0].Message, "nothing") {
		t.Errorf("Events: %v", messages(events))
	}
	s.Stays(waits, tainted.After.Add(10*time.Second), "its budget allows nothing")
	s.Must(s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Delete(s.Context(), "nothing", metav1.DeleteOptions{}))
	if outcome := s.Await(waits, time.Now().Add(5*time.Second)); !outcome.Evicted {
		t.Error("the budget is gone, and the pod was not evicted within 5 s")
	}
	s.eventually("patient", "done", func(status policyv1alpha1.TaintEvictionPolicyStatus) bool {
		return ptr.Deref(status.ScheduledPods, -1) == 0
	})
}

// TestPolicyGracePeriod has nodes without kubelets, so that pods stay terminating.
func TestPolicyGracePeriod(t *testing.T) {
	s := withPolicies(t)
	nodes := s.HollowNodes(2)
	s.create("short", "matchingPrecedence: 100, mode: Delete, taints: [{key: short}], gracePeriodSeconds: 5")
	own := func(seconds int64) builders.Change {
		return func(pod *corev1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds }
	}
	s.create("own", "matchingPrecedence: 100, mode: Delete, taints: [{key: own}]")
	pods := map[int64]*corev1.Pod{5: s.Pod(nodes[0], own(30)), 2: s.Pod(nodes[0], own(2)), 40: s.Pod(nodes[1], own(40))}
	s.Taint(nodes[0], builders.NoExecute("short"))
	tainted := s.Taint(nodes[1], builders.NoExecute("own"))
	for want, pod := range pods {
		if outcome := s.Await(pod, tainted.After.Add(5*time.Second)); !outcome.Evicted {
			t.Errorf("pod %s is not evicted", pod.Name)
		} else if grace := ptr.Deref(s.Live(pod).DeletionGracePeriodSeconds, -1); grace != want {
			t.Errorf("pod %s has a grace period of %d s, want %d", pod.Name, grace, want)
		}
	}
}

// TestPolicyWithoutStreamingLists has an API server that streams no lists: policies, namespaces and budgets are listed.
func TestPolicyWithoutStreamingLists(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	s.policies = s.Policies()
	proxy := s.Proxy(0)
	proxy.RefuseStreamingLists(http.StatusUnprocessableEntity)
	controller := s.Start(harness.Options{Proxy: proxy})
	node := s.Node()
	s.create("here", "matchingPrecedence: 100, mode: Evict, taints: [{key: ill}], evict: {deleteAfter: Never}, "+
		"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "+s.Namespace+"}}")
	budgets := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace)
	_, err := budgets.Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: web()},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	pod := s.Pod(node, func(pod *corev1.Pod) { pod.Labels = web() })
	s.Running(pod)
	s.Taint(node, builders.NoExecute("ill"))
	s.counts("here", 1, 1, 0, 0, 1)
	s.Must(budgets.Delete(s.Context(), "nothing", metav1.DeleteOptions{}))
	if outcome := s.Await(pod, time.Now().Add(5*time.Second)); !outcome.Evicted {
		t.Error("the budget is gone, and the pod was not evicted within 5 s")
	}
	s.Must(controller.Stop()) // before the proxy
}
