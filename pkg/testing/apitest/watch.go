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

package apitest

import (
	"context"
	"io"
	"net/http"
	"sort"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
	failed   = "ERROR"
)

// change is one entry of the model's history.
type change struct {
	kind     string
	resource string
	object   object
	before   object // nil where there was none
	version  uint64
	at       time.Time
}

// watcher is one open watch.
type watcher struct {
	client, resource, namespace string
	selector                    fields.Selector
	encoding                    encoding
	wake                        chan struct{}
	next                        int // index into the history
	cut                         context.CancelFunc
	// ends is when the client wants it to end, bookmarks the time between two of them; none for zero.
	ends, nextBookmark time.Time
	bookmarks          time.Duration
}

// publish adds a change to the history.
func (s *Server) publish(c change) {
	c.object = c.object.DeepCopyObject().(object)
	c.at = time.Now()
	s.history = append(s.history, c)
	if s.Changed != nil {
		s.Changed(c.object, c.kind == deleted)
	}
	s.wake()
}

// wake has watches look again for what should have reached them.
func (s *Server) wake() {
	for w := range s.watchers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Lag has what happens to a resource ("pods", "nodes") reach watches later by d.
func (s *Server) Lag(resource string, d time.Duration) { s.LagOf("", resource, d) }

// LagOf is Lag for the watches of one client, by its user agent, in place of that for all.
func (s *Server) LagOf(client, resource string, d time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.lag[[2]string{client, resource}] = d
	s.wake()
}

// lagOf is the lag of the watches of a client.
func (s *Server) lagOf(client, resource string) time.Duration {
	if lag, own := s.lag[[2]string{client, resource}]; own {
		return lag
	}
	return s.lag[[2]string{"", resource}]
}

// CutWatches ends all watches of a resource. Where the history is forgotten, they cannot be taken up again where they ended,
// and clients list again.
func (s *Server) CutWatches(resource string, forget bool) {
	s.cutWatches(func(w *watcher) bool { return w.resource == resource })
	if forget {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.version++ // something else was written
		s.compacted[resource] = s.version
	}
}

// CutWatchesOf ends the watches of a resource of one client, by its user agent.
func (s *Server) CutWatchesOf(client, resource string) {
	s.cutWatches(func(w *watcher) bool { return w.resource == resource && w.client == client })
}

func (s *Server) cutWatches(which func(*watcher) bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for w := range s.watchers {
		if which(w) {
			w.cut()
		}
	}
}

func (s *Server) watch(req *http.Request, r request, e encoding) (*http.Response, error) {
	selector, err := fields.ParseSelector(r.query.Get("fieldSelector"))
	if err != nil {
		return failure(apierrors.NewBadRequest(err.Error())).response(e), nil
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	w := &watcher{client: r.client, resource: r.resource, namespace: r.namespace, selector: selector, encoding: e, wake: make(chan struct{}, 1)}
	first, refusal := s.begin(w, r)
	if refusal != nil {
		return failure(refusal).response(e), nil
	}
	ctx, cut := context.WithCancel(req.Context())
	w.cut = cut
	s.watchers[w] = true
	reader, writer := io.Pipe()
	context.AfterFunc(ctx, func() {
		s.lock.Lock()
		delete(s.watchers, w)
		s.lock.Unlock()
		_ = writer.CloseWithError(io.ErrUnexpectedEOF) // never fails
	})
	go s.stream(ctx, w, first, writer)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {e.contentType(true)}}, Body: &watchBody{reader, cut},
	}, nil
}

