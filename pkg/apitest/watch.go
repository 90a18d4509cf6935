package apitest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
)

// change is one entry of the model's history.
type change struct {
	kind     string
	resource string
	object   object
	version  uint64
	at       time.Time
}

// watcher is one open watch.
type watcher struct {
	resource, selector string
	wake               chan struct{}
	next               int // index into the history
	cut                context.CancelFunc
}

// publish adds a change to the history.
func (s *Server) publish(c change) {
	c.object = c.object.DeepCopyObject().(object)
	c.at = time.Now()
	s.history = append(s.history, c)
	for w := range s.watchers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Lag has what happens to a resource ("pods", "nodes") reach watches later by d.
func (s *Server) Lag(resource string, d time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.lag[resource] = d
}

// CutWatches ends all watches of a resource. Where the history is forgotten, they cannot be taken up again where they ended,
// and clients list anew.
func (s *Server) CutWatches(resource string, forget bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for w := range s.watchers {
		if w.resource == resource {
			w.cut()
		}
	}
	if forget {
		for i := range s.history {
			if s.history[i].resource == resource {
				s.history[i].version = 0
			}
		}
	}
}

func (s *Server) watch(req *http.Request, resource string, query url.Values) (*http.Response, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	ctx, cut := context.WithCancel(req.Context())
	w := &watcher{resource: resource, selector: query.Get("fieldSelector"), wake: make(chan struct{}, 1), cut: cut}
	var first []event
	if query.Get("sendInitialEvents") == "true" {
		first = s.initialEvents(w)
		w.next = len(s.history)
	} else {
		since, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
		if err != nil {
			cut()
			return Failure(apierrors.NewBadRequest("the model watches from a resource version: " + err.Error())), nil
		}
		for i, c := range s.history {
			if c.resource == resource && c.version == 0 {
				cut()
				return Failure(apierrors.NewResourceExpired("too old resource version")), nil
			}
			if c.version <= since {
				w.next = i + 1
			}
		}
	}
	s.watchers[w] = true
	reader, writer := io.Pipe()
	context.AfterFunc(ctx, func() {
		s.lock.Lock()
		delete(s.watchers, w)
		s.lock.Unlock()
		_ = writer.CloseWithError(io.ErrUnexpectedEOF) // never fails
	})
	go s.stream(ctx, w, first, json.NewEncoder(writer))
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: &watchBody{reader, cut},
	}, nil
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

// event is a watch event on the wire.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// initialEvents are a streaming list: all objects, and a bookmark that ends it.
func (s *Server) initialEvents(w *watcher) (events []event) {
	for _, o := range s.objects[w.resource] {
		if selects(w.selector, o) {
			events = append(events, event{added, encode(o)})
		}
	}
	mark := metav1.ObjectMeta{
		ResourceVersion: strconv.FormatUint(s.version, 10),
		Annotations:     map[string]string{metav1.InitialEventsAnnotationKey: "true"},
	}
	if w.resource == "pods" {
		return append(events, event{bookmark, encode(&v1.Pod{ObjectMeta: mark})})
	}
	return append(events, event{bookmark, encode(&v1.Node{ObjectMeta: mark})})
}

// stream writes events until the watch is cut.
func (s *Server) stream(ctx context.Context, w *watcher, events []event, to *json.Encoder) {
	for {
		for _, e := range events {
			if to.Encode(e) != nil {
				return
			}
		}
		var wait time.Duration
		events, wait = s.pending(w)
		if len(events) > 0 {
			continue
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

// pending are the events that should have reached the watcher by now, or how long until there may be some.
func (s *Server) pending(w *watcher) (events []event, wait time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for ; w.next < len(s.history); w.next++ {
		c := s.history[w.next]
		if c.resource != w.resource || !selects(w.selector, c.object) {
			continue
		}
		if wait = time.Until(c.at.Add(s.lag[w.resource])); wait > 0 {
			return events, wait
		}
		events = append(events, event{c.kind, encode(c.object)})
	}
	return events, 0
}
