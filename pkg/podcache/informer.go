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

package podcache

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// NodeNameIndex is the name of the pod informer's index by spec.nodeName.
const NodeNameIndex = "spec.nodeName"

// Pods is an informer of the pods that are bound to a node.
type Pods struct {
	cache.TypedSharedIndexInformer[*Pod]
	*Source
}

// NewPods returns an informer that has not been started.
func NewPods(client typedcorev1.CoreV1Interface, now clock.PassiveClock) (*Pods, error) {
	bound := fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	api := client.Pods(metav1.NamespaceAll)
	source := newSource("pods", client,
		func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = bound
			return api.List(ctx, options)
		},
		func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = bound
			return api.Watch(ctx, options)
		})
	var pods *Pods
	index := cache.TypedIndexers[*Pod]{NodeNameIndex: func(pod *Pod) ([]string, error) { return []string{pod.Node()}, nil }}
	informer, err := source.informer(&v1.Pod{}, cache.TypedIndexersToIndexers(index), func(obj any) (any, error) {
		if pod, ok := obj.(*v1.Pod); ok {
			next := NewPod(pod, now.Now())
			// Handlers are not called for a pod that a list shows unchanged.
			if before := pods.Get(pod.Namespace, pod.Name); before != nil && next.carryOverTimes(before) && next.sameVersion(before) {
				return before, nil // a list can contain every pod: do not store them twice
			}
			return next, nil
		}
		return obj, nil // already compact (a page of a list), or a tombstone
	})
	if err != nil {
		return nil, err
	}
	pods = &Pods{cache.NewTypedSharedIndexInformer[*Pod](informer), source}
	return pods, nil
}

// Get returns the pod of a namespace and name, or nil.
func (p *Pods) Get(namespace, name string) *Pod {
	obj, exists, err := p.GetIndexer().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil // a lookup in memory has no errors
	}
	return obj.(*Pod)
}

// ByNode returns the pods that are bound to a node.
func (p *Pods) ByNode(node string) ([]*Pod, error) {
	return p.GetTypedIndexer().ByTypedIndex(NodeNameIndex, node)
}

// Nodes is an informer of all nodes.
type Nodes struct {
	cache.TypedSharedIndexInformer[*Node]
	*Source
}

// NewNodes returns an informer that has not been started. The observer may be nil.
func NewNodes(client typedcorev1.CoreV1Interface, now clock.PassiveClock, observer ListObserver) (*Nodes, error) {
	api := client.Nodes()
	var source *Source
	source = newSource("nodes", client,
		func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return api.List(ctx, options)
		},
		func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			list, sent := source.lists.Load(), time.Time{}
			if !ptr.Deref(options.SendInitialEvents, false) {
				options.TimeoutSeconds = ptr.To(nodeWatchSeconds)
			} else {
				// This will be another list. It must be consistent: a reflector that lists again accepts data as old as its
				// own.
				list++
				options.ResourceVersion, sent = "", now.Now()
			}
			events, err := api.Watch(ctx, options)
			if err != nil || observer == nil {
				return events, err
			}
			return follow(events, list, options.ResourceVersion, sent, observer), nil
		})
	if observer != nil {
		source.now, source.listed = now.Now, observer.ListCompleted
	}
	informer, err := source.informer(&v1.Node{}, cache.Indexers{}, func(obj any) (any, error) {
		if node, ok := obj.(*v1.Node); ok {
			list := source.lists.Load()
			if observer != nil {
				observer.NodeReceived(node.Name, node.ResourceVersion, list)
			}
			return NewNode(node, now.Now(), list), nil
		}
		return obj, nil // already compact (a page of a list), or a tombstone
	})
	if err != nil {
		return nil, err
	}
	return &Nodes{cache.NewTypedSharedIndexInformer[*Node](informer), source}, nil
}

// LabelsOf returns the labels of a node, or an empty set if it is not known.
func (n *Nodes) LabelsOf(name string) labels.Labels {
	obj, exists, err := n.GetIndexer().GetByKey(name)
	if err != nil || !exists {
		return labelSet{} // a lookup in memory has no errors
	}
	return obj.(*Node).labels
}

// informer returns an informer that stores the compact objects of the source.
func (s *Source) informer(example runtime.Object, indexers cache.Indexers, transform cache.TransformFunc) (cache.SharedIndexInformer, error) {
	s.transform = transform
	informer := cache.NewSharedIndexInformer(s.listerWatcher, example, 0, indexers)
	if err := informer.SetTransform(transform); err != nil {
		return nil, fmt.Errorf("informer of %s: %w", s.resource, err)
	}
	// recordResult has logged why a call failed. Only the end of a watch is left.
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		klog.FromContext(ctx).V(2).Info("Watch ended, resuming it", "resource", s.resource, "reason", err.Error())
	}); err != nil {
		return nil, fmt.Errorf("informer of %s: %w", s.resource, err)
	}
	return informer, nil
}
