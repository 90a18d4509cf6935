package tainteviction

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

const (
	// overdueAfter is how long a pod has been due, at least, when its eviction is overdue: a leader takes less, unless many are.
	overdueAfter = time.Second
	// assistPart of the slots are used at first by who assists.
	assistPart = 10
)

// assistance bounds the slots of a replica that evicts in the place of the leader: the leader may only be slow, and so may the API
// server be. It begins with few, and each pod that has gone makes one more.
type assistance struct {
	slots atomic.Int64 // 0 where nobody assists
}

// bound returns how many slots to use of those that are allowed.
func (a *assistance) bound(allowed int) int {
	if most := int(a.slots.Load()); most > 0 {
		return min(allowed, most)
	}
	return allowed
}

// gone notes that a pod has gone.
func (a *assistance) gone() {
	if most := a.slots.Load(); most > 0 {
		a.slots.CompareAndSwap(most, most+1)
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
	c.assistance.slots.Store(int64(few))
	defer c.assistance.slots.Store(0)
	c.taintEvictionQueue.SetSlots(c.assistance.bound(c.pace.Slots()))
	c.evictUntil(ctx)
}
