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

package tainteviction

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
)

// holds knows the pods that the eviction brake or the pace of nodes has held, until they go or need not go any more. The gauge shows how
// many are held now. It is safe for concurrent use.
type holds struct {
	gauge evictionqueue.Gauge

	lock sync.Mutex
	pods map[types.UID]*heldPod
	// waiting are the pods that are held now, by node, and count is their number.
	waiting map[string]sets.Set[types.UID]
	count   int
}

// heldPod is a pod that is held, or was.
type heldPod struct {
	node string
	// until is when it asks again by itself. It is zero while the pod is not held.
	until time.Time
}

func newHolds(gauge evictionqueue.Gauge) *holds {
	return &holds{gauge: gauge, pods: map[types.UID]*heldPod{}, waiting: map[string]sets.Set[types.UID]{}}
}

// add takes a pod that is held until a time.
func (h *holds) add(uid types.UID, node string, until time.Time) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.release(uid)
	h.pods[uid] = &heldPod{node, until}
	if h.waiting[node] == nil {
		h.waiting[node] = sets.New[types.UID]()
	}
	h.waiting[node].Insert(uid)
	h.count++
	h.gauge.Set(float64(h.count))
}

// handOut notes that a pod is not held any more, and may be again.
func (h *holds) handOut(uid types.UID) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.release(uid)
	h.gauge.Set(float64(h.count))
}

// forget drops a pod that has gone, or need not go.
func (h *holds) forget(uid types.UID) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.release(uid)
	delete(h.pods, uid)
	h.gauge.Set(float64(h.count))
}

// release takes a pod from those that are held now.
func (h *holds) release(uid types.UID) {
	p := h.pods[uid]
	if p == nil || p.until.IsZero() {
		return
	}
	p.until = time.Time{}
	h.waiting[p.node].Delete(uid)
	if len(h.waiting[p.node]) == 0 {
		delete(h.waiting, p.node)
	}
	h.count--
}

// until returns when a pod that is held asks again by itself, and false if it is not held.
func (h *holds) until(uid types.UID) (time.Time, bool) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if p := h.pods[uid]; p != nil && !p.until.IsZero() {
		return p.until, true
	}
	return time.Time{}, false
}

// was reports whether a pod is held, or was.
func (h *holds) was(uid types.UID) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.pods[uid] != nil
}

// on returns the pods that are held now on a node.
func (h *holds) on(node string) []types.UID {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.waiting[node].UnsortedList()
}

// all returns the pods that are held now.
func (h *holds) all() []types.UID {
	h.lock.Lock()
	defer h.lock.Unlock()
	all := make([]types.UID, 0, h.count)
	for _, pods := range h.waiting {
		all = append(all, pods.UnsortedList()...)
	}
	return all
}
