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

package podcache

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/pager"
	"k8s.io/klog/v2"
)

// pageSize is the maximum number of objects in a page of a list.
const pageSize = 500

// list lists in pages, and consistently: an API server that does not stream lists would otherwise answer from its cache,
// without a limit. Each page is converted before the next one is requested, so that at most one is held as the API server
// sent it. If a page has expired, the list fails, and the reflector begins it again.
func (s *Source) list(ctx context.Context, list listFunc) (runtime.Object, error) {
	s.progress.begin()
	number := s.lists.Add(1)
	var sent time.Time
	if s.listed != nil {
		sent = s.now()
	}
	read := 0
	pages := &pager.ListPager{PageSize: pageSize, PageFn: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		page, err := untilReached(ctx, s, func() (runtime.Object, error) { return list(ctx, options) })
		if err != nil {
			return nil, err
		}
		read++
		s.progress.page(read)
		return s.compacted(page)
	}}
	objects, _, err := pages.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	s.progress.complete()
	if list, err := meta.ListAccessor(objects); err == nil && s.listed != nil {
		s.listed(number, sent, list.GetResourceVersion())
	}
	return objects, nil
}

// compacted returns a page of a list with compact objects.
func (s *Source) compacted(page runtime.Object) (runtime.Object, error) {
	from, err := meta.ListAccessor(page)
	if err != nil {
		return nil, fmt.Errorf("list of %s: %w", s.resource, err)
	}
	list := &metainternalversion.List{Items: make([]runtime.Object, 0, meta.LenList(page))}
	list.ResourceVersion, list.Continue = from.GetResourceVersion(), from.GetContinue()
	err = meta.EachListItem(page, func(obj runtime.Object) error {
		kept, err := s.transform(obj)
		if err == nil {
			list.Items = append(list.Items, kept.(runtime.Object))
		}
		return err
	})
	return list, err
}

// watch opens a watch that resumes where a list or a watch ended.
func (s *Source) watch(ctx context.Context, options metav1.ListOptions, open watchFunc) (watch.Interface, error) {
	events, err := untilReached(ctx, s, func() (watch.Interface, error) { return open(ctx, options) })
	if err == nil {
		s.progress.complete()
	}
	return events, err
}

// stream opens a watch that begins with a list. A bookmark ends the list. Some proxies hold it back, so a list that
// delivers nothing for a while is given up, and the error makes the reflector list in pages.
func (s *Source) stream(ctx context.Context, options metav1.ListOptions, open watchFunc) (watch.Interface, error) {
	if s.progress.paged() {
		return nil, errStalled
	}
	s.progress.begin()
	ctx, cancel := context.WithCancel(ctx)
	events, err := untilReached(ctx, s, func() (watch.Interface, error) { return s.opened(ctx, cancel, options, open) })
	s.lists.Add(1)
	if err != nil {
		cancel()
		return nil, err
	}
	f := &followed{newRelay(events, cancel)}
	go f.follow(ctx, s)
	return f, nil
}

// opened opens a streaming list. It gives up if the response does not begin: some proxies hold back all of it.
func (s *Source) opened(ctx context.Context, cancel func(), options metav1.ListOptions, open watchFunc) (watch.Interface, error) {
	timer := time.AfterFunc(stallAfter, cancel)
	events, err := open(ctx, options)
	if timer.Stop() {
		return events, err
	}
	if err == nil {
		events.Stop()
	}
	s.switchToPages(ctx)
	return nil, errStalled
}

// switchToPages makes lists be paged for some time.
func (s *Source) switchToPages(ctx context.Context) {
	s.progress.beginPaged()
	klog.FromContext(ctx).Error(errStalled, "Streaming list does not end, listing in pages instead; check whether a proxy in front of the API server swallows bookmarks",
		"resource", s.resource, "for", pagedFor)
}

// followed is a watch that begins with a list.
type followed struct{ *relay }

// follow passes events on until the watch ends or the list stalls. Only objects that existed before count as progress: they
// come first. After any other event, what is missing is the bookmark.
func (f *followed) follow(ctx context.Context, s *Source) {
	defer close(f.events)
	began, stall := time.Now(), time.NewTimer(stallAfter)
	defer stall.Stop()
	listing, objects, all := true, 0, false
	for {
		select {
		case <-f.stopped:
			return
		case <-stall.C:
			s.switchToPages(ctx)
			f.pass(watch.Event{Type: watch.Error, Object: &apierrors.NewTimeoutError(errStalled.Error(), 0).ErrStatus})
			return
		case event, ok := <-f.upstream.ResultChan():
			if !ok {
				// A watch that ends at once without an event did not reach the API server.
				if listing && (objects > 0 || time.Since(began) > time.Second) && s.progress.cut() {
					s.switchToPages(ctx)
				}
				return
			}
			if listing && endsList(event) {
				listing = false
				stall.Stop()
				s.progress.complete()
			}
			f.pass(event)
			if all = all || event.Type != watch.Added; listing && !all {
				objects++
				stall.Reset(stallAfter) // do not count the time for which the reader blocked
				s.progress.move()
			}
		}
	}
}

// endsList reports whether an event is the bookmark that ends a streaming list.
func endsList(event watch.Event) bool {
	if event.Type != watch.Bookmark {
		return false
	}
	object, err := meta.Accessor(event.Object)
	return err == nil && endsInitialEvents(object)
}