// begin sets where a watch begins, and returns what it shows before.
func (s *Server) begin(w *watcher, r request) (first []Event, refusal *apierrors.StatusError) {
	if r.query.Get("allowWatchBookmarks") == "true" && s.Bookmarks > 0 {
		w.bookmarks = s.Bookmarks
		w.nextBookmark = time.Now().Add(w.bookmarks)
	}
	if seconds, err := strconv.ParseInt(r.query.Get("timeoutSeconds"), 10, 64); err == nil {
		w.ends = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	version := r.query.Get("resourceVersion")
	if r.query.Get("sendInitialEvents") == "true" || version == "" || version == "0" {
		w.next = len(s.history)
		return s.initialEvents(w, r.query.Get("sendInitialEvents") == "true"), nil
	}
	since, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if since < s.compacted[r.resource] {
		return nil, apierrors.NewResourceExpired("too old resource version")
	}
	w.next = sort.Search(len(s.history), func(i int) bool { return s.history[i].version > since })
	return nil, nil
}

// watchBody ends the watch when the client closes it.
type watchBody struct {
	*io.PipeReader
	cut context.CancelFunc
}

func (b *watchBody) Close() error {
	b.cut()
	return b.PipeReader.Close()
}

// Event is a watch event.
type Event struct {
	// Type is that on the wire: ADDED, MODIFIED, DELETED, BOOKMARK.
	Type string
	// Object is as the model has it. It must not be changed.
	Object Object
	// status is what an ERROR has in its place.
	status runtime.Object
}

// initialEvents are all objects, and where they are a streaming list, a bookmark that ends it.
func (s *Server) initialEvents(w *watcher, streamsList bool) (events []Event) {
	for _, o := range s.at(request{resource: w.resource}, s.version) {
		if w.wants(o) {
			events = append(events, Event{Type: added, Object: o})
		}
	}
	if streamsList {
		mark := s.bookmark(w)
		mark.Object.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		events = append(events, mark)
	}
	return events
}

// bookmark is one that says how far a watch has been told everything. It has no metadata but the version.
func (s *Server) bookmark(w *watcher) Event {
	mark, version := newObject(w.resource), s.version
	if w.next < len(s.history) {
		version = s.history[w.next].version - 1
	}
	setKind(w.resource, mark)
	mark.SetResourceVersion(strconv.FormatUint(version, 10))
	return Event{Type: bookmark, Object: mark}
}

// kindOf is what a change is to a watch: to one with a selector, an object that the selector does not select is not there.
func (w *watcher) kindOf(c change) string {
	if c.resource != w.resource {
		return ""
	}
	was, is := c.before != nil && w.wants(c.before), c.kind != deleted && w.wants(c.object)
	switch {
	case was && is:
		return modified
	case was:
		return deleted
	case is:
		return added
	default:
		return ""
	}
}

// wants says whether a watch is of an object.
func (w *watcher) wants(o object) bool {
	return (w.namespace == "" || o.GetNamespace() == w.namespace) && selects(w.selector, o)
}

// stream writes events until the watch is cut, or its time is over.
func (s *Server) stream(ctx context.Context, w *watcher, events []Event, to *io.PipeWriter) {
	for {
		for _, e := range events {
			if !s.write(w, e, to) {
				return
			}
		}
		var wait time.Duration
		if events, wait = s.pending(w); len(events) > 0 {
			continue
		}
		if !w.ends.IsZero() && !time.Now().Before(w.ends) {
			_ = to.Close() // never fails
			w.cut()
			return
		}
		for _, at := range []time.Time{w.ends, w.nextBookmark} {
			if until := time.Until(at); !at.IsZero() && (wait <= 0 || until < wait) {
				wait = max(until, time.Nanosecond)
			}
		}
		var later <-chan time.Time
		if wait > 0 {
			later = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-later:
		}
	}
}

// write writes an event, and says whether the watch goes on.
func (s *Server) write(w *watcher, e Event, to *io.PipeWriter) bool {
	delivery := Written
	if s.Deliver != nil {
		delivery = s.Deliver(w.client, w.resource, e)
	}
	data := w.encoding.event(e)
	if failed, ok := delivery.failed(); ok {
		_, _ = to.Write(w.encoding.event(failed)) // the watch ends in any case
		_ = to.Close()
		w.cut()
		return false
	}
	switch delivery {
	case Torn:
		_, _ = to.Write(data[:len(data)/2]) // the connection ends in any case
		w.cut()
		return false
	case Swallowed:
		return true
	}
	if _, err := to.Write(data); err != nil {
		return false
	}
	if s.Delivered != nil {
		s.Delivered(w.client, w.resource, e)
	}
	return true
}

// pending are the events that should have reached the watcher by now, or how long until there may be some.
func (s *Server) pending(w *watcher) (events []Event, wait time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for ; w.next < len(s.history); w.next++ {
		c := s.history[w.next]
		kind := w.kindOf(c)
		if kind == "" {
			continue
		}
		if wait = time.Until(c.at.Add(s.lagOf(w.client, w.resource))); wait > 0 {
			break
		}
		events = append(events, Event{Type: kind, Object: c.object})
	}
	if w.bookmarks > 0 && !time.Now().Before(w.nextBookmark) {
		w.nextBookmark = time.Now().Add(w.bookmarks)
		events = append(events, s.bookmark(w))
	}
	return events, max(wait, 0)
}
