package tainteviction

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/connection"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

const (
	// firstBackoff and lastBackoff bound the time between two attempts at one pod; redialBackoff does where the API server
	// cannot be reached, which costs it nothing, and should not be noticed late when it is back.
	firstBackoff, lastBackoff, redialBackoff = 100 * time.Millisecond, 30 * time.Second, 2 * time.Second
	// redialFailures is how many failures to reach the API server count, at most: when it is back it may refuse once more, as
	// one that has just started does, and the backoff after that should not be the longest.
	redialFailures = 4
	// confirmation is how long the watch may take to show that a pod is being deleted, or gone, before we look again.
	confirmation = 10 * time.Second
	// drainTimeout bounds how long evictions in flight may go on when this replica stops leading, so that a server that
	// hangs does not keep the next leader waiting for the Lease.
	drainTimeout = 10 * time.Second

	// failure is what an attempt that failed counts as, among the outcomes of those that did not.
	failure evictor.Outcome = "Error"
)

// Lead evicts the pods that are due, until ctx is over. Then it starts no more, and returns when those in flight have ended.
//
// It may be called again afterwards. Nothing bad comes of two replicas leading for a moment: each evicts only what is due.
func (c *Controller) Lead(ctx context.Context) {
	if !c.WaitForSync(ctx) {
		return
	}
	klog.FromContext(ctx).Info("Evicting", "mostSlots", c.config.ConcurrentEvictions, "scheduled", c.taintEvictionQueue.Len())
	c.leading.Store(true)
	defer c.leading.Store(false)
	c.assistance.bound(0)
	var storing sync.WaitGroup
	defer storing.Wait()
	if c.store != nil {
		storing.Go(func() { c.store.Run(ctx) })
	}
	c.evictUntil(ctx)
}

// evictUntil evicts the pods that are due until ctx is over, and returns when the evictions in flight have ended.
func (c *Controller) evictUntil(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-c.config.Clock.After(drainTimeout):
			giveUp()
		case <-attempts.Done():
		}
	})()
	var slots sync.WaitGroup
	defer slots.Wait()
	slots.Go(func() { c.concurrency.Run(ctx) })
	for {
		item, ok := c.taintEvictionQueue.Get(ctx) // no more at a time than there are slots
		if !ok {
			return
		}
		slots.Go(func() {
			defer utilruntime.HandleCrashWithContext(ctx)
			c.evict(attempts, item)
		})
	}
}

// evict makes one attempt at a pod that is due, and says to the queue how it went.
func (c *Controller) evict(ctx context.Context, item evictionqueue.Item) {
	outcome, retry := evictionqueue.Finished, time.Duration(0)
	defer func() { c.taintEvictionQueue.Done(item, outcome, retry) }()
	pod := c.pods.Get(item.Namespace, item.Name)
	if pod == nil || pod.UID != item.UID {
		return
	}
	logger := klog.FromContext(ctx).WithValues("pod", klog.KObj(pod), "uid", pod.UID, "node", pod.Node())
	attempt := c.concurrency.Begin()
	result, err := c.evictor.Evict(klog.NewContext(ctx, logger), pod)
	if result.Overloaded() {
		c.slowRead(logger, attempt, result)
	}
	c.concurrency.End(attempt, result.Outcome == evictor.Deleted, err)
	if result.Outcome == evictor.Deleted {
		c.assistance.gone()
	}
	switch {
	case err != nil:
		outcome, retry = evictionqueue.Failed, backoff(item.Failures, err)
		if connection.Failed(err) {
			item.Failures = min(item.Failures, redialFailures)
		}
		result.Outcome = failure
		logger.V(2).Info("Eviction failed, trying again", "failures", item.Failures+1, "retryAfter", retry, "error", err.Error())
		c.complaints.Do(func() {
			logger.Error(err, "Evictions fail and are tried again; of several, this is one. "+advice(err))
		})
	case result.Outcome == evictor.NotDue && !c.due(pod):
		outcome = evictionqueue.Again // moved or called off meanwhile
	case result.Outcome != evictor.NotDue:
		// It stays scheduled until the watch has shown the same: an event of before, still on its way, would schedule it anew.
		outcome, retry = evictionqueue.Again, confirmation
		if result.Outcome == evictor.Deleted {
			c.evicted(logger, pod, item, result)
		} else {
			logger.V(2).Info("Pod need not be evicted any more", "outcome", result.Outcome)
		}
	default:
		// The caches are behind what was read live. They will follow, and cancel what need not be; until then look again,
		// ever less often, but not later than at the deadline by what was read.
		outcome, retry = evictionqueue.Again, backoff(item.Rechecks, nil)
		// A deadline that has just come was not yet there when the read began.
		if result.Decision.Evict {
			retry = min(retry, max(firstBackoff, result.Decision.Deadline.Sub(c.config.Clock.Now())))
		}
		logger.V(2).Info("Not evicting: due by the caches only", "outcome", result.Outcome, "reason", result.Decision.Reason,
			"deadline", c.config.ServerClock.At(result.Decision.Deadline), "retryAfter", retry)
	}
	c.config.Metrics.Evictions.WithLabelValues(string(result.Outcome)).Inc()
}

