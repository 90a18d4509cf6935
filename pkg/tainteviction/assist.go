package tainteviction

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
)

const (
	// overdueAfter is how long a pod has been due, at least, when its eviction is overdue: a leader takes less, unless many are.
	overdueAfter = time.Second
	// assistPart of the slots are used at first by who assists.
	assistPart = 10
)

// assistance is the eviction queue as the concurrency limiter drives it. It bounds the slots of a replica that evicts in the place
// of the leader: the leader may only be slow, and so may the API server be. It begins with few, and each pod that has gone makes
// one more.
type assistance struct {
	*evictionqueue.Queue

	lock sync.Mutex
	// allowed is what the limiter has set, and most the bound; 0 where nobody assists.
	allowed, most int
}

// SetSlots changes how many pods may be handed out at the same time, if the bound allows so many.
func (a *assistance) SetSlots(slots int) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.allowed = slots
	a.apply()
}

// bound sets the bound; 0 for none.
func (a *assistance) bound(most int) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.most = most
	a.apply()
}

// gone notes that a pod has gone.
func (a *assistance) gone() {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.most > 0 {
		a.most++
		a.apply()
	}
}

// apply tells the queue. The lock is held.
func (a *assistance) apply() {
	if slots := a.allowed; a.most > 0 {
		a.Queue.SetSlots(min(slots, a.most))
	} else {
		a.Queue.SetSlots(slots)
	}
}

// Overdue reports whether a pod should have gone a while ago, and this replica has not tried.
func (c *Controller) Overdue() bool { return c.taintEvictionQueue.Overdue(overdueAfter) }

// Assist evicts the pods that are due, as Lead does, while another replica has the Lease and seems not to: with a tenth of the slots
// at first. It writes nothing that has one writer. It may overlap with Lead, which then has all slots.
func (c *Controller) Assist(ctx context.Context) {
	if !c.WaitForSync(ctx) {
		return
	}
	few := max(1, c.config.ConcurrentEvictions/assistPart)
	klog.FromContext(ctx).Info("Assisting", "slots", few, "scheduled", c.taintEvictionQueue.Len())
	c.assistance.bound(few)
	defer c.assistance.bound(0)
	c.evictUntil(ctx)
}
