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

package podwatch

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// follower follows the pods of a namespace.
type follower struct {
	api  typedcorev1.PodInterface
	note func(pod *corev1.Pod, gone bool, at time.Time)
	last map[types.UID]*corev1.Pod // of the pods that are there
}

// Follow tells of each pod of a namespace that there is or that changes, and of each that is gone, with the time at which we
// learned it, until ctx is over. It returns when it has told of those that there are. When the watch is cut, as by a restart of
// the API server, it lists and goes on: unlike an informer without a growing backoff, because what counts here is the moment.
func Follow(
	ctx context.Context, client kubernetes.Interface, namespace string, note func(pod *corev1.Pod, gone bool, at time.Time),
) error {
	f := &follower{client.CoreV1().Pods(namespace), note, map[types.UID]*corev1.Pod{}}
	events, err := f.begin(ctx)
	if err != nil {
		return err
	}
	go func() {
		f.follow(events)
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			if events, err := f.begin(ctx); err == nil {
				f.follow(events)
			}
		}, retryInterval)
	}()
	return nil
}

// begin lists and opens a watch from there.
func (f *follower) begin(ctx context.Context) (watch.Interface, error) {
	list, err := f.api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	now, before := time.Now(), f.last
	f.last = make(map[types.UID]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pod := &list.Items[i]
		delete(before, pod.UID)
		f.see(pod, false, now)
	}
	for _, pod := range before {
		f.see(pod, true, now)
	}
	events, err := f.api.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	return events, nil
}

// follow tells of events until the watch ends.
func (f *follower) follow(events watch.Interface) {
	defer events.Stop()
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return // an error
		}
		f.see(pod, event.Type == watch.Deleted, time.Now())
	}
}

func (f *follower) see(pod *corev1.Pod, gone bool, at time.Time) {
	if gone {
		delete(f.last, pod.UID)
	} else {
		f.last[pod.UID] = pod
	}
	f.note(pod, gone, at)
}
