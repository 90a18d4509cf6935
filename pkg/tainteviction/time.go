package tainteviction

import (
	"context"
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	// timeInterval is the time between two looks at the API server's clock.
	timeInterval = time.Second
	// clockMoved is by how much the estimate of the API server's clock has to move before deadlines are worked out again.
	clockMoved = 50 * time.Millisecond
	// confirmInterval is the time between two looks whether the nodes' state has to be confirmed, and confirmTimeout bounds
	// the call that does.
	confirmInterval, confirmTimeout = 5 * time.Second, 10 * time.Second
)

// keepTime has deadlines follow what is known of the API server's clock, and the taint tracker know up to which time the
// nodes are as it has them, until ctx is over.
func (c *Controller) keepTime(ctx context.Context) {
	ticker := c.config.Clock.NewTicker(timeInterval)
	defer ticker.Stop()
	evaluated := time.Duration(math.MinInt64 / 2) // by none yet
	confirmed := c.config.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if low, _, _ := c.config.ServerClock.Offset(); (low - evaluated).Abs() >= clockMoved {
			evaluated = low
			for _, node := range c.starts.Nodes() {
				c.nodeUpdateQueue.Add(node)
			}
		}
		if c.config.Clock.Since(confirmed) >= confirmInterval {
			confirmed = c.config.Clock.Now()
			c.confirmNodes(ctx)
		}
	}
}

// confirmNodes reads one node consistently where a not-ready period may depend on it. The answer's resourceVersion is at
// least that of all that had happened when it was asked for.
func (c *Controller) confirmNodes(ctx context.Context) {
	c.starts.Prune()
	sent := c.config.Clock.Now()
	if !c.starts.NeedsConfirmation(sent) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	nodes, err := c.config.Informers.Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Cannot confirm the state of the nodes that are not ready", "error", err.Error())
		return
	}
	c.starts.Confirm(sent, nodes.ResourceVersion)
}
