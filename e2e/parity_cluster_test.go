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
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// TestParityIllnessTakesTurns has a node that is ill, and then silent: the node lifecycle controller replaces one taint by
// the other, and the count goes on.
func TestParityIllnessTakesTurns(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	const tolerated = 20
	pod := s.Pod(node, builders.Tolerates(corev1.TaintNodeUnreachable, tolerated), builders.Tolerates(corev1.TaintNodeNotReady, tolerated))
	s.Running(pod)
	s.Silence(node)
	s.Sicken(node)
	ill := s.AwaitTaint(node, corev1.TaintNodeNotReady, 30*time.Second)
	silent := s.AwaitTaint(node, corev1.TaintNodeUnreachable, tolerated*time.Second)
	t.Logf("the taints changed after %s", silent.After.Sub(ill.After))
	s.Evicted(pod, harness.Due(ill, tolerated))
}

// TestParityTimeAddedStampedAnew has the time of a taint moved while it is there all the time.
func TestParityTimeAddedStampedAnew(t *testing.T) {
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node, builders.Tolerates("ill", 5))
	s.Running(pod)
	tainted := s.Taint(node, builders.NoExecuteSince("ill", time.Now()))
	s.Quiet(pod, tainted.After.Add(3*time.Second))
	s.Taint(node, builders.NoExecuteSince("ill", time.Now()))
	s.Evicted(pod, harness.Due(tainted, 5))
}

func TestParityDeploymentComesBack(t *testing.T) {
	s := suite.Shared(t)
	nodes := s.Nodes(2)
	const replicas = 4
	template := builders.Pod("")
	template.Spec.NodeSelector = s.NodeSelector()
	_, err := s.Client.AppsV1().Deployments(s.Namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(replicas)),
			Selector: &metav1.LabelSelector{MatchLabels: template.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: template.ObjectMeta, Spec: template.Spec},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	s.Eventually("running", 30*time.Second, func(ctx context.Context) error { return running(ctx, s, replicas, nodes...) })
	s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Eventually("back on the other node", 30*time.Second, func(ctx context.Context) error {
		return running(ctx, s, replicas, nodes[1])
	})
}

// running says whether exactly so many pods run, all on these nodes, and none of them is being deleted.
func running(ctx context.Context, s *harness.Scene, want int, nodes ...string) error {
	pods, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	on := map[string]int{}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			on[pod.Spec.NodeName]++
		}
	}
	total := 0
	for _, node := range nodes {
		total += on[node]
	}
	if total != want || len(pods.Items) != want {
		return fmt.Errorf("of %d pods, running on nodes: %v", len(pods.Items), on)
	}
	return nil
}
