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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// canaryName is the namespace, node and pod by which one sees that a controller works. No storm touches them.
	canaryName = "bench-canary"

	// canaryAge is how old the canary is before a controller starts: the API server's times are cut to the second, so that
	// it may not be due before.
	canaryAge = 2 * time.Second
	// workingTimeout bounds the wait for the first eviction of a controller that has started.
	workingTimeout = 5 * time.Minute
	pollInterval   = 50 * time.Millisecond
)

func (b *bench) makeCanaryNode(ctx context.Context) error {
	if err := b.cp.Namespace(ctx, canaryName); err != nil {
		return err
	}
	_, err := controlplane.CreateNode(ctx, b.client, canaryName, func(node *corev1.Node) {
		node.Spec.Taints = []corev1.Taint{{Key: canaryName, Effect: corev1.TaintEffectNoExecute}}
	})
	return err
}

// working starts a controller while a pod is due, and returns how long it took until that was evicted, and the process.
func (b *bench) working(ctx context.Context, start func(context.Context) (*controlplane.Process, error)) (_ *controlplane.Process, took time.Duration, err error) {
	pod, err := b.createPod(ctx, podRef{Namespace: canaryName, Name: canaryName, Node: canaryName}, 0)
	if err != nil {
		return nil, 0, err
	}
	due := time.Now().Add(canaryAge)
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, err := b.sight(watching, "pods", "metadata.namespace="+canaryName, going)
	if err != nil {
		return nil, 0, err
	}
	if err := loop.Sleep(ctx, time.Until(due)); err != nil {
		return nil, 0, err
	}
	process, err := start(ctx)
	if err != nil {
		return nil, 0, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, workingTimeout, true, func(context.Context) (bool, error) {
		n, err := seen.count()
		return n > 0, err
	})
	if err != nil {
		return process, 0, fmt.Errorf("waiting for %s to evict the pod that was due at its start: %w; its log ends with:\n%s",
			process.Name(), err, process.Tail(10))
	}
	return process, seen.moments()[0].Sub(process.Began()), b.removePod(ctx, pod)
}

// removePod deletes a pod with nothing left of it.
func (b *bench) removePod(ctx context.Context, pod podRef) error {
	err := b.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing pod %s: %w", pod.Name, err)
	}
	return nil
}
