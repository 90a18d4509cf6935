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
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// fillWorkers keep two processors busy.
	fillWorkers = 16
	// progressInterval is how often something that takes long says how far it is.
	progressInterval = 5 * time.Second
	stormTaint       = "bench-storm"
)

// podRef is what one needs to know of a pod to evict it.
type podRef struct {
	Namespace, Name, Node string
	UID                   types.UID
	Generation            int64
}

func nodeName(i int) string      { return fmt.Sprintf("bench-node-%d", i) }
func namespaceName(i int) string { return fmt.Sprintf("bench-%d", i) }

// place is the pod of a number: pods go around the nodes, and those of one node around the namespaces.
func (o *options) place(number int) podRef {
	return podRef{
		Namespace: namespaceName(number / o.nodes % o.namespaces),
		Name:      fmt.Sprintf("storefront-%d-6d8f9c7b54-%05d", number/podsPerOwner, number),
		Node:      nodeName(number % o.nodes),
	}
}

// makeNodes makes nodes and namespaces, once: they are there for all contenders.
func (b *bench) makeNodes(ctx context.Context) error {
	for i := range b.namespaces {
		if err := b.cp.Namespace(ctx, namespaceName(i)); err != nil {
			return err
		}
	}
	for i := range b.nodes {
		if _, err := controlplane.CreateNode(ctx, b.client, nodeName(i)); err != nil {
			return err
		}
	}
	return errors.Join(b.makeLoneNodes(ctx), b.makeCanaryNode(ctx), b.makeSpareNode(ctx))
}

// fill makes the pods of the numbers from and up to, but not including, to.
func (b *bench) fill(ctx context.Context, from, to int) ([]podRef, error) {
	pods, err := b.makePods(ctx, to-from, func(ctx context.Context, i int) (podRef, error) {
		return b.createPod(ctx, b.place(from+i), from+i)
	})
	if err != nil {
		return nil, err
	}
	return pods, b.weigh(ctx, b.place(from))
}

// makePods makes that many pods, several at a time.
func (b *bench) makePods(ctx context.Context, n int, one func(ctx context.Context, i int) (podRef, error)) ([]podRef, error) {
	pods := make([]podRef, n)
	var made atomic.Int64
	stop := b.progressOf(fmt.Sprintf("making %d pods", n), &made)
	defer stop()
	err := loop.Each(ctx, fillWorkers, n, func(ctx context.Context, i int) (err error) {
		pods[i], err = one(ctx, i)
		made.Add(1)
		return err
	})
	return pods, err
}

// weigh notes how large a pod is, with what the API server adds to it.
func (b *bench) weigh(ctx context.Context, ref podRef) error {
	pod, err := b.client.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading pod %s: %w", ref.Name, err)
	}
	b.podBytes = pod.Size()
	return nil
}

// createPod makes a pod that runs on its node. The number tells it from others.
func (b *bench) createPod(ctx context.Context, ref podRef, number int, changes ...builders.Change) (podRef, error) {
	pod, err := b.startPod(ctx, ref, number, changes...)
	if err != nil {
		return podRef{}, err
	}
	return b.runPod(ctx, pod, number)
}

// startPod makes a pod that does not run yet.
func (b *bench) startPod(ctx context.Context, ref podRef, number int, changes ...builders.Change) (*corev1.Pod, error) {
	template := podTemplate(ref, number)
	for _, change := range changes {
		change(template)
	}
	pod, err := b.client.CoreV1().Pods(ref.Namespace).Create(ctx, template, metav1.CreateOptions{FieldManager: "kube-controller-manager"})
	if err != nil {
		return nil, fmt.Errorf("making pod %s: %w", ref.Name, err)
	}
	return pod, nil
}

// runPod has a pod run, and be ready.
func (b *bench) runPod(ctx context.Context, pod *corev1.Pod, number int) (podRef, error) {
	pod.Status = podStatus(pod, number, time.Now())
	pod, err := b.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{FieldManager: "kubelet"})
	if err != nil {
		return podRef{}, fmt.Errorf("status of a pod: %w", err)
	}
	return podRef{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, UID: pod.UID, Generation: pod.Generation}, nil
}

// progressOf says every few seconds how far something is, until the function that it returns is called.
func (b *bench) progressOf(what string, done *atomic.Int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	began := time.Now()
	say := func() {
		n, took := done.Load(), time.Since(began).Seconds()
		b.say("%s: %d in %.0f s, %.0f/s", what, n, took, float64(n)/took)
	}
	go func() {
		for loop.Sleep(ctx, progressInterval) == nil {
			say()
		}
	}()
	return func() {
		cancel()
		say()
	}
}

// clear removes what a storm has left: pods, Events and taints. It returns when the API server has none of them.
func (b *bench) clear(ctx context.Context) error {
	if err := b.setTaints(ctx, nil, func(string) {}); err != nil {
		return err
	}
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}
	for left := 1; left > 0; {
		err := loop.Each(ctx, b.namespaces, b.namespaces, func(ctx context.Context, i int) error {
			name := namespaceName(i)
			return errors.Join(
				b.client.CoreV1().Pods(name).DeleteCollection(ctx, now, metav1.ListOptions{}),
				b.client.CoreV1().Events(name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		})
		if err != nil {
			return fmt.Errorf("removing the pods of before: %w", err)
		}
		if left, err = b.left(ctx); err != nil {
			return err
		}
	}
	return nil
}

// left counts namespaces that still have pods or Events.
func (b *bench) left(ctx context.Context) (n int, err error) {
	for i := range b.namespaces {
		for _, resource := range []string{"pods", "events"} {
			list, err := b.metadata.Resource(corev1.SchemeGroupVersion.WithResource(resource)).Namespace(namespaceName(i)).
				List(ctx, metav1.ListOptions{Limit: 1})
			if err != nil {
				return 0, fmt.Errorf("looking whether %s are left: %w", resource, err)
			}
			n += len(list.Items)
		}
	}
	return n, nil
}

// setTaints gives all nodes these taints and no others, all nodes at the same moment, and tells of each that has them.
func (b *bench) setTaints(ctx context.Context, taints []corev1.Taint, done func(node string)) error {
	return loop.Each(ctx, b.nodes, b.nodes, func(ctx context.Context, i int) error {
		if err := builders.SetTaints(ctx, b.client, nodeName(i), taints...); err != nil {
			return err
		}
		done(nodeName(i))
		return nil
	})
}
