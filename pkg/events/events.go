// Package events writes Events, and keeps them through a storm.
//
// client-go's recorders hand Events over by a channel of 1,000 and drop what does not fit, so that of a storm's Events few
// arrive. Here they wait in a queue for the writers.
//
// # Guarantees
//
//   - Record never blocks and never fails: an eviction does not wait for its Event.
//   - An Event is written once: its name is chosen when it is recorded, so that a write whose answer was lost is not done
//     twice.
//   - What cannot be written is tried again with backoff, and dropped, counted, after a number of tries; at once where its
//     namespace is terminating or has gone, and no Event can be written there any more.
//   - What occurs again and again to one object is one Event with a count, written anew every few seconds at most, as long as no ten minutes
//     pass without it; so an object has a bounded number of Events, whatever their messages say. Without the permission to change Events there
//     is one every ten minutes.
//   - At most a fixed number of Events wait; what comes beyond is dropped, counted.
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
	// capacity is how many Events may wait, about 20 MB of them.
	capacity = 50_000
	// tries with a backoff between firstRetry and lastRetry cover an outage of about five minutes.
	tries                 = 16
	firstRetry, lastRetry = 100 * time.Millisecond, 30 * time.Second
	callTimeout           = 10 * time.Second
	maxNameLength         = 253
)

// Recorder records Events about objects.
type Recorder struct {
	client  kubernetes.Interface
	clock   clock.WithTicker
	server  *serverclock.Clock
	counter *metrics.CounterVec
	queue   workqueue.TypedRateLimitingInterface[*record]
	// waiting counts the Events that are recorded and neither written nor dropped, those that wait for another try too.
	waiting atomic.Int64
	// capacity is how many Events may wait.
	capacity int64
	// errorLog bounds how often the log says that Events may not be changed.
	errorLog *rate.Sometimes

	// lock guards what follows, and all series.
	lock sync.Mutex
	// topics has, of each topic, a map[string]*record: its series by their kinds.
	topics *lru.Cache
	// unwritten are the series that have occurred since they were written.
	unwritten sets.Set[*record]
	// named is the time in the name of the last series.
	named time.Time
}

// NewRecorder returns a recorder whose Events are written while Run runs. Their times are those
// of the API server's clock. The counter has the label result.
func NewRecorder(client kubernetes.Interface, clock clock.WithTicker, server *serverclock.Clock, counter *metrics.CounterVec) *Recorder {
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

// Record writes an Event of type Normal about an object, soon.
func (r *Recorder) Record(about v1.ObjectReference, reason, message string) {
	if r.admit() {
		r.queue.Add(&record{about: about, reason: reason, message: message, at: r.clock.Now()})
	}
}

// admit counts one more Event that waits, or drops it.
func (r *Recorder) admit() bool {
	if r.waiting.Add(1) > r.capacity {
		r.waiting.Add(-1)
		r.counter.WithLabelValues("dropped").Inc()
		return false
	}
	return true
}

// record is what an Event will say. While thousands wait, it is a quarter of what they would take.
type record struct {
	about           v1.ObjectReference
	reason, message string
	// at is when it was recorded, and makes the Event's name.
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
		namespace = metav1.NamespaceDefault // where Events about objects without a namespace live
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
	if r.series != nil {
		r.series.on(event)
	}
	return event
}

// nameOf is the name of an Event: that of its object, cut to what leaves room for the suffix, which begins with a dot. No dot and no
// dash may stand before a dot.
func nameOf(object, suffix string) string {
	if room := maxNameLength - len(suffix); len(object) > room {
		object = strings.TrimRight(object[:room], "-.")
	}
	return object + suffix
}

// namespaceTerminating reports whether an Event was refused because its namespace is terminating or has gone. Other answers 404, those of
// proxies for instance, say nothing about the namespace.
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

// Run writes Events until ctx is over, and then those that still wait, for as long as grace.
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
	r.queue.ShutDown() // ends what draining leaves: the wait for it, and the queue's own goroutine
	<-drained
	if left := r.waiting.Swap(0); left > 0 {
		klog.FromContext(ctx).Error(nil, "Stopping, and dropped Events that could not be written in time", "events", left)
		r.counter.WithLabelValues("dropped").Add(float64(left))
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
	result := "dropped"
	switch {
	case err == nil:
		result = "written"
	case namespaceTerminating(err):
		logger.V(2).Info("Dropped an Event whose namespace is going", "error", err.Error())
	case ctx.Err() != nil:
		return false // counted at the end
	case r.patchForbidden(ctx, record, err):
		return true
	case r.queue.NumRequeues(record) >= tries:
		logger.Error(err, "Dropped an Event that the API server did not take", "tries", r.queue.NumRequeues(record)+1)
	default:
		logger.V(2).Info("Cannot write an Event, trying again", "error", err.Error())
		r.queue.AddRateLimited(record)
		return true
	}
	r.queue.Forget(record)
	r.counter.WithLabelValues(result).Inc()
	if record.series == nil || !r.ended(record, count, result == "written") {
		r.waiting.Add(-1)
	}
	return true
}

// write writes an Event, and returns the count that was written.
func (r *Recorder) write(ctx context.Context, record *record) (count int32, err error) {
	if record.series != nil {
		return r.writeSeries(ctx, record)
	}
	err = r.post(ctx, r.event(record))
	if apierrors.IsAlreadyExists(err) {
		err = nil // the answer of an earlier try was lost
	}
	return 1, err
}

// post makes an Event. The answer is the Event again, and not worth decoding.
func (r *Recorder) post(ctx context.Context, event *v1.Event) error {
	return r.client.CoreV1().RESTClient().Post().Namespace(event.Namespace).Resource("events").Body(event).Do(ctx).Error()
}
