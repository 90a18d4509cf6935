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

	"github.com/taint-manager/taint-manager/pkg/brake"
)

// holds knows the pods that the eviction brake, the pace of nodes or a policy has held, until they go or need not go any more. The gauges show how
// many are held now, by what. It is safe for concurrent use.
type holds struct {
	gauges map[brake.Hold]gauge

	lock sync.Mutex
	pods map[types.UID]*heldPod
	// waiting are the pods that are held now, by node, and counts is their number by what holds them.
	waiting map[string]sets.Set[types.UID]
	counts  map[brake.Hold]int
}

// gauge shows a number.
type gauge interface{ Set(float64) }

// heldPod is a pod that is held, or was.
type heldPod struct {
	node string
	by   brake.Hold
	// until is when it asks again by itself. It is zero while the pod is not held.
	until time.Time
}

func newHolds(gauges map[brake.Hold]gauge) *holds {
	return &holds{gauges: gauges, pods: map[types.UID]*heldPod{}, waiting: map[string]sets.Set[types.UID]{}, counts: map[brake.Hold]int{}}
}

// add takes a pod that is held until a time.
func (h *holds) add(uid types.UID, node string, by brake.Hold, until time.Time) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.release(uid)
	h.pods[uid] = &heldPod{node, by, until}
	if h.waiting[node] == nil {
		h.waiting[node] = sets.New[types.UID]()
	}
	h.waiting[node].Insert(uid)
	h.show(by, 1)
}

// note takes a pod that was held by something else, and is not any more.
func (h *holds) note(uid types.UID, node string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.pods[uid] == nil {
		h.pods[uid] = &heldPod{node: node}
	}
}

// handOut notes that a pod is not held any more, and may be again. It returns the node if the pod was the last one there that is held.
func (h *holds) handOut(uid types.UID) (released string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.release(uid)
}

// forget drops a pod that has gone, or need not go. It returns the node if the pod was the last one there that is held.
func (h *holds) forget(uid types.UID) (released string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	released = h.release(uid)
	delete(h.pods, uid)
	return released
}

// release takes a pod from those that are held now. It returns the node if that was the last one there.
func (h *holds) release(uid types.UID) (released string) {
	p := h.pods[uid]
	if p == nil || p.until.IsZero() {
		return ""
	}
	p.until = time.Time{}
	h.waiting[p.node].Delete(uid)
	if len(h.waiting[p.node]) == 0 {
		delete(h.waiting, p.node)
		released = p.node
	}
	h.show(p.by, -1)
	return released
}

// show counts pods more that something holds, or fewer.
func (h *holds) show(by brake.Hold, n int) {
	h.counts[by] += n
	h.gauges[by].Set(float64(h.counts[by]))
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
	var all []types.UID
	for _, pods := range h.waiting {
		all = append(all, pods.UnsortedList()...)
	}
	return all
}
