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
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// nodeReadInterval is how often the node of a pod is read anew, as taint-manager does at most.
const nodeReadInterval = time.Second

// bareClient makes the calls of an eviction for each pod of a tainted node, as fast as the API server answers. It watches
// nothing and decides nothing: what it reaches is what the API server gives to anyone who makes these calls.
type bareClient struct {
	client kubernetes.Interface
	pods   map[string][]podRef // by node
	// due are the pods that are left of each tainted node. Who takes one puts the rest back at the end, so that all nodes
	// have their turn, as with taint-manager.
	due    chan []podRef
	events chan *corev1.Event
	mu     sync.Mutex
	read   map[string]time.Time // when a node was last read
	// remove makes the calls for one pod whose node has been read. It returns true if they have to be made again later.
	remove func(context.Context, podRef) (again bool, err error)
}

// runBare is the bare client's process. It ends when something fails, or by a signal.
func runBare(ctx context.Context, kubeconfig string, input io.Reader) error {
	lines := json.NewDecoder(input)
	var task bareTask
	if err := lines.Decode(&task); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	c, err := newBareClient(kubeconfig, &task)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range task.Concurrency {
		group.Go(func() error { return work(ctx, c.due, c.evictNext) })
	}
	for range task.EventWriters {
		group.Go(func() error { return work(ctx, c.events, c.write) })
	}
	unread := make(chan error, 1)
	go func() { unread <- c.readTainted(lines) }() // a read does not end with ctx
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-unread:
			return err
		}
	})
	return group.Wait()
}

// readTainted takes the pods of each node that it is told of to be due.
func (c *bareClient) readTainted(lines *json.Decoder) error {
	for {
		var node string
		if err := lines.Decode(&node); err != nil {
			return fmt.Errorf("reading which node is tainted: %w", err)
		}
		c.due <- c.pods[node]
	}
}

func newBareClient(kubeconfig string, task *bareTask) (*bareClient, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("bare client: %w", err)
	}
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("bare client: %w", err)
	}
	c := &bareClient{client: client, pods: map[string][]podRef{}, read: map[string]time.Time{}, events: make(chan *corev1.Event, len(task.Pods))}
	for _, pod := range task.Pods {
		c.pods[pod.Node] = append(c.pods[pod.Node], pod)
	}
	c.due = make(chan []podRef, len(task.Pods)) // each pod may come back alone
	if c.remove = c.markAndDelete; task.Evict {
		c.remove = c.evictByAPI
	}
	return c, nil
}

// work does something with each item that comes, until something fails or ctx is over.
func work[T any](ctx context.Context, items <-chan T, do func(context.Context, T) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case item := <-items:
			if err := do(ctx, item); err != nil {
				return err
			}
		}
	}
}

// evictNext evicts the first of the pods of a node.
func (c *bareClient) evictNext(ctx context.Context, pods []podRef) error {
	if len(pods) > 1 {
		c.due <- pods[1:]
	}
	if err := c.readNode(ctx, pods[0].Node); err != nil {
		return err
	}
	again, err := c.remove(ctx, pods[0])
	if again {
		c.due <- pods[:1]
	}
	return err
}

// markAndDelete makes the calls of mode Delete for one pod, and leaves its Event to those who write them.
func (c *bareClient) markAndDelete(ctx context.Context, ref podRef) (again bool, err error) {
	pod, err := c.mark(ctx, ref)
	if err != nil {
		return false, err
	}
	err = c.client.CoreV1().Pods(ref.Namespace).Delete(ctx, ref.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &ref.UID, ResourceVersion: ptr.To(pod.ResourceVersion)},
	})
	if err != nil {
		return false, fmt.Errorf("deleting pod %s: %w", ref.Name, err)
	}
	c.events <- eventAbout(ref, pod.ResourceVersion)
	return false, nil
}

// readNode reads a node, unless that was done not long ago.
func (c *bareClient) readNode(ctx context.Context, name string) error {
	c.mu.Lock()
	fresh := time.Since(c.read[name]) < nodeReadInterval
	if !fresh {
		c.read[name] = time.Now()
	}
	c.mu.Unlock()
	if fresh {
		return nil
	}
	if _, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("reading node %s: %w", name, err)
	}
	return nil
}

// mark writes the condition DisruptionTarget, and returns the live pod.
func (c *bareClient) mark(ctx context.Context, ref podRef) (*corev1.Pod, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": ref.UID},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
			LastTransitionTime: metav1.Now(), ObservedGeneration: ref.Generation,
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the condition: %w", err)
	}
	pod, err := c.client.CoreV1().Pods(ref.Namespace).
		Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return nil, fmt.Errorf("condition of pod %s: %w", ref.Name, err)
	}
	return pod, nil
}

func (c *bareClient) write(ctx context.Context, event *corev1.Event) error {
	if _, err := c.client.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("writing an Event about pod %s: %w", event.InvolvedObject.Name, err)
	}
	return nil
}

// eventAbout is an Event as large as one of taint-manager.
func eventAbout(ref podRef, resourceVersion string) *corev1.Event {
	now := metav1.Now()
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID, ResourceVersion: resourceVersion,
		},
		Reason: evictionReason,
		Message: fmt.Sprintf("Evicted from node %s for taint %s:NoExecute, not tolerated; due at %s, %s late",
			ref.Node, stormTaint, now.UTC().Format(time.RFC3339), time.Second),
		Type:                corev1.EventTypeNormal,
		Source:              corev1.EventSource{Component: bareAccount},
		ReportingController: bareAccount,
		FirstTimestamp:      now,
		LastTimestamp:       now,
		Count:               1,
	}
}
