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
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

// The resources.
const nodes, pods = "nodes", "pods"

// updates are what kubelets write all the time.
type updates struct {
	proxy   *proxy
	options options
	nodes   []v1.Node
	pods    []v1.Pod
	// version is the latest resource version that was given to an update.
	version atomic.Uint64
}

// newUpdates reads all nodes and pods.
func newUpdates(ctx context.Context, client kubernetes.Interface, proxy *proxy, o options) (*updates, error) {
	podList, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the pods: %w", err)
	}
	nodeList, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the nodes: %w", err)
	}
	if len(podList.Items) != o.pods || len(nodeList.Items) != o.nodes {
		return nil, fmt.Errorf("there are %d nodes and %d pods: somebody else makes or deletes some", len(nodeList.Items), len(podList.Items))
	}
	latest, err := strconv.ParseUint(nodeList.ResourceVersion, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("resource version of the nodes: %w", err)
	}
	proxy.horizon.Store(latest)
	u := &updates{proxy: proxy, options: o, nodes: nodeList.Items, pods: podList.Items}
	u.version.Store(latest)
	return u, nil
}

// sent is how many updates the controller has taken, and how long that took.
type sent struct {
	nodes, pods int
	took        time.Duration
}

// send sends updates of nodes and of pods at their rates.
func (u *updates) send(ctx context.Context) (s sent, err error) {
	began := time.Now()
	var both sync.WaitGroup
	var nodesErr, podsErr error
	both.Go(func() {
		s.nodes, nodesErr = load.Pace(ctx, u.options.nodeUpdates, u.options.duration, func(i int) error {
			return u.sendOne(ctx, nodes, u.nodeUpdate(&u.nodes[i%len(u.nodes)]))
		})
	})
	both.Go(func() {
		s.pods, podsErr = load.Pace(ctx, u.options.podUpdates, u.options.duration, func(i int) error {
			return u.sendOne(ctx, pods, u.podUpdate(&u.pods[i%len(u.pods)]))
		})
	})
	both.Wait()
	s.took = time.Since(began)
	return s, errors.Join(nodesErr, podsErr)
}

// sendOne puts an event into the watch of a resource. Where that is ended just now, the next one is waited for: a controller may end a
// watch and go on from there whenever it likes.
func (u *updates) sendOne(ctx context.Context, resource string, event *watch.Event) error {
	everyFewMillis := wait.Backoff{Duration: 5 * time.Millisecond, Steps: 2000} // for 10 s
	return retry.OnError(everyFewMillis, func(error) bool { return ctx.Err() == nil }, func() error {
		s, err := u.proxy.stream(resource)
		if err != nil {
			return err
		}
		return s.send(event)
	})
}

// nodeUpdate is a heartbeat.
func (u *updates) nodeUpdate(node *v1.Node) *watch.Event {
	now := metav1.Now()
	for i := range node.Status.Conditions {
		node.Status.Conditions[i].LastHeartbeatTime = now
	}
	u.write(&node.ObjectMeta, now)
	return &watch.Event{Type: watch.Modified, Object: node}
}

// podUpdate is one of a container that has become ready.
func (u *updates) podUpdate(pod *v1.Pod) *watch.Event {
	now := metav1.Now()
	for i := range pod.Status.Conditions {
		switch condition := &pod.Status.Conditions[i]; condition.Type {
		case v1.PodReady, v1.ContainersReady:
			condition.LastProbeTime, condition.LastTransitionTime = now, now
		}
	}
	u.write(&pod.ObjectMeta, now)
	return &watch.Event{Type: watch.Modified, Object: pod}
}

// write leaves the traces of a write to the status.
func (u *updates) write(meta *metav1.ObjectMeta, now metav1.Time) {
	meta.ResourceVersion = strconv.FormatUint(u.version.Add(1), 10)
	for i := range meta.ManagedFields {
		if entry := &meta.ManagedFields[i]; entry.Subresource == "status" {
			entry.Time = &now
		}
	}
}
