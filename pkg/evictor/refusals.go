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

package evictor

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxServerErrors is how many server errors there are before a pod is deleted without the condition.
	maxServerErrors = 3
	// patience is how long a busy API server, or one that does not answer, may keep the condition from being written. An overloaded server
	// must not cost Jobs the condition, and one that is always busy must not save the pod.
	patience = time.Minute
	// forgetAfter is how long a failure to write a condition is kept. The attempts at a pod follow each other more quickly.
	forgetAfter = 10 * time.Minute
)

// refusals records, per pod, how the writes of its condition have failed since the last one that succeeded. It is safe for concurrent
// use, and has only pods at which a write failed in the last minutes.
type refusals struct {
	lock   sync.Mutex
	pods   map[types.UID]*refusal
	pruned time.Time
}

// refusal is the record of one pod.
type refusal struct {
	serverErrors int
	// firstBusy and firstUnanswered are when the first failure of that kind was. They are apart because the API server was not asked while
	// it could not be reached.
	firstBusy, firstUnanswered time.Time
	last                       time.Time
}

func newRefusals() *refusals {
	return &refusals{pods: map[types.UID]*refusal{}, pruned: time.Now()}
}

// add records a failed write of a pod's condition, and reports whether to delete the pod without it.
func (r *refusals) add(uid types.UID, err error) (giveUp bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := time.Now()
	r.prune(now)
	known := r.pods[uid]
	if known == nil {
		known = &refusal{}
		r.pods[uid] = known
	}
	known.last = now
	return known.add(now, conditionFailureOf(err))
}

// add records a failure, and reports whether to write no more.
func (r *refusal) add(now time.Time, failure conditionFailure) (giveUp bool) {
	switch failure {
	case unanswered:
		return outlasts(&r.firstUnanswered, now)
	case busy:
		return outlasts(&r.firstBusy, now)
	case serverError:
		r.serverErrors++
		return r.serverErrors >= maxServerErrors
	default:
		return true
	}
}

// outlasts reports whether a failure has lasted longer than our patience. It sets since at the first one.
func outlasts(since *time.Time, now time.Time) bool {
	if since.IsZero() {
		*since = now
	}
	return now.Sub(*since) >= patience
}

// forget forgets a pod that is gone, or whose condition is written.
func (r *refusals) forget(uid types.UID) {
	r.lock.Lock()
	defer r.lock.Unlock()
	delete(r.pods, uid)
	r.prune(time.Now())
}

// prune forgets, at most once a minute, the pods at which no attempt has failed for long.
func (r *refusals) prune(now time.Time) {
	if now.Sub(r.pruned) < time.Minute {
		return
	}
	r.pruned = now
	for uid, known := range r.pods {
		if now.Sub(known.last) > forgetAfter {
			delete(r.pods, uid)
		}
	}
}
