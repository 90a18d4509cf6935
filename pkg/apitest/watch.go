package apitest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sort"
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
	client, resource, selector string
	wake                       chan struct{}
	next                       int // index into the history
	cut                        context.CancelFunc
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

// lagOf is the lag of a watch.
func (s *Server) lagOf(w *watcher) time.Duration {
	if lag, own := s.lag[[2]string{w.client, w.resource}]; own {
		return lag
	}
	return s.lag[[2]string{"", w.resource}]
}

// CutWatches ends all watches of a resource. Where the history is forgotten, they cannot be taken up again where they ended,
// and clients list anew.
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

func (s *Server) watch(req *http.Request, resource string, query url.Values) (*http.Response, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	ctx, cut := context.WithCancel(req.Context())
	w := &watcher{client: req.UserAgent(), resource: resource, selector: query.Get("fieldSelector"), wake: make(chan struct{}, 1), cut: cut}
	var first []Event
	if query.Get("sendInitialEvents") == "true" {
		first = s.initialEvents(w)
		w.next = len(s.history)
	} else {
		since, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
		if err != nil {
			cut()
			return Failure(apierrors.NewBadRequest("the model watches from a resource version: " + err.Error())), nil
		}
		if since < s.compacted[resource] {
			cut()
			return Failure(apierrors.NewResourceExpired("too old resource version")), nil
		}
		w.next = sort.Search(len(s.history), func(i int) bool { return s.history[i].version > since })
	}
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

// Event is a watch event.
type Event struct {
	// Type is that on the wire: ADDED, MODIFIED, DELETED, BOOKMARK.
	Type string
	// Object is as the model has it. It must not be changed.
	Object Object
}

// encode writes an event as it is on the wire.
func (e Event) encode() []byte {
	data, err := json.Marshal(struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}{e.Type, encode(e.Object)})
	if err != nil {
		panic(err) // an API object that cannot be encoded: a bug of the test
	}
	return append(data, '\n')
}

// initialEvents are a streaming list: all objects, and a bookmark that ends it.
func (s *Server) initialEvents(w *watcher) (events []Event) {
	for _, o := range s.objects[w.resource] {
		if selects(w.selector, o) {
			events = append(events, Event{added, o})
		}
	}
	var mark object = &v1.Node{}
	if w.resource == "pods" {
		mark = &v1.Pod{}
	}
	setKind(w.resource, mark)
	mark.SetResourceVersion(strconv.FormatUint(s.version, 10))
	mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return append(events, Event{bookmark, mark})
}

// stream writes events until the watch is cut.
func (s *Server) stream(ctx context.Context, w *watcher, events []Event, to io.Writer) {
	for {
		for _, e := range events {
			data := e.encode()
			if s.Deliver != nil && s.Deliver(w.client, w.resource, e) {
				_, _ = to.Write(data[:len(data)/2]) // the connection ends in any case
				w.cut()
				return
			}
			if _, err := to.Write(data); err != nil {
				return
			}
			if s.Delivered != nil {
				s.Delivered(w.client, w.resource, e)
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
func (s *Server) pending(w *watcher) (events []Event, wait time.Duration) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for ; w.next < len(s.history); w.next++ {
		c := s.history[w.next]
		if c.resource != w.resource || !selects(w.selector, c.object) {
			continue
		}
		if wait = time.Until(c.at.Add(s.lagOf(w))); wait > 0 {
			return events, wait
		}
		events = append(events, Event{c.kind, c.object})
	}
	return events, 0
}
