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

// Package podwatch notes when each pod of a namespace appeared, was bound, began to go and was gone, as a watch saw it.
package podwatch

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
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
	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each event
	seen    Sightings
}

// Start watches until ctx is over.
func Start(ctx context.Context, client kubernetes.Interface, namespace string) (*Watch, error) {
	w := &Watch{changed: make(chan struct{}), seen: Sightings{pods: map[types.UID]*Sighting{}}}
	return w, Follow(ctx, client, namespace, func(pod *corev1.Pod, gone bool, at time.Time) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen.note(pod, gone, at)
		close(w.changed)
		w.changed = make(chan struct{})
	})
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
