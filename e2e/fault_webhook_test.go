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

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/webhook"
)

// TestFaultStatusWebhookDown has a webhook on the status of pods be down, as one that ran on the very node that died.
func TestFaultStatusWebhookDown(t *testing.T) {
	suite.OursOnly(t, "it deletes no pod whose condition cannot be written")
	s := suite.Shared(t)
	node := s.Node()
	pods := []*corev1.Pod{s.Pod(node), s.Pod(node)}
	s.Running(pods...)
	hook := s.Webhook("down", webhook.Options{Operation: admissionv1.Update, Resource: "pods/status"})
	hook.Down()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	for _, pod := range pods {
		s.Evicted(pod, harness.Due(tainted, 0))
		if got := builders.ConditionOf(s.Last(pod), corev1.DisruptionTarget); got != nil {
			t.Errorf("the webhook was not down: %v", got)
		}
	}
}

// TestFaultNodeReadsSlow has the API server answer the reads of nodes later than a read was ever waited for.
func TestFaultNodeReadsSlow(t *testing.T) {
	suite.OursOnly(t, "it reads no nodes")
	const slow, tolerated = 3 * time.Second, 2
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	controller := s.Start(harness.Options{Name: "slow-reads", Proxy: proxy})
	node := s.Node()
	metrics := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	var pods []*corev1.Pod
	for range 5 {
		pods = append(pods, s.Pod(node, builders.Tolerates("ill", tolerated)))
	}
	s.Running(pods...)
	proxy.Delay(slow, func(r *http.Request) bool { return r.URL.Path == "/api/v1/nodes/"+node })
	tainted := s.Taint(node, builders.NoExecute("ill"))
	for _, pod := range pods {
		// One that falls due during a read of another's waits for two.
		s.Evicted(pod, harness.Due(tainted, tolerated).Extend(2*slow))
	}
	if n := s.Metric(metrics, "taint_manager_slow_node_reads_total", ""); n < 1 || n > 3 {
		t.Errorf("%v slow reads of the node were counted", n)
	}
	log, err := controller.Log()
	s.Must(err)
	if !strings.Contains(log, "latency of etcd") {
		t.Error("the log does not say what to look at")
	}
}

// TestFaultPodAlwaysChanges has somebody write to a pod more often than a DELETE takes to reach the API server.
func TestFaultPodAlwaysChanges(t *testing.T) {
	suite.OursOnly(t, "its deletes are of any version, and of any pod")
	const slow = 500 * time.Millisecond
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	s.Start(harness.Options{Name: "changes", Proxy: proxy})
	node := s.Node()
	metrics := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	pod := s.Pod(node)
	s.Running(pod)
	proxy.Delay(slow, func(r *http.Request) bool { return r.Method == http.MethodDelete })
	ctx, cancel := context.WithCancel(t.Context())
	changed := make(chan error, 1)
	go func() { changed <- s.KeepChanging(ctx, pod, slow/10) }()
	tainted := s.Taint(node, builders.NoExecute("ill"))
	s.Evicted(pod, harness.Due(tainted, 5*slow.Seconds()))
	cancel()
	s.Must(<-changed)
	s.Eventually("the count", 5*time.Second, func(context.Context) error {
		if n := s.Metric(metrics, "taint_manager_unversioned_deletions_total", ""); n != 1 {
			return fmt.Errorf("%v deletions of any version", n)
		}
		return nil
	})
}
