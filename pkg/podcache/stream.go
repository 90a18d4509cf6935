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

// pageSize is how many objects one page of a list has, at most.
const pageSize = 500

// list lists in pages, and consistently: an API server that streams no lists would otherwise answer from its cache, all at once. Each
// page is distilled before the next one is asked for, so that no more than one is held as the API server sent it. Where a page has
// expired, the list has failed, and the reflector begins it again.
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

// distilled is a page of a list whose objects are distilled.
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

// watch opens a watch that goes on where a list or a watch has ended.
func (s *Source) watch(ctx context.Context, options metav1.ListOptions, open watchFunc) (watch.Interface, error) {
	events, err := untilReached(ctx, s, func() (watch.Interface, error) { return open(ctx, options) })
	if err == nil {
		s.progress.complete()
	}
	return events, err
}

// stream opens a watch that begins with a list. Its end is a bookmark, which some proxies swallow: a list that brings nothing for a
// while is given up, and an error then has the reflector list in the old way.
func (s *Source) stream(ctx context.Context, options metav1.ListOptions, open watchFunc) (watch.Interface, error) {
	if s.progress.paged() {
		return nil, errStalled
	}
	s.progress.begin()
	ctx, cancel := context.WithCancel(ctx)
	events, err := untilReached(ctx, s, func() (watch.Interface, error) { return s.opened(ctx, cancel, options, open) })
	s.lists.Add(1) // a list by way of a watch
	if err != nil {
		cancel()
		return nil, err
	}
	f := &followed{newRelay(events, cancel)}
	go f.follow(ctx, s)
	return f, nil
}

// opened opens a streaming list, or gives up where the answer does not even begin: there are proxies that hold back all of it.
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

// switchToPages has lists not be streamed for some time.
func (s *Source) switchToPages(ctx context.Context) {
	s.progress.beginPaged()
	klog.FromContext(ctx).Error(errStalled, "Streaming lists do not end: check whether a proxy before the API server swallows bookmarks of watches; listing in pages instead",
		"resource", s.resource, "for", pagedFor)
}

// followed is a watch that begins with a list.
type followed struct{ *relay }

// follow passes events on until the watch ends, or the list makes no progress. That is one more object of those that were there: these
// come first. When anything else has come, what is missing is the end.
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
				// A watch that ends at once without an event was none: the API server could not be reached.
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
				stall.Reset(stallAfter) // the time that passing it on took is the reader's
				s.progress.move()
			}
		}
	}
}

// endsList reports whether an event is the bookmark at the end of a streaming list.
func endsList(event watch.Event) bool {
	if event.Type != watch.Bookmark {
		return false
	}
	object, err := meta.Accessor(event.Object)
	return err == nil && endsInitialEvents(object)
}
