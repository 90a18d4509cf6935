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

package snapshot

import (
	"context"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// maxNodeLists is how many nodes have their pods listed node by node. The API server looks through all pods for each such list, so for more
// nodes than that one list of all pods is cheaper.
const maxNodeLists = 50

// UnreadBudgets is the Unread.What of disruption budgets.
const UnreadBudgets = "disruption budgets"

// taintedNodes returns the nodes that have a taint that may evict. The nodes and the policies have been read.
func (r *Reader) taintedNodes(in *Input) (names []string) {
	nodes := *in
	nodes.At, nodes.Pods = r.Clock.Now(), nil
	s := New(nodes)
	for _, node := range in.Nodes {
		if len(s.Taints(node.Name)) > 0 {
			names = append(names, node.Name)
		}
	}
	return names
}

// podSelectors returns field selectors that together select the pods on some nodes, or more pods than that, if these are many nodes.
func podSelectors(nodes []string) (selectors []fields.Selector) {
	if len(nodes) > maxNodeLists {
		return []fields.Selector{fields.OneTermNotEqualSelector("spec.nodeName", "")}
	}
	for _, name := range nodes {
		selectors = append(selectors, fields.OneTermEqualSelector("spec.nodeName", name))
	}
	return selectors
}

// PodsOn reads the pods on some nodes as the API has them, and returns what keep keeps of each. Where the nodes are many it reads all pods.
func PodsOn[Kept any](ctx context.Context, r *Reader, nodes []string, keep func(*v1.Pod) (Kept, bool)) (all []Kept, err error) {
	wanted := sets.New(nodes...)
	for _, selector := range podSelectors(nodes) {
		options := metav1.ListOptions{FieldSelector: selector.String()}
		kept, err := List(ctx, r, "pods", options, r.Kube.CoreV1().Pods(metav1.NamespaceAll).List, func(pod *v1.Pod) (kept Kept, is bool) {
			if !wanted.Has(pod.Spec.NodeName) {
				return kept, false
			}
			return keep(pod)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, kept...)
	}
	return all, nil
}

// Terminating reads the metadata of the pods of a snapshot that are being deleted: when, and what they wait for. It reads nothing if there is
// none.
func (r *Reader) Terminating(ctx context.Context, s *Snapshot, namespace string) (map[types.UID]*metav1.ObjectMeta, []Unread, error) {
	wanted, found := map[types.UID]bool{}, map[types.UID]*metav1.ObjectMeta{}
	var nodes []string
	for _, pod := range s.Pods {
		if pod.Terminating {
			wanted[pod.UID] = true
			nodes = append(nodes, pod.Node())
		}
	}
	slices.Sort(nodes)
	for _, selector := range podSelectors(slices.Compact(nodes)) {
		options := metav1.ListOptions{FieldSelector: selector.String()}
		err := pages(ctx, r, "pods", options, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
			list, err := r.Metadata.Resource(v1.SchemeGroupVersion.WithResource("pods")).Namespace(namespace).List(ctx, options)
			if err != nil {
				return nil, 0, err
			}
			for i := range list.Items {
				if pod := &list.Items[i]; wanted[pod.UID] && pod.DeletionTimestamp != nil {
					found[pod.UID] = terminatingMeta(&pod.ObjectMeta)
				}
			}
			return list, len(list.Items), nil
		}, func() {})
		if err != nil {
			unread, err := Refused(err, "metadata of pods", "since when pods are terminating, and which finalizers they have")
			return found, unread, err
		}
	}
	return found, nil, nil
}

// terminatingMeta returns the part of a pod's metadata that is about its end.
func terminatingMeta(meta *metav1.ObjectMeta) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, Finalizers: meta.Finalizers,
		DeletionTimestamp: meta.DeletionTimestamp, DeletionGracePeriodSeconds: meta.DeletionGracePeriodSeconds,
	}
}

// Lease returns the Lease of the controller, or nil if there is none.
func (r *Reader) Lease(ctx context.Context, name types.NamespacedName) (*coordinationv1.Lease, []Unread, error) {
	lease, err := r.Kube.CoordinationV1().Leases(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		unread, err := Refused(err, "Lease "+name.String(), "whether a replica of taint-manager leads")
		return nil, unread, err
	}
	return lease, nil, nil
}

// onNodes drops the pods that are not on one of some nodes.
func onNodes(pods []*podcache.Pod, nodes []string) []*podcache.Pod {
	wanted := make(map[string]bool, len(nodes))
	for _, name := range nodes {
		wanted[name] = true
	}
	return slices.DeleteFunc(pods, func(pod *podcache.Pod) bool { return !wanted[pod.Node()] })
}
