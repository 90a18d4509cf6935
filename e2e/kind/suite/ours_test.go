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
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const (
	ourName  = "taint-manager" // of the Deployment, the Lease and the namespace of the overlay own-namespace
	selector = "app.kubernetes.io/name=" + ourName
	replicas = 2
)

// deployment is ours, in one of the namespaces that manifests/ puts it into.
type deployment struct{ namespace, overlay string }

var (
	ours           = deployment{metav1.NamespaceSystem, "kind"}
	inOwnNamespace = deployment{ourName, "own-namespace"}
)

// complete says what the Deployment lacks.
func (d deployment) complete(ctx context.Context) error {
	live, err := client.AppsV1().Deployments(d.namespace).Get(ctx, ourName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := completeDeployment(live); err != nil {
		return err
	}
	pods, err := d.pods(ctx)
	if err != nil {
		return err
	}
	if len(pods) != replicas {
		return fmt.Errorf("Deployment %s in %s has %d pods, and not %d", live.Name, live.Namespace, len(pods), replicas)
	}
	return nil
}

func completeDeployment(d *appsv1.Deployment) error {
	want, status := *d.Spec.Replicas, d.Status
	if status.ObservedGeneration < d.Generation || status.UpdatedReplicas != want || status.Replicas != want || status.AvailableReplicas != want {
		return fmt.Errorf("Deployment %s has %d pods, %d of them updated, %d available, of %d", d.Name,
			status.Replicas, status.UpdatedReplicas, status.AvailableReplicas, want)
	}
	return nil
}

// pods are all that there are, also those that are going.
func (d deployment) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := client.CoreV1().Pods(d.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// holder is who the Lease names.
func (d deployment) holder(ctx context.Context) (string, error) {
	lease, err := client.CoordinationV1().Leases(d.namespace).Get(ctx, ourName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return ptr.Deref(lease.Spec.HolderIdentity, ""), nil
}

// leader is the pod that leads. (An identity is the name of the host, which is the pod's, or in the host network the node's,
// and a UUID.)
func (d deployment) leader(ctx context.Context) (*corev1.Pod, error) {
	holder, err := d.holder(ctx)
	if err != nil {
		return nil, err
	}
	pods, err := d.pods(ctx)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		host := pods[i].Name
		if pods[i].Spec.HostNetwork {
			host = pods[i].Spec.NodeName
		}
		if strings.HasPrefix(holder, host+"_") {
			return &pods[i], nil
		}
	}
	return nil, fmt.Errorf("no pod is %q, which the Lease names as the leader", holder)
}

// mustLead waits for a leader.
func (s *scene) mustLead(d deployment) *corev1.Pod {
	s.Helper()
	var leader *corev1.Pod
	s.eventually("a leader", 30*time.Second, func(ctx context.Context) (err error) {
		leader, err = d.leader(ctx)
		return err
	})
	return leader
}

// restart begins what kubectl rollout restart does.
func (d deployment) restart(ctx context.Context) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
	_, err := client.AppsV1().Deployments(d.namespace).Patch(ctx, ourName, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// apply deploys us, waits until the Deployment is complete and one leads, and returns what kubectl printed.
func (s *scene) apply(d deployment) string {
	s.Helper()
	out, err := cluster.Kubectl(s.Context(), "apply", "-k", nodes.Overlay(d.overlay))
	s.must(err)
	s.eventually("a complete Deployment in "+d.namespace, 2*time.Minute, d.complete)
	s.mustLead(d)
	return out
}

// remove deletes all that apply has made, and waits until our pods are gone.
func (d deployment) remove(ctx context.Context) error {
	if _, err := cluster.Kubectl(ctx, "delete", "--ignore-not-found", "-k", nodes.Overlay(d.overlay)); err != nil {
		return err
	}
	return poll(ctx, time.Minute, func(ctx context.Context) error {
		pods, err := d.pods(ctx)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d of our pods are still there", len(pods))
		}
		return err
	})
}

// metrics reads /metrics of one of our pods.
func metrics(ctx context.Context, pod *corev1.Pod, token string) (string, error) {
	return raw(ctx, pod, "/metrics", token)
}

// raw reads a path of one of our pods. The request is made on the pod's own node, because not all networks carry one from
// elsewhere; every node of kind has a kubectl, which is a client for it.
func raw(ctx context.Context, pod *corev1.Pod, path, token string) (string, error) {
	address := "https://" + net.JoinHostPort(pod.Status.PodIP, ourPort)
	return cluster.Exec(ctx, pod.Spec.NodeName, "kubectl", "get", "--raw", path, "--server", address,
		"--insecure-skip-tls-verify", "--token", token)
}

// sample is the value of a metric, with its labels as they are written, or 0 if there is none.
func sample(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	if !strings.Contains(text, "# HELP") {
		return 0, errors.New("these are no metrics: " + text)
	}
	return 0, nil
}
