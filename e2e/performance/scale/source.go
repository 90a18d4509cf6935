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
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

// source is the list and the watch of one resource. Objects are made one by one: the next when the one before has been taken.
type source struct {
	resource string
	count    int
	object   func(i int) runtime.Object
	// bookmark ends the list.
	bookmark func() runtime.Object

	// released is closed when the list may begin, listed when all of it has been taken.
	released, listed chan struct{}
	// events has no buffer, as the watches of client-go.
	events chan watch.Event
	opened atomic.Bool
}

func newSource(resource string, count int, object func(i int) runtime.Object, bookmark func() runtime.Object) *source {
	return &source{
		resource: resource, count: count, object: object, bookmark: bookmark,
		released: make(chan struct{}), listed: make(chan struct{}), events: make(chan watch.Event),
	}
}

// watch opens a watch. The first one streams the list, and a later one goes on where that was ended.
func (s *source) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	switch streams := ptr.Deref(options.SendInitialEvents, false); {
	case !streams && s.opened.Load():
		return watch.NewProxyWatcher(s.events), nil
	case !streams || s.opened.Swap(true):
		return nil, fmt.Errorf("%s are streamed once, from the beginning: the informer asked for something else", s.resource)
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-s.released:
			if s.stream(ctx, s.events) == nil {
				close(s.listed)
			}
		}
	}()
	return watch.NewProxyWatcher(s.events), nil
}

// stream makes the list, and the bookmark after it.
func (s *source) stream(ctx context.Context, to chan<- watch.Event) error {
	for i := range s.count {
		if err := send(ctx, to, watch.Added, s.object(i)); err != nil {
			return err
		}
	}
	bookmark := s.bookmark()
	bookmark.(metav1.Object).SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return send(ctx, to, watch.Bookmark, bookmark)
}

// list is a list in one piece. At this size nobody should want one.
func (s *source) list() error {
	return fmt.Errorf("%s are only streamed: the informer asked for a list", s.resource)
}

// send returns when the event has been taken.
func send(ctx context.Context, to chan<- watch.Event, kind watch.EventType, object runtime.Object) error {
	select {
	case to <- watch.Event{Type: kind, Object: object}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// discard returns a channel from which everything is taken, and forgotten, until it is closed.
func discard() chan watch.Event {
	events := make(chan watch.Event)
	go func() {
		for range events {
		}
	}()
	return events
}
