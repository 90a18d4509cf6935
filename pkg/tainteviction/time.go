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
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

const (
	// timeInterval is the time between two checks of the API server's clock.
	timeInterval = time.Second
	// clockMoved is by how much the estimate of the API server's clock may differ from the one that deadlines were calculated with.
	clockMoved = 50 * time.Millisecond
	// confirmInterval is the time between two checks whether the state of nodes has to be confirmed, and confirmTimeout bounds the call that
	// confirms all nodes.
	confirmInterval, confirmTimeout = 5 * time.Second, 10 * time.Second
	// maxConfirmed is how many nodes are read one by one, at most, in one interval.
	maxConfirmed = 50
)

// followServerClock evaluates all pods on tainted nodes again when the estimate of the API server's clock has moved, until ctx is done.
func (c *Controller) followServerClock(ctx context.Context) {
	every(ctx, timeInterval, func() {
		if !c.config.ServerClock.Moved(clockMoved) {
			return
		}
		if c.config.Policies != nil {
			c.config.Policies.FollowClock(ctx)
		}
		c.evaluateAll()
	})
}

// every calls a function at intervals until ctx is done.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// confirmAll tells the taint tracker up to when its state of all nodes is current, if a not-ready period may depend on it. It reads one node
// consistently: the resourceVersion of the answer is not older than any change before the read.
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
		klog.FromContext(ctx).V(2).Info("Failed to confirm the state of nodes", "err", err.Error())
		return
	}
	c.starts.Confirm(sent, nodes.ResourceVersion)
}

// confirmNodes confirms, one after another, the nodes whose state could not be proven otherwise after a gap or a restart.
func (c *Controller) confirmNodes(ctx context.Context) {
	for _, name := range c.starts.Unconfirmed(c.config.Clock.Now(), maxConfirmed) {
		if err := c.confirmNode(ctx, name); err != nil {
			klog.FromContext(ctx).V(2).Info("Failed to confirm the state of a node", "node", klog.KRef("", name), "err", err.Error())
			return
		}
	}
}

// confirmNode reads a node consistently. If the answer has the resourceVersion last observed, that was the state when the read began.
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
