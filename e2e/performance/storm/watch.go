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
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// sightings are the moments at which we first saw something of each of several objects.
type sightings struct {
	mu  sync.Mutex
	at  map[types.UID]time.Time
	err error // why there will be no more
}

// sight watches the metadata of objects, which is the least that a watch can cost, and notes when one first is what is looked
// for. It begins with what changes after it returns, and ends with ctx.
func (b *bench) sight(
	ctx context.Context, resource, fieldSelector string, is func(watch.EventType, *metav1.PartialObjectMetadata) bool,
) (*sightings, error) {
	api := b.metadata.Resource(corev1.SchemeGroupVersion.WithResource(resource))
	list, err := api.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", resource, err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = fieldSelector
			return api.Watch(ctx, options)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", resource, err)
	}
	s := &sightings{at: map[types.UID]time.Time{}}
	go s.follow(events.ResultChan(), is)
	return s, nil
}

func (s *sightings) follow(events <-chan watch.Event, is func(watch.EventType, *metav1.PartialObjectMetadata) bool) {
	for event := range events {
		now := time.Now()
		object, ok := event.Object.(*metav1.PartialObjectMetadata)
		s.mu.Lock()
		switch {
		case !ok:
			s.err = fmt.Errorf("the watch ended, what it would have shown is missing: %w", apierrors.FromObject(event.Object))
		case s.at[object.UID].IsZero() && is(event.Type, object):
			s.at[object.UID] = now
		}
		s.mu.Unlock()
	}
}

// count is how many objects have been seen so, or why that is not known.
func (s *sightings) count() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at), s.err
}

// moments are when, in no order.
func (s *sightings) moments() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	moments := make([]time.Time, 0, len(s.at))
	for _, at := range s.at {
		moments = append(moments, at)
	}
	return moments
}

// going is the pods that are being deleted, or are gone.
func going(event watch.EventType, pod *metav1.PartialObjectMetadata) bool {
	return event == watch.Deleted || pod.DeletionTimestamp != nil
}

// written is what is there, whatever it is.
func written(event watch.EventType, _ *metav1.PartialObjectMetadata) bool {
	return event != watch.Deleted
}

// when is when a pod was seen, if it was.
func (s *sightings) when(pod podRef) (at time.Time, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, seen = s.at[pod.UID]
	return at, seen
}
