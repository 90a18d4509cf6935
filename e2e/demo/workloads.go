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

package main

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	namespace = "demo"
	appLabel  = "app"
	// The taint is the one of "kubectl taint nodes NODE repair=disk:NoExecute".
	taintKey   = "repair"
	taintValue = "disk"
)

// workload is a Deployment with as many pods on each node as on any other.
type workload struct {
	name      string
	perNode   int
	tolerates tolerance
}

func workloads() []workload {
	return []workload{
		{"web", 2, tolerance{}},
		{"cache", 1, tolerance{seconds: 5}},
		{"batch", 3, tolerance{seconds: 12}},
		{"agent", 1, tolerance{forever: true}},
	}
}

// tolerations for the demo's taint. The one for ever is for any taint, as those of the pods that run a cluster.
func (t tolerance) tolerations() []corev1.Toleration {
	switch {
	case t.forever:
		return []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	case t.seconds > 0:
		return []corev1.Toleration{{
			Key: taintKey, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
			TolerationSeconds: ptr.To(t.seconds),
		}}
	}
	return nil
}

// deployment has the scheduler spread the pods evenly: the constraint is a hard one, and leaves out the nodes that a pod
// may not go to.
func (w workload) deployment(nodes int) *appsv1.Deployment {
	labels := map[string]string{appLabel: w.name}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(nodes * w.perNode)),
			Selector: selector,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers:  []corev1.Container{{Name: w.name, Image: "pretended"}}, // kwok runs nothing
					Tolerations: w.tolerates.tolerations(),
					TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
						MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
						NodeTaintsPolicy: ptr.To(corev1.NodeInclusionPolicyHonor), LabelSelector: selector,
					}},
				},
			},
		},
	}
}

// taints are those of a node that is to be emptied. NoSchedule keeps away the successors of pods that tolerate NoExecute
// for some seconds: to the scheduler that is as good as for ever.
func taints() []corev1.Taint {
	var list []corev1.Taint
	for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
		list = append(list, corev1.Taint{Key: taintKey, Value: taintValue, Effect: effect})
	}
	return list
}

// setSeconds changes for how long a pod that runs tolerates the demo's taint; its Deployment stays as it is. The test
// guards against another toleration having come first.
func setSeconds(ctx context.Context, client kubernetes.Interface, pod string, seconds int64) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/spec/tolerations/0/key", "value": taintKey},
		{"op": "replace", "path": "/spec/tolerations/0/tolerationSeconds", "value": seconds},
	})
	if err != nil {
		return fmt.Errorf("toleration of %s: %w", pod, err)
	}
	_, err = client.CoreV1().Pods(namespace).Patch(ctx, pod, types.JSONPatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("toleration of %s: %w", pod, err)
	}
	return nil
}
