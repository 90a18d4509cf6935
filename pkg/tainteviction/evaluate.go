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

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

// lookAgainAfter is the longest time after which a pod is evaluated again that will change by itself.
const lookAgainAfter = time.Hour

// change is what an evaluation changed in the schedule of a pod.
type change int

const (
	unchanged change = iota
	scheduled
	cancelled
	// held: a policy holds the pod back, and did not before.
	held
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
	var dues evictor.Dues
	_, untold := c.untold.LoadAndDelete(name)
	for _, pod := range pods {
		changed, decision := c.evaluate(ctx, keyOf(pod))
		if untold && changed == unchanged && decision.Reason == deadline.HeldByPolicy {
			changed = held // before this replica led
		}
		if changed == held {
			c.trail.preview(pod, decision)
		}
		sum.add(changed, decision, now)
		dues.Add(decision, now)
	}
	c.tellNode(name, dues)
	c.reportNode(ctx, name, sum)
}

// evaluatePod evaluates one pod that changed.
func (c *Controller) evaluatePod(ctx context.Context, key podKey) {
	changed, decision := c.evaluate(ctx, key)
	if pod := c.pods.Get(key.Namespace, key.Name); changed == held && pod != nil && pod.UID == key.uid {
		c.trail.preview(pod, decision)
	}
}

// lock locks the evaluations of a pod, and what else changes its schedule: the beginning and the end of an attempt.
func (c *Controller) lock(uid types.UID) (unlock func()) {
	c.evaluating.LockKey(string(uid))
	return func() { _ = c.evaluating.UnlockKey(string(uid)) } // a hashed mutex returns no errors
}

// evaluate brings the schedule of a pod in line with the rules and the caches.
func (c *Controller) evaluate(ctx context.Context, key podKey) (change, deadline.Decision) {
	defer c.lock(key.uid)()

	pod := c.pods.Get(key.Namespace, key.Name)
	if pod == nil || pod.UID != key.uid {
		return c.forget(ctx, key, pod), deadline.Decision{Reason: deadline.IsTerminating}
	}
	decision := c.decideByCaches(pod)
	now := c.config.Clock.Now()
	due, evict := decision.DueFrom(now)
	wasHeld := c.tally.Has(pod.UID, policy.Kept, policy.Previewed)
	tallied := c.tally.Set(pod.UID, pod.Node(), decision, now)
	if next, changes := decision.NextPolicy(now); changes {
		c.lookAgain(key, next.Sub(now))
	}
	c.notice(pod, decision)
	logger := klog.FromContext(ctx).WithValues("pod", key.NamespacedName, "uid", key.uid, "node", pod.Node(), "reason", decision.Reason)
	if !evict {
		return c.unschedule(logger, pod, decision, tallied), decision
	}
	item := evictionqueue.Pod{
		UID: pod.UID, Namespace: pod.Namespace(), Name: pod.Name, Node: pod.Node(), Priority: pod.Priority, Cause: c.trail.cause(decision, due),
	}
	c.brake.Tell(pod, decision)
	was, _ := c.taintEvictionQueue.Deadline(pod.UID)
	added := c.taintEvictionQueue.Set(item, due)
	if wasHeld && len(decision.Held) == 0 {
		c.held.note(pod.UID, pod.Node()) // its deadline may be long ago
	}
	if !c.reconsiderHeld(pod, decision) {
		c.forgetTurn(pod, decision)
		if now.Before(was) && !now.Before(due) {
			c.taintEvictionQueue.Wake(pod.UID) // what it waited for when it was due before does not count
		}
	}
	if c.pods.Get(key.Namespace, key.Name) != pod {
		// The pod changed meanwhile, and its handler may have found nothing to cancel.
		c.podUpdateQueue.Add(key)
	}
	if !added {
		return unchanged, decision
	}
	c.trail.scheduled(pod.UID)
	level := 2
	if decision.Due(c.config.Clock.Now()) {
		level = 4 // the attempt is logged soon
	}
	logger.V(level).Info("Scheduled eviction", "deadline", c.config.ServerClock.At(due).UTC().Format(time.RFC3339Nano), "taint", decision.Taint)
	return scheduled, decision
}

// lookAgain evaluates a pod again after some time, or sooner: the queue keeps an entry for that long, also of a pod that is gone by then.
func (c *Controller) lookAgain(key podKey, after time.Duration) {
	c.podUpdateQueue.AddAfter(key, min(after, lookAgainAfter))
}

// forget drops a pod that is gone. other is the pod that has its name now, or nil.
func (c *Controller) forget(ctx context.Context, key podKey, other *podcache.Pod) change {
	c.tally.Remove(key.uid)
	c.notices.forget(key.uid)
	was, scheduled := c.cancel(key.uid)
	if !scheduled {
		c.trail.shown(key.uid)
		return unchanged
	}
	c.trail.cancel(was, other, deadline.Decision{})
	c.forgetWait(key.uid)
	klog.FromContext(ctx).V(4).Info("Cancelled eviction, pod is gone", "pod", key.NamespacedName, "uid", key.uid)
	return cancelled
}

// unschedule brings the schedule in line with a decision by which a pod need not go. tallied says that what policies do with the pod has changed.
func (c *Controller) unschedule(logger klog.Logger, pod *podcache.Pod, decision deadline.Decision, tallied bool) change {
	was, scheduled := c.cancel(pod.UID)
	if scheduled {
		c.trail.cancel(was, pod, decision)
		c.forgetWait(pod.UID)
		if decision.Reason != deadline.IsTerminating {
			logger.V(2).Info("Cancelled eviction")
		}
		return cancelled
	}
	if decision.Reason == deadline.IsTerminating {
		c.trail.shown(pod.UID)
	}
	if left := decision.AsOf(c.config.Clock.Now()); tallied && left.Reason == deadline.HeldByPolicy {
		logger.V(2).Info("Holding pod back", "by", holder(left.Held[0].Policy), "mode", left.Held[0].Mode)
		return held
	}
	return unchanged
}

// cancel cancels the eviction of a pod, and reports whether it was scheduled.
func (c *Controller) cancel(uid types.UID) (was evictionqueue.Cancelled, scheduled bool) {
	was, scheduled = c.taintEvictionQueue.Cancel(uid)
	c.forgetHeld(uid) // after that: see hold
	return was, scheduled
}
