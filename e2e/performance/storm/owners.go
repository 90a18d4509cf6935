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
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// spareName is the node that replacements go to. Nobody taints it.
	spareName = "bench-spare"
	// readyAfter is how long a replacement takes until it is ready.
	readyAfter = 500 * time.Millisecond
)

func (b *bench) makeSpareNode(ctx context.Context) error {
	_, err := controlplane.CreateNode(ctx, b.client, spareName)
	return err
}

// owners do what ReplicaSets, the scheduler and kubelets do for the pods of budgets: a pod that goes is replaced at once, on the spare node,
// and the replacement is ready a moment later.
type owners struct {
	b *bench
	*readiness
	// running has the watch and the replacements under way.
	running sync.WaitGroup
	made    atomic.Int64
	failure atomic.Pointer[error]
	cancel  context.CancelFunc
}

// startOwners begins with what is there when it returns.
func (b *bench) startOwners(ctx context.Context) (*owners, error) {
	pods := b.client.CoreV1().Pods(metav1.NamespaceAll)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: budgetLabel})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of budgets: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	events, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = budgetLabel
			return pods.Watch(ctx, options)
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watching the pods of budgets: %w", err)
	}
	o := &owners{b: b, readiness: newReadiness(), cancel: cancel}
	o.begin(list.Items)
	o.running.Go(func() { o.follow(ctx, events.ResultChan()) })
	return o, nil
}

// follow replaces the pods that go, until the watch ends. At most one pod of each budget goes at a time, unless the budget is violated.
func (o *owners) follow(ctx context.Context, events <-chan watch.Event) {
	for event := range events {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			o.fail(ctx, fmt.Errorf("the watch ended: %w", apierrors.FromObject(event.Object)))
			return
		}
		if o.see(event.Type, pod) {
			o.running.Go(func() { o.fail(ctx, o.replace(ctx, pod)) })
		}
	}
}

func (o *owners) replace(ctx context.Context, gone *corev1.Pod) error {
	number := int(o.made.Add(1))
	budget := gone.Labels[budgetLabel]
	ref := podRef{Namespace: gone.Namespace, Name: fmt.Sprintf("%s-again-%05d", budget, number), Node: spareName}
	pod, err := o.b.startPod(ctx, ref, number, inBudget(budget))
	if err != nil {
		return err
	}
	if err := loop.Sleep(ctx, readyAfter); err != nil {
		return err
	}
	_, err = o.b.runPod(ctx, pod, number)
	return err
}

// fail notes the first error, but for that of the end.
func (o *owners) fail(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		o.failure.CompareAndSwap(nil, &err)
	}
}

// failed is what keeps pods from being replaced, or nil.
func (o *owners) failed() error {
	if err := o.failure.Load(); err != nil {
		return fmt.Errorf("replacing pods: %w", *err)
	}
	return nil
}

// stop returns when nothing is under way any more.
func (o *owners) stop() error {
	o.cancel()
	o.running.Wait()
	return o.failed()
}
