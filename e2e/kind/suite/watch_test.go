//go:build kind

package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
)

// podWatch notes for each pod of a namespace when it was first seen, going, and gone.
type podWatch struct {
	namespace string

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each event
	pods    map[types.UID]*sighting
	order   []types.UID
}

// sighting is what has been seen of one pod. A time is when we learned it, and zero until then.
type sighting struct {
	first, bound, going, gone time.Time
	last                      *corev1.Pod
}

// watchPods watches until ctx is over. When the watch is cut it lists and goes on, without a growing backoff, because
// what counts here is the moment.
func watchPods(ctx context.Context, namespace string) (*podWatch, error) {
	w := &podWatch{namespace: namespace, changed: make(chan struct{}), pods: map[types.UID]*sighting{}}
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
	list, err := client.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	w.noteList(list.Items, time.Now())
	events, err := client.CoreV1().Pods(w.namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
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
		now := time.Now()
		w.mu.Lock()
		w.note(pod, event.Type == watch.Deleted, now)
		w.wake()
		w.mu.Unlock()
	}
}

func (w *podWatch) noteList(pods []corev1.Pod, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := map[types.UID]bool{}
	for i := range pods {
		listed[pods[i].UID] = true
		w.note(&pods[i], false, now)
	}
	for uid, seen := range w.pods {
		if !listed[uid] {
			w.note(seen.last, true, now)
		}
	}
	w.wake()
}

func (w *podWatch) note(pod *corev1.Pod, gone bool, now time.Time) {
	seen := w.pods[pod.UID]
	if seen == nil {
		seen = &sighting{first: now}
		w.pods[pod.UID] = seen
		w.order = append(w.order, pod.UID)
	}
	seen.last = pod
	if pod.Spec.NodeName != "" && seen.bound.IsZero() {
		seen.bound = now
	}
	if (gone || pod.DeletionTimestamp != nil) && seen.going.IsZero() {
		seen.going = now
	}
	if gone && seen.gone.IsZero() {
		seen.gone = now
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

// all returns what has been seen of every pod, in the order in which they appeared.
func (w *podWatch) all() []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make([]sighting, 0, len(w.order))
	for _, uid := range w.order {
		seen = append(seen, *w.pods[uid])
	}
	return seen
}

// of returns what has been seen of a pod.
func (w *podWatch) of(pod *corev1.Pod) sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	if seen := w.pods[pod.UID]; seen != nil {
		return *seen
	}
	return sighting{last: pod}
}
