package podcache

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// nodeWatchSeconds is how long a watch of nodes lasts before it is taken up again where it ended. The API server sends a
// bookmark shortly before that, and otherwise once a minute only: too seldom to tell for how long a taint has been off.
const nodeWatchSeconds int64 = 20

// Reached is told that the watch after the list of a number has brought everything up to a resourceVersion. after is that of
// the last event before; empty where there was none.
type Reached func(list uint64, after, resourceVersion string)

// watchBookmarks has a watch that was opened tell of its bookmarks.
func watchBookmarks(events watch.Interface, err error, list uint64, reached Reached) (watch.Interface, error) {
	if err != nil || reached == nil {
		return events, err
	}
	w := &bookmarked{upstream: events, events: make(chan watch.Event), stopped: make(chan struct{})}
	go w.pass(func(after, resourceVersion string) { reached(list, after, resourceVersion) })
	return w, nil
}

// bookmarked is a watch whose bookmarks are told of. (That of apimachinery's watch.Filter is not enough: it leaves its
// goroutine behind where a watch is stopped while an event is passed on.)
type bookmarked struct {
	upstream watch.Interface
	events   chan watch.Event
	once     sync.Once
	stopped  chan struct{}
}

func (w *bookmarked) ResultChan() <-chan watch.Event { return w.events }

func (w *bookmarked) Stop() {
	w.once.Do(func() {
		close(w.stopped)
		w.upstream.Stop()
	})
}

// pass passes events on until the watch ends.
func (w *bookmarked) pass(reached func(after, resourceVersion string)) {
	defer close(w.events)
	last := ""
	for event := range w.upstream.ResultChan() {
		object, err := meta.Accessor(event.Object)
		switch {
		case err != nil: // a Status: the watch ends
		case event.Type != watch.Bookmark:
			last = object.GetResourceVersion()
		case object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "":
			reached(last, object.GetResourceVersion())
		}
		select {
		case w.events <- event:
		case <-w.stopped:
			return
		}
	}
}
