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

package controlplane

import (
	"context"
	"fmt"
	"runtime"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// NewNode describes a node with room for many pods, and changes it as told. When it is created kwok reports it ready.
func NewNode(name string, change ...func(*corev1.Node)) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("4Ti"),
		corev1.ResourcePods:             resource.MustParse("10000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: runtime.GOARCH,
			},
		},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room.DeepCopy()},
	}
	for _, f := range change {
		f(node)
	}
	return node
}

// CreateNode creates a node as NewNode describes it.
func CreateNode(
	ctx context.Context, client kubernetes.Interface, name string, change ...func(*corev1.Node),
) (*corev1.Node, error) {
	node, err := client.CoreV1().Nodes().Create(ctx, NewNode(name, change...), metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("creating node %s: %w", name, err)
	}
	return node, nil
}

// CreateReadyNodes creates n nodes with the names node-0, node-1 and so on, and waits until they are ready.
func CreateReadyNodes(ctx context.Context, client kubernetes.Interface, n int) error {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node-%d", i)
		if _, err := CreateNode(ctx, client, names[i]); err != nil {
			return err
		}
	}
	return WaitForNodes(ctx, client, names...)
}

// WaitForNodes waits up to a minute until the nodes are ready and no longer tainted for not having been. It takes kwok
// and a controller manager.
func WaitForNodes(ctx context.Context, client kubernetes.Interface, names ...string) error {
	for _, name := range names {
		err := poll(ctx, "node "+name, func(ctx context.Context) error {
			node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			return unready(node)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unready says why a node is not ready, if it is not.
func unready(node *corev1.Node) error {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady || taint.Key == corev1.TaintNodeUnreachable {
			return fmt.Errorf("node %s has the taint %s", node.Name, taint.ToString())
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s does not report to be ready", node.Name)
}

// Silence stops the heartbeats of one node, and everything else that its kubelet would do: see SilentLabel. When the
// controller manager's grace period is over it taints the node as unreachable.
//
// With NoExecute it does that only while it believes the nodes rather than itself to be ill. Where no node at all
// reports, as after a Kill of kwok, it adds no such taint and takes away those that are there; and in a cluster of at
// most 50 nodes it adds none to a zone of which more than two nodes and 55 % are silent. Of several silent nodes in a
// zone it taints one in ten seconds, unless its --node-eviction-rate says otherwise.
func Silence(ctx context.Context, client kubernetes.Interface, node string) error {
	return patchNode(ctx, client, node, `{"metadata":{"labels":{"`+SilentLabel+`":""}}}`)
}

// Unsilence undoes Silence.
func Unsilence(ctx context.Context, client kubernetes.Interface, node string) error {
	return patchNode(ctx, client, node, `{"metadata":{"labels":{"`+SilentLabel+`":null}}}`)
}

func patchNode(ctx context.Context, client kubernetes.Interface, node, patch string) error {
	_, err := client.CoreV1().Nodes().
		Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("changing node %s: %w", node, err)
	}
	return nil
}
