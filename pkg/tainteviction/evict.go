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
	"sync"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

const (
	// minBackoff and maxBackoff bound the time between two attempts at one pod. redialBackoff is the maximum while the API server cannot be
	// reached: an attempt costs it nothing then, and we should notice soon that it is back.
	minBackoff, maxBackoff, redialBackoff = 100 * time.Millisecond, 30 * time.Second, 2 * time.Second
	// redialAttempts is how many attempts that did not reach the API server count, at most. When it is back it may refuse once more, as one
	// that has just started does, and the backoff after that should not be the longest.
	redialAttempts = 4
	// confirmation is how long the watch may take to show that a pod is terminating or gone, before we look again.
	confirmation = 10 * time.Second
	// drainTimeout bounds how long evictions in flight may go on when this replica stops leading, so that a server that hangs does not keep
	// the next leader waiting for the Lease.
	drainTimeout = 10 * time.Second
	// assistPart is the part of the concurrency limit at which Assist starts.
	assistPart = 10
	// overdueAfter is how long a pod has been due, at least, when its eviction is overdue. A leader is faster, unless many pods are due.
	overdueAfter = time.Second
)

// Lead evicts the pods that are due until ctx is done. Then it starts no more evictions, and returns when those in flight have ended.
//
// It may be called again. Two replicas may lead for a moment: each evicts only what is due.
func (c *Controller) Lead(ctx context.Context) {
	if !c.WaitForSync(ctx) {
		return
	}
	klog.FromContext(ctx).Info("Started evicting", "concurrencyLimit", c.config.ConcurrentEvictions, "scheduled", c.taintEvictionQueue.Len())
	c.leading.Store(true)
	defer c.leading.Store(false)
	defer c.trail.act()()
	c.showSignals()
	c.config.Metrics.SetLeading(true)
	defer c.config.Metrics.SetLeading(false)
	c.concurrency.SetCeiling(0)
	if c.brake != nil {
		c.config.Brake.SetLeading(true)
		defer c.config.Brake.SetLeading(false)
	}
	c.tellAll(ctx)
	for _, node := range c.starts.Nodes() {
		c.untold.Store(node, true)
	}
	c.evaluateAll() // what only a leader writes, such as notices, may have become due before
	var storing sync.WaitGroup
	defer storing.Wait()
	storing.Go(func() { every(ctx, signalInterval, c.showSignals) })
	if c.store != nil && !c.config.Rules.DryRun {
		storing.Go(func() { c.store.Run(ctx) })
	}
	if c.config.Policies != nil && !c.config.Rules.DryRun { // a dry run leaves what has one writer to the real one
		storing.Go(func() { policy.NewStatusWriter(c.config.PolicyStatus, c.config.Policies, c.tally).Run(ctx) })
	}
	c.evictUntil(ctx)
}

// Assist evicts the pods that are due, as Lead does, while another replica has the Lease and seems not to evict. The leader may only be
// slow, and so may the API server be, so the concurrency limit starts at a tenth, and each pod that is deleted raises it by one. Assist
// writes nothing that has a single writer. It may overlap with Lead, which lifts that limit.
func (c *Controller) Assist(ctx context.Context) {
	if !c.WaitForSync(ctx) {
		return
	}
	ceiling := max(1, c.config.ConcurrentEvictions/assistPart)
	klog.FromContext(ctx).Info("Started assisting the leader", "concurrencyLimit", ceiling, "scheduled", c.taintEvictionQueue.Len())
	defer c.trail.act()()
	c.concurrency.SetCeiling(ceiling)
	defer c.concurrency.SetCeiling(0)
	c.evictUntil(ctx)
}

// Overdue reports whether a pod should have been evicted a while ago, and this replica has not tried.
func (c *Controller) Overdue() bool { return c.taintEvictionQueue.Overdue(overdueAfter) }

// evictUntil evicts the pods that are due until ctx is done, and returns when the evictions in flight have ended.
func (c *Controller) evictUntil(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(drainTimeout):
			giveUp()
		case <-attempts.Done():
		}
	})()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.concurrency.Run(ctx) })
	for {
		item, ok := c.taintEvictionQueue.Get(ctx) // blocks at the concurrency limit
		if !ok {
			return
		}
		running.Go(func() {
			defer utilruntime.HandleCrashWithContext(ctx)
			c.evict(attempts, item)
		})
	}
}

