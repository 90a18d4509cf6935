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
	// seriesInterval is how long a series lasts after its last occurrence. Later occurrences are a new Event. The value is
	// that of client-go's correlator, as are maxKinds and maxTopics.
	seriesInterval = 10 * time.Minute
	// updateInterval is the shortest time between two writes of one series.
	updateInterval = 10 * time.Second
	// maxKinds is the number of series of one topic. Further kinds share one more series.
	maxKinds = 10
	// maxTopics is the number of topics for which series are kept.
	maxTopics = 4096
	// maxKindLength bounds the memory for the names of kinds.
	maxKindLength = 256
)

// topic is an object and a reason. A topic has series of several kinds.
type topic struct {
	kind, namespace, name string
	uid                   types.UID
	reason                string
}

// series is an Event that is written once and then counted.
type series struct {
	// first and last are the times of the first and the last occurrence, count is their number, and message is the text of
	// the last one.
	first, last time.Time
	count       int32
	message     string
	// written is the count that the API server has. It is 0 before the Event exists.
	written int32
	// next is the earliest time of the next write.
	next time.Time
}

// RecordSeries queues an Event of type Normal about an object, or counts it in the existing Event with the same object,
// reason and kind. The message is that of the last occurrence.
func (r *Recorder) RecordSeries(about v1.ObjectReference, reason, kind, message string) {
	r.recordSeries(false, about, reason, kind, message)
}

// RecordWarningSeries is RecordSeries for Events of type Warning. The kind must not be one of a series of type Normal.
func (r *Recorder) RecordWarningSeries(about v1.ObjectReference, reason, kind, message string) {
	r.recordSeries(true, about, reason, kind, message)
}

func (r *Recorder) recordSeries(warning bool, about v1.ObjectReference, reason, kind, message string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.clock.Now()
	record, combined := r.seriesOf(about, reason, kind, now)
	record.warning = warning
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

// seriesOf returns the series that counts an occurrence, and whether that is the one shared by several kinds.
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

// naming returns a time for the name of an Event that no other series has, although two may begin at the same time.
func (r *Recorder) naming(now time.Time) time.Time {
	if !now.After(r.named) {
		now = r.named.Add(time.Nanosecond)
	}
	r.named = now
	return now
}

// writeSeries writes the occurrences of a series. It returns the count that it wrote.
func (r *Recorder) writeSeries(ctx context.Context, record *record) (count int32, err error) {
	r.lock.Lock()
	event, exists := r.event(record), record.series.written > 0
	r.lock.Unlock()
	if exists {
		err = r.patch(ctx, event)
	}
	// An Event that has expired or was deleted is created again.
	if !exists || apierrors.IsNotFound(err) {
		err = r.post(ctx, event)
	}
	if apierrors.IsAlreadyExists(err) {
		return 1, nil // the response to an earlier create was lost; later occurrences are patched
	}
	return event.Count, err
}

// patch updates the count of an Event.
func (r *Recorder) patch(ctx context.Context, event *v1.Event) error {
	patch, err := json.Marshal(map[string]any{"count": event.Count, "lastTimestamp": event.LastTimestamp, "message": event.Message})
	if err != nil {
		return fmt.Errorf("patch of an Event: %w", err)
	}
	return r.client.CoreV1().RESTClient().Patch(types.MergePatchType).Namespace(event.Namespace).Resource("events").Name(event.Name).
		Body(patch).Do(ctx).Error()
}

// patchForbidden reports whether an error means that we may not patch Events. If so, it begins a new Event after
// seriesInterval, with the total count.
func (r *Recorder) patchForbidden(ctx context.Context, record *record, err error) bool {
	if record.series == nil || !apierrors.IsForbidden(err) && !apierrors.IsMethodNotSupported(err) {
		return false
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if record.series.written == 0 {
		return false // creating Events is forbidden
	}
	now := r.clock.Now()
	record.at, record.series.written = r.naming(now), 0
	r.queue.Forget(record)
	r.queue.AddAfter(record, seriesInterval)
	r.errorLog.Do(func() {
		klog.FromContext(ctx).Info("Not allowed to patch Events, creating a new one now and then; grant patch on events", "every", seriesInterval, "error", err.Error())
	})
	return true
}

// ended records that a series was written up to a count, or given up. It reports whether there is more to write, which is
// then queued.
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

// flush queues everything that waits for its next write.
func (r *Recorder) flush() {
	r.lock.Lock()
	defer r.lock.Unlock()
	for record := range r.unwritten {
		r.queue.Add(record)
	}
}

// waits reports whether a record has something to write.
func (r *Recorder) waits(record *record) bool {
	if record.series == nil {
		return true
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.unwritten.Has(record)
}

// fillIn sets the fields of an Event that depend on the series.
func (s *series) fillIn(event *v1.Event) {
	event.FirstTimestamp, event.LastTimestamp = metav1.NewTime(s.first), metav1.NewTime(s.last)
	event.Count, event.Message = s.count, s.message
}
