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

	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
)

// change is what an evaluation changed in the schedule of a pod.
type change int

const (
	unchanged change = iota
	scheduled
	cancelled
)

// evaluateNode evaluates every pod on a node whose taints changed, and reports on the node what changed.
func (c *Controller) evaluateNode(ctx context.Context, name string) {
	pods, err := c.pods.ByNode(name)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Failed to look up the pods of a node", "node", klog.KRef("", name))
		return // a bug: the informer was made with this index
	}
	now := c.config.Clock.Now()
	var sum summary
	for _, pod := range pods {
		changed, decision := c.evaluate(ctx, keyOf(pod))
		sum.add(changed, decision, now)
	}
	c.reportNode(ctx, name, sum)
}

// evaluatePod evaluates one pod that changed.
func (c *Controller) evaluatePod(ctx context.Context, key podKey) {
	c.evaluate(ctx, key)
}

// evaluate brings the schedule of a pod in line with the rules and the caches.
func (c *Controller) evaluate(ctx context.Context, key podKey) (change, deadline.Decision) {
	c.evaluating.LockKey(string(key.uid))
	defer func() { _ = c.evaluating.UnlockKey(string(key.uid)) }() // a hashed mutex returns no errors

	pod := c.pods.Get(key.Namespace, key.Name)
	if pod == nil || pod.UID != key.uid {
		if c.taintEvictionQueue.Cancel(key.uid) {
			klog.FromContext(ctx).V(4).Info("Cancelled eviction, pod is gone", "pod", key.NamespacedName, "uid", key.uid)
			return cancelled, deadline.Decision{Reason: deadline.IsTerminating}
		}
		return unchanged, deadline.Decision{Reason: deadline.IsTerminating}
	}
	decision := deadline.Decide(pod.ToDeadlinePod(c.config.ServerClock), c.starts.Taints(pod.Node()), c.config.Rules)
	logger := klog.FromContext(ctx).WithValues("pod", key.NamespacedName, "uid", key.uid, "node", pod.Node(), "reason", decision.Reason)
	if !decision.Evict {
		if !c.taintEvictionQueue.Cancel(key.uid) {
			return unchanged, decision
		}
		if decision.Reason != deadline.IsTerminating {
			logger.V(2).Info("Cancelled eviction")
		}
		return cancelled, decision
	}
	item := evictionqueue.Pod{UID: pod.UID, Namespace: pod.Namespace(), Name: pod.Name, Node: pod.Node(), Priority: pod.Priority}
	added := c.taintEvictionQueue.Set(item, decision.Deadline)
	if c.pods.Get(key.Namespace, key.Name) != pod {
		// The pod changed meanwhile, and its handler may have found nothing to cancel.
		c.podUpdateQueue.Add(key)
	}
	if !added {
		return unchanged, decision
	}
	level := 2
	if decision.Due(c.config.Clock.Now()) {
		level = 4 // the attempt is logged soon
	}
	logger.V(level).Info("Scheduled eviction", "deadline", c.config.ServerClock.At(decision.Deadline).UTC().Format(time.RFC3339Nano), "taint", decision.Taint)
	return scheduled, decision
}
