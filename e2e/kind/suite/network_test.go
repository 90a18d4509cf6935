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
	"net"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
)

const (
	ourPort   = "10290"
	otherPort = "8080" // one that our NetworkPolicy does not name
)

func TestMetricsBehindTheNetworkPolicy(t *testing.T) {
	s := shared(t)
	policy, err := client.NetworkingV1().NetworkPolicies(ours.namespace).Get(t.Context(), ourName, metav1.GetOptions{})
	s.must(err)
	s.must(ours.complete(t.Context())) // which says that the kubelets' probes get through
	pods, err := ours.pods(t.Context())
	s.must(err)
	token, stranger := s.token("reader", "taint-manager-metrics-reader"), s.token("stranger", "")
	for i := range pods {
		text, err := metrics(t.Context(), &pods[i], token)
		if err != nil || !strings.Contains(text, "taint_manager_scheduled_evictions") {
			t.Errorf("metrics of pod %s: %v, %q", pods[i].Name, err, text)
		}
		if _, err := metrics(t.Context(), &pods[i], stranger); err == nil {
			t.Errorf("pod %s shows its metrics to an account that has no right to them", pods[i].Name)
		}
	}
	s.checkEndpoints(pods)
	for i := range pods {
		if pods[i].Spec.NodeName != cluster.ControlPlane() {
			if err := s.dial(pods[i].Spec.NodeName, pods[i].Status.PodIP, ourPort); err != nil {
				t.Errorf("from a pod of the same node: %v", err)
			}
		}
	}
	s.measured("NetworkPolicy", s.enforcement(policy))
}

// token is one of a new service account, that may have a ClusterRole.
func (s *scene) token(account, role string) string {
	s.Helper()
	accounts := client.CoreV1().ServiceAccounts(s.namespace)
	_, err := accounts.Create(s.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	s.must(err)
	if role != "" {
		name := s.namespace + "-" + account
		_, err := client.RbacV1().ClusterRoleBindings().Create(s.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: s.namespace}},
		}, metav1.CreateOptions{})
		s.must(err)
		s.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := client.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				s.Errorf("clearing: %v", err)
			}
		})
	}
	request, err := accounts.CreateToken(s.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	s.must(err)
	return request.Status.Token
}

// checkEndpoints checks that our Service has all of our pods, and nothing else.
func (s *scene) checkEndpoints(pods []corev1.Pod) {
	s.Helper()
	want := map[string]bool{}
	for i := range pods {
		want[pods[i].Status.PodIP] = true
	}
	s.eventually("Service "+ourName+" with the addresses of our pods", 10*time.Second, func(ctx context.Context) error {
		slices, err := client.DiscoveryV1().EndpointSlices(ours.namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + ourName})
		if err != nil {
			return err
		}
		var has []string
		for _, slice := range slices.Items {
			for _, endpoint := range slice.Endpoints {
				has = append(has, endpoint.Addresses...)
			}
		}
		for _, address := range has {
			if !want[address] {
				return fmt.Errorf("it has the address %s, which is of none of our pods", address)
			}
		}
		if len(has) != len(want) {
			return fmt.Errorf("it has the addresses %v, and not %v", has, want)
		}
		return nil
	})
}

// enforcement says whether the cluster's network enforces a copy of our NetworkPolicy; where it does not, that
// everything works with the policy tells nothing about the policy.
func (s *scene) enforcement(policy *networkingv1.NetworkPolicy) string {
	s.Helper()
	node := s.worker()
	server := s.run(on(node), labelled("server"), running("-listen=:"+ourPort+",:"+otherPort), func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "https", ContainerPort: 10290}, {ContainerPort: 8080}}
	})
	address := server.Status.PodIP
	if err := s.dial(node, address, otherPort); err != nil {
		s.Errorf("pods of one node do not reach each other without a NetworkPolicy: %v", err)
		return "unknown"
	}
	spec := policy.Spec.DeepCopy()
	spec.PodSelector = metav1.LabelSelector{MatchLabels: server.Labels}
	_, err := client.NetworkingV1().NetworkPolicies(s.namespace).Create(s.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "copy"}, Spec: *spec,
	}, metav1.CreateOptions{})
	s.must(err)
	if err := s.dial(node, address, ourPort); err != nil {
		s.Errorf("our NetworkPolicy lets nobody reach the port of health and metrics: %v", err)
	}
	if s.dial(node, address, otherPort) == nil {
		return "NOT enforced by the network of this cluster, so not tested here"
	}
	return "enforced"
}

// dial connects from a new pod on that node.
func (s *scene) dial(node, ip, port string) error {
	s.Helper()
	address := net.JoinHostPort(ip, port)
	pod, _ := s.pod(on(node), running("-dial="+address), func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyNever })
	ended := func(phase corev1.PodPhase) bool { return phase == corev1.PodSucceeded || phase == corev1.PodFailed }
	s.watch.Await(s.Context(), time.Now().Add(starting), func(seen *podwatch.Sightings) bool { return ended(seen.Of(pod).Last.Status.Phase) })
	switch phase := s.watch.Of(pod).Last.Status.Phase; phase {
	case corev1.PodSucceeded:
		return nil
	case corev1.PodFailed:
		return fmt.Errorf("a pod on node %s cannot connect to %s", node, address)
	default:
		s.Fatalf("pod %s, which dials %s, is %s after %s", pod.Name, address, phase, starting)
		return nil
	}
}
