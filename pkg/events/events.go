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

// Package events writes Events without losing them in a storm.
//
// client-go's recorders pass Events through a channel of 1,000 and drop what does not fit, so that in a storm most Events
// are lost. Here they wait in a queue.
//
// # Guarantees
//
//   - Record never blocks and never fails: an eviction does not wait for its Event.
//   - An Event is written once. Its name is chosen when it is recorded, so a write whose response was lost is not repeated.
//   - A write that fails is retried with backoff. After a number of tries the Event is dropped and counted. If its namespace
//     is terminating or does not exist, it is dropped at once.
//   - What recurs for one object is one Event with a count. It is updated every few seconds at most, as long as no ten
//     minutes pass without an occurrence. So the number of Events of an object is bounded. Without the permission to patch
//     Events there is one every ten minutes.
//   - A fixed number of Events may wait. More are dropped and counted.
package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

const (
	// component is the source of our Events.
	component = "taint-manager"
	writers   = 4
	// capacity is the number of Events that may wait, about 20 MB of them.
	capacity = 50_000
	// tries, with a backoff between firstRetry and lastRetry, cover an outage of about five minutes.
	tries                 = 16
	firstRetry, lastRetry = 100 * time.Millisecond, 30 * time.Second
	callTimeout           = 10 * time.Second
	maxNameLength         = 253
)

// The values of the label result.
const (
	resultWritten = "written"
	resultDropped = "dropped"
)

// Recorder records Events about objects.
type Recorder struct {
	client  kubernetes.Interface
	clock   clock.WithTicker
	server  *serverclock.Clock
	counter *metrics.CounterVec
	queue   workqueue.TypedRateLimitingInterface[*record]
	// waiting counts the Events that are recorded and neither written nor dropped, including those that wait for a retry.
	waiting atomic.Int64
	// capacity is the number of Events that may wait.
	capacity int64
	// errorLog limits how often the log says that Events may not be patched.
	errorLog *rate.Sometimes

	// lock guards the fields below and all series.
	lock sync.Mutex
	// topics holds a map[string]*record for each topic: its series by kind.
	topics *lru.Cache
	// unwritten are the series with occurrences that have not been written.
	unwritten sets.Set[*record]
	// named is the time in the name of the last series.
	named time.Time
}

// NewRecorder returns a recorder whose Events are written while Run runs. Their times are API times. The counter has the
// label result.
func NewRecorder(client kubernetes.Interface, clock clock.WithTicker, server *serverclock.Clock, counter *metrics.CounterVec) *Recorder {
	counter.WithLabelValues(resultWritten) // so that both are there from the start
	counter.WithLabelValues(resultDropped)
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[*record](firstRetry, lastRetry)
	return &Recorder{
		client:   client,
		clock:    clock,
		server:   server,
		counter:  counter,
		capacity: capacity,

		errorLog:  &rate.Sometimes{Interval: seriesInterval},
		topics:    lru.New(maxTopics),
		unwritten: sets.New[*record](),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
			workqueue.TypedRateLimitingQueueConfig[*record]{Name: "events", Clock: clock}),
	}
}

// Record queues an Event of type Normal about an object.
func (r *Recorder) Record(about v1.ObjectReference, reason, message string) {
	if r.admit() {
		r.queue.Add(&record{about: about, reason: reason, message: message, at: r.clock.Now()})
	}
}

// admit counts one more waiting Event. It returns false if the Event has to be dropped.
func (r *Recorder) admit() bool {
	if r.waiting.Add(1) > r.capacity {
		r.waiting.Add(-1)
		r.counter.WithLabelValues(resultDropped).Inc()
		return false
	}
	return true
}

// record holds what an Event will say. It takes a quarter of the memory of the Event.
type record struct {
	about           v1.ObjectReference
	reason, message string
	// warning says that the Event is of type Warning.
	warning bool
	// at is when it was recorded. The Event's name contains it.
	at time.Time
	// series is nil for an Event that occurs once.
	series *series
}

// event returns the Event of a record as it is now.
func (r *Recorder) event(record *record) *v1.Event {
	event := record.event()
	event.FirstTimestamp = metav1.NewTime(r.server.At(event.FirstTimestamp.Time))
	event.LastTimestamp = metav1.NewTime(r.server.At(event.LastTimestamp.Time))
	return event
}

