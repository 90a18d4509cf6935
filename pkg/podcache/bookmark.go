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
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// nodeWatchSeconds is how long a watch of nodes lasts before it is resumed. The API server sends a bookmark shortly before
// the end, and otherwise only once a minute, which is too seldom to bound an absence.
const nodeWatchSeconds int64 = 20

// firstWatchFor is how long a watch that began with a list continues after the list, for the same reason. The list itself
// has no time limit.
const firstWatchFor = time.Duration(nodeWatchSeconds) * time.Second

// ListObserver learns how far lists and watches of nodes have come. Lists are numbered.
type ListObserver interface {
	// NodeReceived is called for each version of a node that a list, or the watch after it, delivers.
	NodeReceived(node, resourceVersion string, list uint64)
	// ListCompleted is called when a consistent list is complete. It was requested at a local time and has the given
	// resourceVersion, so it reflects all changes up to the request.
	ListCompleted(list uint64, sent time.Time, resourceVersion string)
	// BookmarkReceived is called when the watch after a list has delivered everything up to a resourceVersion. after is the
	// resourceVersion of the event before, or empty.
	BookmarkReceived(list uint64, after, resourceVersion string)
}

// follow returns a watch that reports the bookmarks of another one to an observer. since is the resourceVersion that the
// watch resumes from. sent is when it was requested if it begins with a consistent list, and zero otherwise.
func follow(events watch.Interface, list uint64, since string, sent time.Time, observer ListObserver) watch.Interface {
	w := &bookmarked{newRelay(events, nil)}
	go w.follow(since, func(last string, mark metav1.Object) {
		switch {
		case !endsInitialEvents(mark):
			observer.BookmarkReceived(list, last, mark.GetResourceVersion())
		case !sent.IsZero():
			observer.ListCompleted(list, sent, mark.GetResourceVersion())
		}
	})
	return w
}

// endsInitialEvents reports whether a bookmark ends a streaming list.
func endsInitialEvents(mark metav1.Object) bool {
	return mark.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// bookmarked is a watch that reports its bookmarks.
type bookmarked struct{ *relay }

// follow passes events on until the watch ends. For each bookmark it calls report with the resourceVersion of the event
// before.
func (w *bookmarked) follow(last string, report func(last string, mark metav1.Object)) {
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
			return // the reflector resumes here
		case event, open = <-w.upstream.ResultChan():
		}
		if !open {
			return
		}
		if !w.pass(event) {
			return
		}
		if object, err := meta.Accessor(event.Object); err == nil { // otherwise a Status, which ends the watch
			if event.Type == watch.Bookmark { // the observer has seen all events before it
				report(last, object)
				if endsInitialEvents(object) {
					end = time.After(firstWatchFor)
				}
			}
			last = object.GetResourceVersion()
		}
	}
}
