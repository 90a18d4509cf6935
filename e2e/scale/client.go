package main

import (
	"context"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
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
	// events counts those that were written.
	events atomic.Int64
}

func (a *api) Nodes() typedcorev1.NodeInterface                 { return nodes{source: a.nodes} }
func (a *api) Pods(string) typedcorev1.PodInterface             { return pods{source: a.pods} }
func (a *api) Events(string) typedcorev1.EventInterface         { return events{written: &a.events} }
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

type events struct {
	typedcorev1.EventInterface
	written *atomic.Int64
}

func (e events) Create(_ context.Context, event *v1.Event, _ metav1.CreateOptions) (*v1.Event, error) {
	e.written.Add(1)
	return event, nil
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
