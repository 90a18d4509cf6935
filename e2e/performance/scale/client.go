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
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	clientrest "k8s.io/client-go/rest"
	"k8s.io/client-go/rest/fake"
)

// client is what the controller has for an API server: what it calls while nobody is due, and no more. Any other call
// would be one on a nil interface, and end the process.
type client struct {
	kubernetes.Interface
	api *api
}

func (c client) CoreV1() typedcorev1.CoreV1Interface { return c.api }

// api is the part of core/v1 that is there.
type api struct {
	typedcorev1.CoreV1Interface
	nodes, pods *source
	starts      configMap
	// events counts the Events that were written.
	events atomic.Int64
}

// RESTClient takes Events, the only objects that the controller writes without their typed client.
func (a *api) RESTClient() clientrest.Interface {
	return &fake.RESTClient{
		NegotiatedSerializer: scheme.Codecs.WithoutConversion(),
		GroupVersion:         v1.SchemeGroupVersion,
		Client: fake.CreateHTTPClient(func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/events") {
				return nil, fmt.Errorf("nobody answers %s %s here", req.Method, req.URL.Path)
			}
			a.events.Add(1)
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
		}),
	}
}

func (a *api) Nodes() typedcorev1.NodeInterface                 { return nodes{source: a.nodes} }
func (a *api) Pods(string) typedcorev1.PodInterface             { return pods{source: a.pods} }
func (a *api) ConfigMaps(string) typedcorev1.ConfigMapInterface { return &a.starts }

type nodes struct {
	typedcorev1.NodeInterface
	source *source
}

func (n nodes) List(context.Context, metav1.ListOptions) (*v1.NodeList, error) {
	return nil, n.source.list()
}

func (n nodes) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return n.source.watch(ctx, options)
}

type pods struct {
	typedcorev1.PodInterface
	source *source
}

func (p pods) List(context.Context, metav1.ListOptions) (*v1.PodList, error) {
	return nil, p.source.list()
}

func (p pods) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return p.source.watch(ctx, options)
}

// configMap is the one that keeps starts of taints.
type configMap struct {
	typedcorev1.ConfigMapInterface
	mu     sync.Mutex
	config v1.ConfigMap
}

func (c *configMap) Get(context.Context, string, metav1.GetOptions) (*v1.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config.DeepCopy(), nil
}

func (c *configMap) Update(_ context.Context, config *v1.ConfigMap, _ metav1.UpdateOptions) (*v1.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	config.DeepCopyInto(&c.config)
	return config, nil
}
