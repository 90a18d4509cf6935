package podcache

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// nodeWatchSeconds is how long a watch of nodes lasts before it is taken up again where it ended. The API server sends a
// bookmark shortly before that, and otherwise once a minute only: too seldom to tell for how long a taint has been off.
const nodeWatchSeconds int64 = 20

// firstWatchFor is how long a watch that began with a list is kept after the end of that, for the same reason. Its own time is not
// bounded: the list may take long.
const firstWatchFor = time.Duration(nodeWatchSeconds) * time.Second

// Follower is told how far nodes are known.
type Follower interface {
	// Read tells that the list of a number, or the watch after it, has brought a node in a version.
	Read(node, resourceVersion string, list uint64)
	// Listed tells that the list of a number, which was asked for at a local time, is of a resourceVersion: it has all that had
	// happened when it was asked for.
	Listed(list uint64, sent time.Time, resourceVersion string)
	// Bookmark tells that the watch after the list of a number has brought everything up to a resourceVersion. after is that of
	// the last event before; empty where there was none.
	Bookmark(list uint64, after, resourceVersion string)
}

// follow has a watch that was opened tell a follower of its bookmarks. since is the resourceVersion that it goes on from; sent is
// when it was asked for, where it begins with a consistent list, and otherwise zero.
func follow(events watch.Interface, list uint64, since string, sent time.Time, follower Follower) watch.Interface {
	w := &bookmarked{newRelay(events, nil)}
	go w.follow(since, func(last string, mark metav1.Object) {
		switch {
		case !endsInitialEvents(mark):
			follower.Bookmark(list, last, mark.GetResourceVersion())
		case !sent.IsZero():
			follower.Listed(list, sent, mark.GetResourceVersion())
		}
	})
	return w
}

// endsInitialEvents reports whether a bookmark is the one at the end of a streaming list.
func endsInitialEvents(mark metav1.Object) bool {
	return mark.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// bookmarked is a watch whose bookmarks are told of.
type bookmarked struct{ *relay }

// follow passes events on until the watch ends, and tells of bookmarks and of the resourceVersion of the event before.
func (w *bookmarked) follow(last string, tell func(last string, mark metav1.Object)) {
	defer close(w.events)
	defer w.upstream.Stop()
	var end <-chan time.Time
	for {
		var event watch.Event
		var open bool
		select {
		case <-w.stopped:
			return
		case <-end:
			return // it is taken up again where it ended
		case event, open = <-w.upstream.ResultChan():
		}
		if !open {
			return
		}
		if !w.pass(event) {
			return
		}
		if object, err := meta.Accessor(event.Object); err == nil { // else it is a Status: the watch ends
			if event.Type == watch.Bookmark { // all that came before it has been taken in
				tell(last, object)
				if endsInitialEvents(object) {
					end = time.After(firstWatchFor)
				}
			}
			last = object.GetResourceVersion()
		}
	}
}
