package tainteviction

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// change says what an evaluation did to a pod's schedule.
type change int

const (
	unchanged change = iota
	scheduled
	calledOff
)

// evaluateNode evaluates every pod on a node whose taints changed, and sums up on the node what that did.
func (c *Controller) evaluateNode(ctx context.Context, name string) {
	pods, err := c.pods.ByNode(name)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot look up the pods of a node", "node", klog.KRef("", name))
		return // the index exists since the informer was made: a bug
	}
	now := c.config.Clock.Now()
	var sum summary
	for _, pod := range pods {
		did, decision := c.evaluate(ctx, keyOf(pod))
		sum.add(did, decision, now)
	}
	c.summarise(ctx, name, sum)
}

// evaluatePod evaluates one pod that changed.
func (c *Controller) evaluatePod(ctx context.Context, key podKey) {
	c.evaluate(ctx, key)
}

// evaluate makes the schedule of a pod what the rules say now.
func (c *Controller) evaluate(ctx context.Context, key podKey) (change, deadline.Decision) {
	c.evaluating.LockKey(string(key.uid))
	defer func() { _ = c.evaluating.UnlockKey(string(key.uid)) }() // a hashed mutex has no errors

	pod := c.pods.Get(key.Namespace, key.Name)
	if pod == nil || pod.UID != key.uid {
		if c.taintEvictionQueue.Cancel(key.uid) {
			klog.FromContext(ctx).V(4).Info("Pod is gone, not to be evicted", "pod", key.NamespacedName, "uid", key.uid)
			return calledOff, deadline.Decision{Reason: deadline.IsTerminating}
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
			logger.V(2).Info("Cancelled the eviction of a pod")
		}
		return calledOff, decision
	}
	item := evictionqueue.Pod{UID: pod.UID, Namespace: pod.Namespace(), Name: pod.Name, Node: pod.Node(), Priority: pod.Priority}
	added := c.taintEvictionQueue.Set(item, decision.Deadline)
	if c.pods.Get(key.Namespace, key.Name) != pod {
		// It changed meanwhile, and its handler may have found nothing scheduled to cancel.
		c.podUpdateQueue.Add(key)
	}
	if added {
		level := 2
		if decision.Due(c.config.Clock.Now()) {
			level = 4 // what comes of it is said soon
		}
		logger.V(level).Info("Scheduled the eviction of a pod", "deadline", c.config.ServerClock.At(decision.Deadline).UTC().Format(time.RFC3339Nano), "taint", decision.Taint)
		return scheduled, decision
	}
	return unchanged, decision
}

// live answers the evictor's questions.
type live struct{ *Controller }

// Decide decides on what was read live, right before an eviction. The pod must have been due when the read began, and what is
// scheduled must say so too: the caches may have seen since that it need not go.
func (c live) Decide(node evictor.NodeReading, pod *podcache.Pod) (deadline.Decision, bool) {
	var taints []deadline.Taint
	if node.Exists {
		taints = c.starts.Resolve(pod.Node(), node.Observation)
	}
	decision := deadline.Decide(pod.ToDeadlinePod(c.config.ServerClock), taints, c.config.Rules)
	return decision, decision.Due(node.Began) && c.due(pod)
}

// DueSince is the latest of the pod's deadline, what we know of its node's taints since, and what we know of it since.
func (c live) DueSince(pod *podcache.Pod) time.Time {
	since, _ := c.taintEvictionQueue.Deadline(pod.UID)
	for _, known := range []time.Time{c.starts.ObservedAt(pod.Node()), pod.ObservedAt()} {
		if known.After(since) {
			since = known
		}
	}
	return since
}

// due says whether a pod is scheduled, and its deadline has come.
func (c *Controller) due(pod *podcache.Pod) bool {
	at, scheduled := c.taintEvictionQueue.Deadline(pod.UID)
	return scheduled && !c.config.Clock.Now().Before(at)
}
