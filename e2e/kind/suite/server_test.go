//go:build kind

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

package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
)

// ingress is the name of a Deployment of servers, of its Service, of its budget, and the label app of its pods.
const ingress = "ingress"

// drain is how long a server goes on serving when it is not ready any more: until every kube-proxy sends it nothing.
const drain = "10s"

// deployIngress runs servers, as many on each node without taints as can be, behind a Service, with a budget that lets one of them be away.
func (s *scene) deployIngress(servers int32, changes ...builders.Change) {
	s.Helper()
	selector := map[string]string{"app": ingress}
	_, err := client.CoreV1().Services(s.namespace).Create(s.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: ingress},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}, metav1.CreateOptions{})
	s.must(err)
	_, err = client.PolicyV1().PodDisruptionBudgets(s.namespace).Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: ingress},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(servers - 1)), Selector: &metav1.LabelSelector{MatchLabels: selector},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	probed := func(pod *corev1.Pod) {
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)},
			},
			PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 2,
		}
	}
	s.deploy(ingress, servers, append([]builders.Change{running("-serve=:8080", "-linger="+drain), grace(40), spread, probed}, changes...)...)
}

// spread spreads pods with the same label evenly over the nodes whose taints they tolerate.
func spread(pod *corev1.Pod) {
	pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
		NodeTaintsPolicy: ptr.To(corev1.NodeInclusionPolicyHonor),
		LabelSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": ingress}},
	}}
}

// awaitBudget waits until the budget knows the servers, of which one may go.
func (s *scene) awaitBudget(servers int32) {
	s.Helper()
	s.eventually("the budget", 30*time.Second, func(ctx context.Context) error {
		budget, err := client.PolicyV1().PodDisruptionBudgets(s.namespace).Get(ctx, ingress, metav1.GetOptions{})
		if err == nil && (budget.Status.CurrentHealthy != servers || budget.Status.DisruptionsAllowed != 1) {
			err = fmt.Errorf("its status is %+v", budget.Status)
		}
		return err
	})
}

// fewestReady watches the pods with the label until it is ended, and returns how many were ready and to stay at the same
// time, at least: it counts at each event of the watch, which has each change of a pod.
func (s *scene) fewestReady(app string) (end func() int) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	s.Cleanup(cancel)
	var mu sync.Mutex
	ready := sets.New[types.UID]()
	fewest := -1 // until all that there are have been seen
	s.must(podwatch.Follow(ctx, client, s.namespace, func(pod *corev1.Pod, gone bool, _ time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if pod.Labels["app"] != app {
			return
		}
		ready.Delete(pod.UID)
		if !gone && pod.DeletionTimestamp == nil && isReady(pod) {
			ready.Insert(pod.UID)
		}
		fewest = min(fewest, ready.Len())
	}))
	mu.Lock()
	defer mu.Unlock()
	fewest = ready.Len()
	return func() int {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		return fewest
	}
}
