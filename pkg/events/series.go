package events

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

const (
	// seriesInterval is how long nothing has to occur for a series to end: what occurs later is a new Event. It is that of client-go's
	// correlator, and so are maxKinds and maxTopics.
	seriesInterval = 10 * time.Minute
	// updateInterval is the least time between two writes of one series.
	updateInterval = 10 * time.Second
	// maxKinds is how many series an object has for one reason, beside that of all other kinds.
	maxKinds = 10
	// maxTopics is for how many objects and reasons series are kept.
	maxTopics = 4096
	// maxKindLength bounds the memory of the names of kinds.
	maxKindLength = 256
)

// topic is what series have in common: an object and a reason.
type topic struct {
	kind, namespace, name string
	uid                   types.UID
	reason                string
}

// series is what has occurred of an Event that is written once and then counted.
type series struct {
	// first and last are when it occurred, count is how often, and message is the text of the last time.
	first, last time.Time
	count       int32
	message     string
	// written is the count that the API server has, 0 before it has the Event.
	written int32
	// next is the earliest time of the next write.
	next time.Time
}

// RecordSeries writes an Event of type Normal about an object, soon, or counts it in the one that it has written for the same object,
// reason and kind. The message is that of the last occurrence.
func (r *Recorder) RecordSeries(about v1.ObjectReference, reason, kind, message string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.clock.Now()
	record, combined := r.seriesOf(about, reason, kind, now)
	s := record.series
	if combined {
		message = "(combined from similar events): " + message
	}
	s.count++
	s.last, s.message = now, message
	if r.unwritten.Has(record) || !r.admit() {
		return
	}
	r.unwritten.Insert(record)
	r.queue.AddAfter(record, s.next.Sub(now))
}

// seriesOf returns the series that an occurrence counts in, and whether it is the one of all kinds that have none of their own.
func (r *Recorder) seriesOf(about v1.ObjectReference, reason, kind string, now time.Time) (in *record, combined bool) {
	key := topic{about.Kind, about.Namespace, about.Name, about.UID, reason}
	value, found := r.topics.Get(key)
	if !found {
		value = map[string]*record{}
		r.topics.Add(key, value)
	}
	kinds := value.(map[string]*record)
	maps.DeleteFunc(kinds, func(_ string, old *record) bool {
		return !r.unwritten.Has(old) && now.Sub(old.series.last) > seriesInterval
	})
	kind = kind[:min(len(kind), maxKindLength)]
	const others = "\x00"
	if kinds[kind] == nil && len(kinds) >= maxKinds {
		kind = others
	}
	if kinds[kind] == nil {
		kinds[kind] = &record{about: about, reason: reason, at: r.naming(now), series: &series{first: now}}
	}
	return kinds[kind], kind == others
}

// naming returns a time for the name of an Event, which no other series has: two may begin at one reading of the clock.
func (r *Recorder) naming(now time.Time) time.Time {
	if !now.After(r.named) {
		now = r.named.Add(time.Nanosecond)
	}
	r.named = now
	return now
}

// writeSeries writes what has occurred of a series, and returns the count that it wrote.
func (r *Recorder) writeSeries(ctx context.Context, record *record) (count int32, err error) {
	r.lock.Lock()
	event, exists := r.event(record), record.series.written > 0
	r.lock.Unlock()
	if exists {
		err = r.patch(ctx, event)
	}
	// An Event that has expired, or was deleted, is made again.
	if !exists || apierrors.IsNotFound(err) {
		err = r.post(ctx, event)
	}
	if apierrors.IsAlreadyExists(err) {
		return 1, nil // of an earlier write whose answer was lost; what has occurred since is patched
	}
	return event.Count, err
}

// patch writes down one more occurrence of an Event that is there.
func (r *Recorder) patch(ctx context.Context, event *v1.Event) error {
	patch, err := json.Marshal(map[string]any{"count": event.Count, "lastTimestamp": event.LastTimestamp, "message": event.Message})
	if err != nil {
		return fmt.Errorf("patch of an Event: %w", err)
	}
	return r.client.CoreV1().RESTClient().Patch(types.MergePatchType).Namespace(event.Namespace).Resource("events").Name(event.Name).
		Body(patch).Do(ctx).Error()
}

// patchForbidden reports whether a series may not be counted: we have no permission to change Events. Then there is one Event for each
// seriesInterval instead, with the count of all.
func (r *Recorder) patchForbidden(ctx context.Context, record *record, err error) bool {
	if record.series == nil || !apierrors.IsForbidden(err) && !apierrors.IsMethodNotSupported(err) {
		return false
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if record.series.written == 0 {
		return false // it is making Events that is refused
	}
	now := r.clock.Now()
	record.at, record.series.written = r.naming(now), 0
	r.queue.Forget(record)
	r.queue.AddAfter(record, seriesInterval)
	r.errorLog.Do(func() {
		klog.FromContext(ctx).Info("Not allowed to count Events: grant patch on events; writing one now and again", "every", seriesInterval, "error", err.Error())
	})
	return true
}

// ended notes that a series was written, up to the given count, or that this was given up. It reports whether there is more to write,
// which is done in time.
func (r *Recorder) ended(record *record, count int32, written bool) (more bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	s, now := record.series, r.clock.Now()
	s.next = now.Add(updateInterval)
	if written {
		s.written = max(s.written, count)
	}
	if written && s.count > count {
		r.queue.AddAfter(record, updateInterval)
		return true
	}
	s.message = ""
	r.unwritten.Delete(record)
	return false
}

// flush has everything written at once that waits for its time.
func (r *Recorder) flush() {
	r.lock.Lock()
	defer r.lock.Unlock()
	for record := range r.unwritten {
		r.queue.Add(record)
	}
}

// waits reports whether there is something of a record to write.
func (r *Recorder) waits(record *record) bool {
	if record.series == nil {
		return true
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.unwritten.Has(record)
}

// on fills in what a series says of its Event.
func (s *series) on(event *v1.Event) {
	event.FirstTimestamp, event.LastTimestamp = metav1.NewTime(s.first), metav1.NewTime(s.last)
	event.Count, event.Message = s.count, s.message
}
