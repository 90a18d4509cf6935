// Package podwatch notes when each pod of a namespace appeared, was bound, began to go and was gone, as a watch saw it.
package podwatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// retryInterval is the time between two tries to list and watch.
const retryInterval = 50 * time.Millisecond

// Sighting is what has been seen of one pod. A time is when we learned it, and zero until then.
type Sighting struct {
	// First is when the pod was first seen, Bound when it was on a node, Going when it was being deleted or gone, and Gone
	// when it was gone.
	First, Bound, Going, Gone time.Time
	// Last is the pod as it was last seen.
	Last *corev1.Pod
}

// Sightings are those of all pods that were ever seen.
type Sightings struct {
	pods  map[types.UID]*Sighting
	order []types.UID
}

// Of is what has been seen of a pod. Of one that was never seen, nothing is known but the pod that is given.
func (s *Sightings) Of(pod *corev1.Pod) Sighting {
	if seen := s.pods[pod.UID]; seen != nil {
		return *seen
	}
	return Sighting{Last: pod}
}

// All are the sightings in the order in which the pods appeared.
func (s *Sightings) All() []Sighting {
	all := make([]Sighting, 0, len(s.order))
	for _, uid := range s.order {
		all = append(all, *s.pods[uid])
	}
	return all
}

// Left counts those of some pods that have not begun to go.
func (s *Sightings) Left(pods []*corev1.Pod) (n int) {
	for _, pod := range pods {
		if seen := s.pods[pod.UID]; seen == nil || seen.Going.IsZero() {
			n++
		}
	}
	return n
}

// Watch watches the pods of a namespace.
type Watch struct {
	api typedcorev1.PodInterface

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each event
	seen    Sightings
}

// Start watches until ctx is over. When the watch is cut, as by a restart of the API server, it lists and goes on: unlike an
// informer without a growing backoff, because what counts here is the moment.
func Start(ctx context.Context, client kubernetes.Interface, namespace string) (*Watch, error) {
	w := &Watch{
		api: client.CoreV1().Pods(namespace), changed: make(chan struct{}), seen: Sightings{pods: map[types.UID]*Sighting{}},
	}
	events, err := w.begin(ctx)
	if err != nil {
		return nil, err
	}
	go func() {
		w.follow(events)
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			if events, err := w.begin(ctx); err == nil {
				w.follow(events)
			}
		}, retryInterval)
	}()
	return w, nil
}

// Look calls a function that reads what has been seen until now, and must not keep it.
func (w *Watch) Look(read func(*Sightings)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	read(&w.seen)
}

// Of is what has been seen of a pod until now.
func (w *Watch) Of(pod *corev1.Pod) (seen Sighting) {
	w.Look(func(s *Sightings) { seen = s.Of(pod) })
	return seen
}

// Await waits until a condition holds, and says whether it came to hold in time.
func (w *Watch) Await(ctx context.Context, until time.Time, condition func(*Sightings) bool) bool {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		w.mu.Lock()
		holds, changed := condition(&w.seen), w.changed
		w.mu.Unlock()
		if holds {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// begin lists and opens a watch from there.
func (w *Watch) begin(ctx context.Context) (watch.Interface, error) {
	list, err := w.api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	w.noteList(list.Items, time.Now())
	events, err := w.api.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	return events, nil
}

// follow notes events until the watch ends.
func (w *Watch) follow(events watch.Interface) {
	defer events.Stop()
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return // an error
		}
		w.noteEvent(pod, event.Type == watch.Deleted, time.Now())
	}
}

func (w *Watch) noteEvent(pod *corev1.Pod, gone bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.note(pod, gone, now)
	w.wake()
}

func (w *Watch) noteList(pods []corev1.Pod, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := sets.New[types.UID]()
	for i := range pods {
		listed.Insert(pods[i].UID)
		w.seen.note(&pods[i], false, now)
	}
	for uid, seen := range w.seen.pods {
		if !listed.Has(uid) {
			w.seen.note(seen.Last, true, now)
		}
	}
	w.wake()
}

func (w *Watch) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (s *Sightings) note(pod *corev1.Pod, gone bool, now time.Time) {
	seen := s.pods[pod.UID]
	if seen == nil {
		seen = &Sighting{First: now}
		s.pods[pod.UID] = seen
		s.order = append(s.order, pod.UID)
	}
	seen.Last = pod
	setOnce(&seen.Bound, pod.Spec.NodeName != "", now)
	setOnce(&seen.Going, gone || pod.DeletionTimestamp != nil, now)
	setOnce(&seen.Gone, gone, now)
}

func setOnce(at *time.Time, happened bool, now time.Time) {
	if happened && at.IsZero() {
		*at = now
	}
}
