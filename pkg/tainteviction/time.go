package tainteviction

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	// timeInterval is the time between two looks at the API server's clock.
	timeInterval = time.Second
	// clockMoved is by how much the estimate of the API server's clock may differ from that by which deadlines were worked out.
	clockMoved = 50 * time.Millisecond
	// confirmInterval is the time between two looks whether the nodes' state has to be confirmed, and confirmTimeout bounds
	// the call that does so for all.
	confirmInterval, confirmTimeout = 5 * time.Second, 10 * time.Second
	// maxConfirmed is how many nodes are read for that at a time.
	maxConfirmed = 50
)

// keepTime has deadlines follow what is known of the API server's clock, until ctx is over.
func (c *Controller) keepTime(ctx context.Context) {
	c.every(ctx, timeInterval, func() {
		if !c.config.ServerClock.Moved(clockMoved) {
			return
		}
		for _, node := range c.starts.Nodes() {
			c.nodeUpdateQueue.Add(node)
		}
	})
}

// every calls a function at intervals until ctx is over.
func (c *Controller) every(ctx context.Context, interval time.Duration, do func()) {
	ticker := c.config.Clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			do()
		}
	}
}

// confirmAll has the taint tracker know up to when all nodes are as it has them, where a not-ready period may depend on it. It reads
// one node consistently: the answer's resourceVersion is at least that of all that had happened when it was asked for.
func (c *Controller) confirmAll(ctx context.Context) {
	c.starts.Prune()
	sent := c.config.Clock.Now()
	if !c.starts.NeedsConfirmation(sent) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	nodes, err := c.config.Informers.Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Cannot confirm the state of nodes", "error", err.Error())
		return
	}
	c.starts.Confirm(sent, nodes.ResourceVersion)
}

// settleNodes reads the nodes of which a record could not be proven otherwise, one after another.
func (c *Controller) settleNodes(ctx context.Context) {
	for _, name := range c.starts.Unconfirmed(c.config.Clock.Now(), maxConfirmed) {
		if err := c.confirmNode(ctx, name); err != nil {
			klog.FromContext(ctx).V(2).Info("Cannot confirm the state of a node", "node", klog.KRef("", name), "error", err.Error())
			return
		}
	}
}

// confirmNode reads a node consistently. If it has the resourceVersion that was observed, it was like that when the read began.
func (c *Controller) confirmNode(ctx context.Context, name string) error {
	node, err := c.evictor.ReadNode(ctx, name)
	if err != nil {
		return err
	}
	if node.Exists {
		c.starts.ConfirmNode(name, node.Began, node.ResourceVersion)
	}
	return nil
}
