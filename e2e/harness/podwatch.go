package harness

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

// podWatch notes for each pod of a namespace when it was first seen to be going.
type podWatch struct {
	api typedcorev1.PodInterface

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each event
	pods    map[types.UID]*sighting
}

// sighting is what has been seen of one pod.
type sighting struct {
	// going is when we learned that it was being deleted, or gone; zero until then.
	going time.Time
	last  *corev1.Pod
}

// watchPods watches until ctx is over. When the watch is cut, as by a restart of the API server, it lists and goes on:
// unlike an informer without a growing backoff, because what counts here is the moment.
func watchPods(ctx context.Context, client kubernetes.Interface, namespace string) (*podWatch, error) {
	w := &podWatch{
		api: client.CoreV1().Pods(namespace), changed: make(chan struct{}), pods: map[types.UID]*sighting{},
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
		}, pollInterval)
	}()
	return w, nil
}

// begin lists and opens a watch from there.
func (w *podWatch) begin(ctx context.Context) (watch.Interface, error) {
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
func (w *podWatch) follow(events watch.Interface) {
	defer events.Stop()
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return // an error
		}
		w.lockedNote(pod, event.Type == watch.Deleted, time.Now())
	}
}

func (w *podWatch) lockedNote(pod *corev1.Pod, gone bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(pod, gone, now)
	w.wake()
}

func (w *podWatch) noteList(pods []corev1.Pod, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := sets.New[types.UID]()
	for i := range pods {
		listed.Insert(pods[i].UID)
		w.note(&pods[i], false, now)
	}
	for uid, seen := range w.pods {
		if !listed.Has(uid) {
			w.note(seen.last, true, now)
		}
	}
	w.wake()
}

func (w *podWatch) note(pod *corev1.Pod, gone bool, now time.Time) {
	seen := w.pods[pod.UID]
	if seen == nil {
		seen = &sighting{}
		w.pods[pod.UID] = seen
	}
	seen.last = pod
	if (gone || pod.DeletionTimestamp != nil) && seen.going.IsZero() {
		seen.going = now
	}
}

func (w *podWatch) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until the condition holds, which is called with the lock held, and says whether it came to hold in time.
func (w *podWatch) await(ctx context.Context, until time.Time, condition func() bool) bool {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		w.mu.Lock()
		holds, changed := condition(), w.changed
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

// left counts the pods that have not begun to go. The lock must be held.
func (w *podWatch) left(pods []*corev1.Pod) (n int) {
	for _, pod := range pods {
		if seen := w.pods[pod.UID]; seen == nil || seen.going.IsZero() {
			n++
		}
	}
	return n
}
