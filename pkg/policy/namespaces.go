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

package policy

import (
	"context"
	"fmt"
	"maps"
	"sync"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// namespaces knows the labels of namespaces, once a policy selects by them.
type namespaces struct {
	informer cache.SharedIndexInformer
	once     sync.Once
	running  sync.WaitGroup
}

// newNamespaces returns namespaces whose informer has not been started. changed is called when the labels of one changed.
func newNamespaces(client metadata.Interface, changed func()) (*namespaces, error) {
	informer := metadatainformer.NewFilteredMetadataInformer(plainLists{client}, v1.SchemeGroupVersion.WithResource("namespaces"), metav1.NamespaceAll, 0,
		cache.Indexers{}, func(options *metav1.ListOptions) {
			if !options.AllowWatchBookmarks { // a list
				consistently(options)
			}
		}).Informer()
	if err := informer.SetTransform(onlyLabels); err != nil {
		return nil, fmt.Errorf("informer of namespaces: %w", err)
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() },
		UpdateFunc: func(before, after any) {
			if !maps.Equal(before.(metav1.Object).GetLabels(), after.(metav1.Object).GetLabels()) {
				changed()
			}
		},
	}); err != nil {
		return nil, fmt.Errorf("informer of namespaces: %w", err)
	}
	return &namespaces{informer: informer}, nil
}

// onlyLabels drops what is not read of a namespace.
func onlyLabels(obj any) (any, error) {
	if namespace, ok := obj.(*metav1.PartialObjectMetadata); ok {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: namespace.Name, UID: namespace.UID, ResourceVersion: namespace.ResourceVersion, Labels: namespace.Labels,
		}}, nil
	}
	return obj, nil // a tombstone
}

// start starts to read namespaces, until ctx is done. Later calls do nothing.
func (n *namespaces) start(ctx context.Context) {
	n.once.Do(func() { n.running.Go(func() { n.informer.RunWithContext(ctx) }) })
}

// wait waits until the informer, if it was started, has ended.
func (n *namespaces) wait() { n.running.Wait() }

// labels returns the labels of a namespace, or nil if they are not known.
func (n *namespaces) labels(name string) labels.Labels {
	obj, exists, err := n.informer.GetStore().GetByKey(name)
	if err != nil || !exists {
		return nil // a lookup in memory has no errors
	}
	return labels.Set(obj.(metav1.Object).GetLabels())
}
