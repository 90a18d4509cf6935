package evictor

import (
	"errors"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// maxServerErrors is after how many answers 500, 502 or 504 a pod goes without the condition.
	maxServerErrors = 3
	// patience is how long a condition may fail to be written for reasons that pass: a server that is overloaded must not cost
	// Jobs the condition, and one that always says so must not save the pod.
	patience = time.Minute
	// forgetAfter is for how long a failure to write a condition is remembered. Attempts at a pod come sooner after one another.
	forgetAfter = 10 * time.Minute
)

// refusals remembers, for each pod, how writing its condition has failed since it last worked. It is safe for concurrent use, and
// holds no more than the pods for which that failed in the last minutes that anything failed or worked in.
type refusals struct {
	clock clock.PassiveClock

	lock   sync.Mutex
	pods   map[types.UID]*refusal
	pruned time.Time
}

// refusal is what is remembered of one pod.
type refusal struct {
	// serverErrors counts answers that are failures of the server, or of what it asks.
	serverErrors int
	// answered is when the API server first answered that another time may do, and unanswered when the first answer was missing:
	// the time for which nobody can be reached does not count as one in which the API server was asked.
	answered, unanswered time.Time
	last                 time.Time
}

func newRefusals(clock clock.PassiveClock) *refusals {
	return &refusals{clock: clock, pods: map[types.UID]*refusal{}, pruned: clock.Now()}
}

// add notes that writing a pod's condition failed, and reports whether the pod is to go without it.
func (r *refusals) add(uid types.UID, err error) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	now := r.clock.Now()
	r.prune(now)
	known := r.pods[uid]
	if known == nil {
		known = &refusal{}
		r.pods[uid] = known
	}
	known.last = now
	return known.add(now, err)
}

// add notes one more failure, and reports whether to try no more.
func (r *refusal) add(now time.Time, err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return outlasted(&r.unanswered, now)
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return outlasted(&r.answered, now)
	default:
		if code >= http.StatusInternalServerError {
			r.serverErrors++
			return r.serverErrors >= maxServerErrors
		}
		// The API server, or an admission plugin, does not want this write: trying again does not help. Which code a webhook
		// denies with is its own choice, so that 404 need not mean that there is no such pod. Reading it tells.
		return true
	}
}

// outlasted reports whether our patience is over with what began at since, or begins now.
func outlasted(since *time.Time, now time.Time) bool {
	if since.IsZero() {
		*since = now
	}
	return now.Sub(*since) >= patience
}

// forget forgets a pod that is gone, or whose condition has been written.
func (r *refusals) forget(uid types.UID) {
	r.lock.Lock()
	defer r.lock.Unlock()
	delete(r.pods, uid)
	r.prune(r.clock.Now())
}

// prune forgets, now and then, pods that have not been tried again.
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