func (r *record) event() *v1.Event {
	suffix := fmt.Sprintf(".%x", r.at.UnixNano())
	namespace := r.about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // as for all Events about cluster-scoped objects
	}
	event := &v1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      nameOf(r.about.Name, suffix),
		},
		InvolvedObject:      r.about,
		Reason:              r.reason,
		Message:             r.message,
		Type:                v1.EventTypeNormal,
		Source:              v1.EventSource{Component: component},
		ReportingController: component,
		FirstTimestamp:      metav1.NewTime(r.at),
		LastTimestamp:       metav1.NewTime(r.at),
		Count:               1,
	}
	if r.warning {
		event.Type = v1.EventTypeWarning
	}
	if r.series != nil {
		r.series.fillIn(event)
	}
	return event
}

// nameOf returns the name of an Event: that of its object, truncated to leave room for the suffix, which begins with a dot.
// A name must not have a dot or a dash before a dot.
func nameOf(object, suffix string) string {
	if room := maxNameLength - len(suffix); len(object) > room {
		object = strings.TrimRight(object[:room], "-.")
	}
	return object + suffix
}

// namespaceTerminating reports whether an Event was rejected because its namespace is terminating or does not exist. Other
// 404 responses, such as those of proxies, say nothing about the namespace.
func namespaceTerminating(err error) bool {
	if apierrors.HasStatusCause(err, v1.NamespaceTerminatingCause) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == "namespaces"
}

// Run writes Events until ctx is done. Then it writes those that still wait, for at most grace.
func (r *Recorder) Run(ctx context.Context, grace time.Duration) {
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for r.writeNext(writing) {
			}
		})
	}
	<-ctx.Done()
	r.flush()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		r.queue.ShutDownWithDrain()
		running.Wait()
	}()
	timer := r.clock.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C():
		stop()
	}
	r.queue.ShutDown() // ends the wait in ShutDownWithDrain and the goroutine of the queue
	<-drained
	if left := r.waiting.Swap(0); left > 0 {
		klog.FromContext(ctx).Error(nil, "Dropped Events that could not be written before the end", "events", left)
		r.counter.WithLabelValues(resultDropped).Add(float64(left))
	}
}

func (r *Recorder) writeNext(ctx context.Context) bool {
	record, shutdown := r.queue.Get()
	if shutdown || ctx.Err() != nil {
		return false
	}
	defer r.queue.Done(record)
	if !r.waits(record) {
		return true
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	count, err := r.write(call, record)
	logger := klog.FromContext(ctx).WithValues("reason", record.reason, "object", klog.KRef(record.about.Namespace, record.about.Name))
	result := resultDropped
	switch {
	case err == nil:
		result = resultWritten
	case namespaceTerminating(err):
		logger.V(2).Info("Dropped an Event because its namespace is terminating or does not exist", "error", err.Error())
	case ctx.Err() != nil:
		return false // counted at the end
	case r.patchForbidden(ctx, record, err):
		return true
	case r.queue.NumRequeues(record) >= tries:
		logger.Error(err, "Dropped an Event that could not be written", "tries", r.queue.NumRequeues(record)+1)
	default:
		logger.V(2).Info("Cannot write an Event, retrying", "error", err.Error())
		r.queue.AddRateLimited(record)
		return true
	}
	r.queue.Forget(record)
	r.counter.WithLabelValues(result).Inc()
	if record.series == nil || !r.ended(record, count, result == resultWritten) {
		r.waiting.Add(-1)
	}
	return true
}

// write writes an Event. It returns the count that was written.
func (r *Recorder) write(ctx context.Context, record *record) (count int32, err error) {
	if record.series != nil {
		return r.writeSeries(ctx, record)
	}
	err = r.post(ctx, r.event(record))
	if apierrors.IsAlreadyExists(err) {
		err = nil // the response to an earlier try was lost
	}
	return 1, err
}

// post creates an Event. The response is not decoded.
func (r *Recorder) post(ctx context.Context, event *v1.Event) error {
	return r.client.CoreV1().RESTClient().Post().Namespace(event.Namespace).Resource("events").Body(event).Do(ctx).Error()
}
