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
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

// TestParityWebhookNeverAnswers has the API server wait for a webhook on deletions, for as long as it waits for one by default,
// and then go on without.
func TestParityWebhookNeverAnswers(t *testing.T) {
	const timeout = 10 * time.Second
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	hook := s.Webhook("never", webhook.Options{
		Operation: admissionv1.Delete, Resource: "pods", FailurePolicy: admissionv1.Ignore, Timeout: timeout,
	})
	hook.Answers(webhook.NeverAnswer)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(tainted, timeout.Seconds()))
	if calls := hook.Calls(); calls != 1 {
		t.Errorf("the webhook was asked %d times about one pod", calls)
	}
}

// TestParitySlowWebhooks has two webhooks, which are called one after another, hold up each write of a pod's status.
func TestParitySlowWebhooks(t *testing.T) {
	const each = 6 * time.Second
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	var webhooks []*harness.Webhook
	for _, name := range []string{"first", "second"} {
		webhooks = append(webhooks, s.Webhook(name, webhook.Options{
			Mutating: true, Operation: admissionv1.Update, Resource: "pods/status",
		}))
	}
	for _, hook := range webhooks {
		hook.Answers(webhook.AllowAfter(each))
		t.Cleanup(func() { hook.Answers(webhook.Allow) }) // the end of one asks the other
	}
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(tainted, 2*each.Seconds()))
	if got := builders.ConditionOf(s.Last(pod), corev1.DisruptionTarget); got == nil || got.Status != corev1.ConditionTrue {
		t.Errorf("condition DisruptionTarget: %v", got)
	}
}

// TestParityDisruptionTargetOfAnotherReason evicts a pod that was once marked for a preemption that did not happen.
func TestParityDisruptionTargetOfAnotherReason(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node)
	s.Running(pod)
	s.SetCondition(pod, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler,
		LastTransitionTime: metav1.Now(), // two minutes later the disruption controller takes it back
	})
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(tainted, 0))
	got := builders.ConditionOf(s.Last(pod), corev1.DisruptionTarget)
	if got == nil || got.Status != corev1.ConditionTrue || got.Reason != "DeletionByTaintManager" {
		t.Errorf("condition DisruptionTarget: %v", got)
	}
}