// attempt is one attempt to evict a pod.
type attempt struct {
	item   evictionqueue.Item
	pod    *podcache.Pod
	logger klog.Logger
	// turn is the one of its disruption budget, or nil.
	turn *budget.Turn
	// follows is what the attempt follows, for the metrics: see whatFollows.
	follows string
}

// evict makes one attempt to evict a pod that is due.
func (c *Controller) evict(ctx context.Context, item evictionqueue.Item) {
	a, ok := c.beginAttempt(ctx, item)
	if !ok {
		return
	}
	begun := c.concurrency.Begin()
	result, err := c.evictor.Evict(klog.NewContext(ctx, a.logger), a.pod)
	c.concurrency.End(begun, result)
	c.endAttempt(a, result, err)
}

// beginAttempt returns false after it has given the pod back to the queue, because the pod is gone or has to wait.
func (c *Controller) beginAttempt(ctx context.Context, item evictionqueue.Item) (a attempt, ok bool) {
	defer c.lock(item.UID)()
	pod := c.pods.Get(item.Namespace, item.Name)
	if pod == nil || pod.UID != item.UID {
		c.forgetHeld(item.UID)
		c.forgetWait(item.UID)
		c.taintEvictionQueue.Done(item)
		c.trail.gone(item, pod)
		return attempt{}, false
	}
	a = attempt{item: item, pod: pod, logger: klog.FromContext(ctx).WithValues("pod", klog.KObj(pod), "uid", pod.UID, "node", pod.Node())}
	decision, held := c.holdBack(a.logger, pod, item)
	if !held {
		a.turn, ok = c.beginTurn(a.logger, pod, item, decision)
	}
	if ok {
		a.follows = c.whatFollows(pod.UID, item, a.turn)
	} else {
		c.trail.returned(item, c.isScheduled(pod))
	}
	return a, ok
}

// isScheduled reports whether the eviction of a pod is scheduled.
func (c *Controller) isScheduled(pod *podcache.Pod) bool {
	_, scheduled := c.taintEvictionQueue.Deadline(pod.UID)
	return scheduled
}

// endAttempt has the result of an attempt meet the budgets, the metrics, the queue and the audit log.
func (c *Controller) endAttempt(a attempt, result evictor.Result, err error) {
	ended := c.config.Clock.Now()
	c.endTurn(a.turn, result)
	c.signals.outcomes[result.Outcome].Inc()
	c.countSpared(a.item, result)
	if result.SlowNodeRead() {
		c.reportSlowRead(a.logger, result)
	}
	defer c.lock(a.pod.UID)()
	c.giveBack(a, result, err)
	c.trail.attempted(ended, a.item, result, c.isScheduled(a.pod))
}

// giveBack gives a pod back to the queue after an attempt, and reports its eviction if it was accepted.
func (c *Controller) giveBack(a attempt, result evictor.Result, err error) {
	logger, pod, item := a.logger, a.pod, a.item
	switch {
	case result.Outcome == evictor.Failed:
		c.retry(logger, item, result, err)
	case result.Outcome == evictor.NotDue && !c.taintEvictionQueue.Due(pod.UID):
		c.taintEvictionQueue.Recheck(item, 0) // moved or cancelled meanwhile
	case result.Outcome == evictor.NotDue:
		c.recheck(logger, item, result)
	case result.Outcome == evictor.Held:
		c.holdAttempted(logger, pod, item, result)
	case result.Outcome.Waits():
		c.waitAsAsked(logger, pod, item, result, a.turn)
	default:
		c.tally.SetBlocked(pod.UID, nil)
		if result.Outcome.Accepted() {
			c.reportEviction(logger, pod, item, result, a.follows)
		} else {
			logger.V(2).Info("Pod no longer needs to be evicted", "outcome", result.Outcome)
		}
		c.forgetHeld(pod.UID)
		// The pod stays scheduled until the watch shows the same: an earlier event, still on its way, would schedule it again.
		c.taintEvictionQueue.Recheck(item, confirmation)
	}
}

