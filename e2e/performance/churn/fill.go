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
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

// fillers is how many objects are being made at the same time.
const fillers = 8

// fill makes nodes without taints, and pods that run on them.
func fill(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, o options) error {
	cluster := load.Cluster{Nodes: o.nodes, Pods: o.pods, Began: time.Now().Truncate(time.Second)}
	namespaces := sets.New[string]()
	for pod := range o.pods {
		namespaces.Insert(load.Namespace(pod))
	}
	for name := range namespaces {
		if err := cp.Namespace(ctx, name); err != nil {
			return err
		}
	}
	if err := loop.Each(ctx, fillers, o.nodes, func(ctx context.Context, i int) error { return makeNode(ctx, client, cluster, i) }); err != nil {
		return fmt.Errorf("making nodes: %w", err)
	}
	if err := loop.Each(ctx, fillers, o.pods, func(ctx context.Context, i int) error { return makePod(ctx, client, cluster, i) }); err != nil {
		return fmt.Errorf("making pods: %w", err)
	}
	return nil
}

// created is the metadata that a client may choose.
func created(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: meta.Name, Namespace: meta.Namespace, Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
	}
}

func makeNode(ctx context.Context, client kubernetes.Interface, cluster load.Cluster, i int) error {
	api := client.CoreV1().Nodes()
	node := cluster.Node(i, 0, time.Now())
	node.ObjectMeta = created(node.ObjectMeta)
	node, err := api.Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	node.Spec.Taints = nil // admission gave it one for not being ready
	_, err = api.Update(ctx, node, metav1.UpdateOptions{})
	return err
}

func makePod(ctx context.Context, client kubernetes.Interface, cluster load.Cluster, i int) error {
	pod := cluster.Pod(i, 0, time.Now())
	api, status := client.CoreV1().Pods(pod.Namespace), pod.Status
	pod.ObjectMeta = created(pod.ObjectMeta)
	pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "", "" // the one that each namespace has
	pod.Spec.AutomountServiceAccountToken = ptr.To(false)
	pod, err := api.Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	pod.Status = status
	_, err = api.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}
