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

package main

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
)

// readiness is how many pods of each budget are ready at a time, and were at least. One watch shows all pods, in the order in which they
// changed: so what is counted is what was so, whatever budgets say and whoever is late.
type readiness struct {
	mu sync.Mutex
	// ready are the pods that are ready and stay, by budget, and fewest is how many these were at least.
	ready  map[string]map[types.UID]bool
	fewest map[string]int
	// gone are the pods that are being deleted or are gone, and last is when the last one was seen.
	gone map[types.UID]bool
	last time.Time
}

func newReadiness() *readiness {
	return &readiness{ready: map[string]map[types.UID]bool{}, fewest: map[string]int{}, gone: map[types.UID]bool{}}
}

// begin takes the pods that are there when the watch begins.
func (r *readiness) begin(pods []corev1.Pod) {
	for i := range pods {
		r.see(watch.Added, &pods[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for budget, ready := range r.ready {
		r.fewest[budget] = len(ready)
	}
}

// see takes what the watch shows of a pod. It returns true if the pod is going, and was not before.
func (r *readiness) see(event watch.EventType, pod *corev1.Pod) (goes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	budget := pod.Labels[budgetLabel]
	if r.ready[budget] == nil {
		r.ready[budget] = map[types.UID]bool{}
	}
	if going := event == watch.Deleted || pod.DeletionTimestamp != nil; going && !r.gone[pod.UID] {
		goes, r.gone[pod.UID], r.last = true, true, time.Now()
	}
	if condition := builders.ConditionOf(pod, corev1.PodReady); !r.gone[pod.UID] && condition != nil && condition.Status == corev1.ConditionTrue {
		r.ready[budget][pod.UID] = true
	} else {
		delete(r.ready[budget], pod.UID)
	}
	r.fewest[budget] = min(r.fewest[budget], len(r.ready[budget]))
	return goes
}

// went is how many pods are going or gone, and when the last of them was seen.
func (r *readiness) went() (int, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.gone), r.last
}

// below is of how many budgets fewer pods than that were ready at some time, and how many were at least of any.
func (r *readiness) below(minAvailable int) (budgets, fewest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := true
	for _, n := range r.fewest {
		if n < minAvailable {
			budgets++
		}
		if first || n < fewest {
			first, fewest = false, n
		}
	}
	return budgets, fewest
}