// retry has the queue hand the pod out again after a failed attempt.
func (c *Controller) retry(logger klog.Logger, item evictionqueue.Item, result evictor.Result, err error) {
	c.signals.retries[evictor.ReasonOf(err)].Inc()
	after := backoff(item.FailedAttempts, result)
	if result.Unreachable {
		item.FailedAttempts = min(item.FailedAttempts, redialAttempts)
	}
	logger.V(2).Info("Eviction failed, will retry", "failedAttempts", item.FailedAttempts+1, "retryAfter", after, "err", err.Error())
	c.complaints.Do(func() {
		logger.Error(err, "Evictions failed and will be retried, this is one of them. "+evictor.Advice(err))
	})
	c.taintEvictionQueue.Retry(item, after)
}

// countSpared counts a pod that was due by the caches when it was handed out first, and is not by the live read.
func (c *Controller) countSpared(item evictionqueue.Item, result evictor.Result) {
	if result.Outcome == evictor.NotDue && item.Rechecks == 0 && !result.Decision.Due(c.config.Clock.Now()) {
		c.config.Metrics.SparedPods.Inc()
	}
}

// recheck has the queue hand out again a pod that is due by the caches, but not by the live read. The caches are behind, and will cancel
// what need not go. Until then the pod is checked again, after ever longer times, but no later than at the deadline by the live read.
func (c *Controller) recheck(logger klog.Logger, item evictionqueue.Item, result evictor.Result) {
	after := backoff(item.Rechecks, result)
	now := c.config.Clock.Now()
	due, evict := result.Decision.DueFrom(now)
	if evict {
		// A deadline that has just come was still ahead when the read began.
		after = min(after, max(minBackoff, due.Sub(now)))
	}
	logger.V(2).Info("Pod is due by the caches only, will check again", "outcome", result.Outcome, "reason", result.Decision.Reason,
		"deadline", c.config.ServerClock.At(due), "retryAfter", after)
	c.taintEvictionQueue.Recheck(item, after)
}

// backoff returns how long to wait before the next attempt, after n attempts before this one: doubled each time up to a maximum, half of it
// random, so that those that failed together do not come back together; and at least as long as the API server asked for.
func backoff(n int, result evictor.Result) time.Duration {
	full := maxBackoff
	if n < 16 {
		full = min(maxBackoff, minBackoff<<n)
	}
	if result.Unreachable {
		full = min(full, redialBackoff)
	}
	return max(wait.Jitter(full/2, 1), min(maxBackoff, result.RetryAfter))
}

// reportSlowRead reports that a read of a node was slow. All evictions from that node wait for it.
func (c *Controller) reportSlowRead(logger klog.Logger, result evictor.Result) {
	c.config.Metrics.SlowNodeReads.Inc()
	logger.V(2).Info("Read of the node was slow", "took", result.NodeRead)
	c.slowReads.Do(func() {
		logger.Error(nil, "Reads of nodes took the API server a second or more, and evictions waited for them, this is one of them. "+
			"Check the latency of etcd, and the load of the API server", "took", result.NodeRead)
	})
}

// reportEviction reports that the API server has accepted the deletion, or the eviction, of a pod, by an attempt that followed
// something.
func (c *Controller) reportEviction(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, result evictor.Result, follows string) {
	due, _ := result.Decision.DueFrom(c.config.Clock.Now())
	lateness := c.config.Clock.Since(due)
	labels := latenessLabels{deadline.ModeDelete, follows}
	if result.Outcome == evictor.Evicted {
		labels.mode = deadline.ModeEvict
	}
	m := c.config.Metrics
	m.PodDeletions.Inc()
	m.PodDeletionDuration.Observe(lateness.Seconds())
	c.signals.lateness[labels].Observe(lateness.Seconds())
	if result.ConditionRefused {
		m.ConditionRejections.Inc()
	}
	if result.Unversioned {
		m.UnversionedDeletions.Inc()
	}
	decision := result.Decision
	if step := result.Step; step.Policy != nil {
		decision.Taint, decision.Toleration, decision.Reason = step.Taint, step.Toleration, step.Reason
		logger = logger.WithValues("mode", step.Mode, "policy", step.Policy.Name)
	}
	logger.Info("Evicted pod", "taint", decision.Taint, "reason", decision.Reason,
		"deadline", c.config.ServerClock.At(due), "lateness", lateness, "failedAttempts", item.FailedAttempts,
		"conditionRefused", result.ConditionRefused, "unversioned", result.Unversioned)
	c.recorder.Record(reference(pod), podEventReason, podMessage(pod.Node(), c.config.ServerClock.At(due), lateness, decision))
}