// slowRead records that a read of a node was slow, which holds up all evictions from it.
func (c *Controller) slowRead(logger klog.Logger, attempt *evictor.Attempt, result evictor.Result) {
	c.concurrency.Overloaded(attempt)
	c.config.Metrics.SlowNodeReads.Inc()
	logger.V(2).Info("Reading the node was slow", "took", result.NodeRead)
	c.slowReads.Do(func() {
		logger.Error(nil, "Reading a node takes the API server a second or more, and evictions wait for it; of several nodes, this is one. "+
			"Check the latency of etcd, and the load of the API server", "took", result.NodeRead)
	})
}

// evicted records what the API server has accepted.
func (c *Controller) evicted(logger klog.Logger, pod *podcache.Pod, item evictionqueue.Item, result evictor.Result) {
	due := result.Decision.Deadline
	lateness := c.config.Clock.Since(due)
	attempt := "first"
	if item.Failures > 0 {
		attempt = "retry"
	}
	m := c.config.Metrics
	m.PodDeletions.Inc()
	m.PodDeletionDuration.Observe(lateness.Seconds())
	m.Lateness.WithLabelValues(attempt).Observe(lateness.Seconds())
	if result.ConditionRefused {
		m.ConditionRejections.Inc()
	}
	if result.Unversioned {
		m.UnversionedDeletions.Inc()
	}
	logger.Info("Evicted pod", "taint", result.Decision.Taint, "reason", result.Decision.Reason,
		"deadline", c.config.ServerClock.At(due), "lateness", lateness, "failures", item.Failures,
		"conditionRefused", result.ConditionRefused, "unversioned", result.Unversioned)
	c.recorder.Record(reference(pod), podEventReason, podMessage(pod.Node(), c.config.ServerClock.At(due), lateness, result.Decision))
}

// backoff is how long to wait after a failure: doubled each time up to a bound, with half of it left to chance so that
// those who failed together do not come back together; and at least as long as the API server asked for.
func backoff(failures int, err error) time.Duration {
	full := lastBackoff
	if failures < 16 {
		full = min(lastBackoff, firstBackoff<<failures)
	}
	if connection.Failed(err) {
		full = min(full, redialBackoff)
	}
	retry := wait.Jitter(full/2, 1)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		retry = max(retry, min(lastBackoff, time.Duration(seconds)*time.Second))
	}
	return retry
}

// advice says what an operator can do about an error.
func advice(err error) string {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "Not allowed: grant our account get on nodes, get and delete on pods, and patch on pods/status, or mend the admission policy that denies"
	case apierrors.IsTooManyRequests(err):
		return "The API server asks for fewer requests: see its flow schemas, or lower --max-concurrent-evictions"
	default:
		return "Check that the API server and its admission webhooks answer"
	}
}
