package tainteviction

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/keymutex"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/events"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/startstore"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

const (
	// updateWorkers is how many workers each update queue has. They wait for nothing but locks.
	updateWorkers = 4
	// eventGrace is how long Events that wait may still be written at the end.
	eventGrace = 5 * time.Second
	// DefaultConcurrentEvictions is how many pods are being evicted at the same time, at most, unless the operator says otherwise.
	// Where an admission webhook takes seconds for each call, this many can wait for it.
	DefaultConcurrentEvictions = 400
	// complaintInterval is the time between two error messages about failing evictions.
	complaintInterval = 10 * time.Second
)

// Config is what a controller needs. All fields but EvictionLimiter, ServerClock and Starts are required.
type Config struct {
	// Informers is the client that lists and watches, as of podcache.NewClient: it may leave out what is not kept.
	Informers typedcorev1.CoreV1Interface
	// Evictions is the client that evicts, of the same kind. It has no rate limiter: see package evictor.
	Evictions typedcorev1.CoreV1Interface
	// Events is the client that writes Events.
	Events kubernetes.Interface
	// Starts is the ConfigMap for starts of taints that the API does not show; none without a name. See package startstore.
	Starts types.NamespacedName
	// EvictionLimiter bounds the calls of evictions; nil for no limit.
	EvictionLimiter flowcontrol.RateLimiter
	// Clock is the time of everything that the controller does. It must not step: see serverclock.NewSteady.
	Clock clock.WithTicker
	// ServerClock converts the API's times to Clock's, and has to be fed by the transport of the clients; nil where the two
	// clocks are the same.
	ServerClock *serverclock.Clock
	// Rules are the operator's choices among the rules.
	Rules deadline.Rules
	// ConcurrentEvictions is how many pods are being evicted at the same time, at most; 1 or more.
	ConcurrentEvictions int
	// Metrics is where figures go.
	Metrics *metrics.Metrics
}

// Controller is the taint eviction controller.
type Controller struct {
	config Config

	pods   *podcache.Pods
	nodes  *podcache.Nodes
	starts *taintstart.Tracker
	store  *startstore.Store // nil without a ConfigMap
	synced []cache.InformerSynced

	nodeUpdateQueue    workqueue.TypedInterface[string]
	podUpdateQueue     workqueue.TypedInterface[podKey]
	taintEvictionQueue *evictionqueue.Queue

	// evaluating serialises evaluations of one pod.
	evaluating keymutex.KeyMutex
	evictor    *evictor.Evictor
	// concurrency sets how many pods taintEvictionQueue hands out at the same time.
	concurrency *evictor.ConcurrencyLimiter
	recorder    *events.Recorder
	leading     atomic.Bool
	assistance  *assistance
	// complaints bounds how often failures are logged as errors.
	complaints *rate.Sometimes
	// slowReads bounds how often slow reads of nodes are.
	slowReads *rate.Sometimes
}

// New returns a controller that has not been started.
func New(config Config) (*Controller, error) {
	if config.ConcurrentEvictions < 1 {
		return nil, fmt.Errorf("concurrent evictions: must be 1 or more, is %d", config.ConcurrentEvictions)
	}
	limited := config.EvictionLimiter != nil
	if !limited {
		config.EvictionLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	}
	pods, err := podcache.NewPods(config.Informers, config.Clock)
	if err != nil {
		return nil, err
	}
	if config.ServerClock == nil {
		config.ServerClock = serverclock.New(config.Clock)
	}
	starts := taintstart.NewTracker(config.ServerClock)
	nodes, err := podcache.NewNodes(config.Informers, config.Clock, starts)
	if err != nil {
		return nil, err
	}
	c := &Controller{
		config: config,
		pods:   pods,
		nodes:  nodes,
		starts: starts,
		nodeUpdateQueue: workqueue.NewTypedWithConfig(
			workqueue.TypedQueueConfig[string]{Name: "noexec_taint_node", Clock: config.Clock}),
		podUpdateQueue: workqueue.NewTypedWithConfig(
			workqueue.TypedQueueConfig[podKey]{Name: "noexec_taint_pod", Clock: config.Clock}),
		evaluating: keymutex.NewHashed(0),
		complaints: &rate.Sometimes{First: 3, Interval: complaintInterval},
		slowReads:  &rate.Sometimes{First: 1, Interval: complaintInterval},
	}
	c.taintEvictionQueue = evictionqueue.New(config.Clock, 1, evictionqueue.Gauges{Scheduled: config.Metrics.Scheduled, Slots: config.Metrics.ConcurrencyLimit})
	c.assistance = &assistance{Queue: c.taintEvictionQueue}
	c.concurrency = evictor.NewConcurrencyLimiter(config.Clock, c.assistance, config.ConcurrentEvictions, limited)
	c.recorder = events.NewRecorder(config.Events, config.Clock, config.ServerClock, config.Metrics.Events)
	if config.Starts.Name != "" {
		c.store = startstore.New(config.Informers, config.Starts, config.Clock, c.starts)
	}
	c.evictor = evictor.New(config.Evictions, config.EvictionLimiter, config.Clock, config.ServerClock, live{c})
	return c, c.handleEvents()
}

// Run watches and keeps every deadline up to date until ctx is over. It evicts nobody: that is Lead.
func (c *Controller) Run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		if c.store != nil {
			c.store.Load(ctx)
		}
		c.nodes.RunWithContext(ctx)
	})
	running.Go(func() { c.pods.RunWithContext(ctx) })
	running.Go(func() { c.recorder.Run(ctx, eventGrace) })
	running.Go(func() { c.keepTime(ctx) })
	running.Go(func() { c.every(ctx, confirmInterval, func() { c.confirmAll(ctx) }) })
	running.Go(func() { c.every(ctx, confirmInterval, func() { c.settleNodes(ctx) }) })
	defer c.podUpdateQueue.ShutDown()
	defer c.nodeUpdateQueue.ShutDown()

	logger.Info("Reading all nodes and all pods that are bound to one")
	began := c.config.Clock.Now()
	if !c.WaitForSync(ctx) {
		return
	}
	c.starts.DropRestored()
	logger.Info("Watching", "nodes", len(c.nodes.GetIndexer().ListKeys()), "pods", len(c.pods.GetIndexer().ListKeys()),
		"took", c.config.Clock.Since(began))
	for range updateWorkers {
		running.Go(func() { work(ctx, c.nodeUpdateQueue, c.evaluateNode) })
		running.Go(func() { work(ctx, c.podUpdateQueue, c.evaluatePod) })
	}
	<-ctx.Done()
}

// work hands the items of a queue to a function until the queue shuts down. A panic ends the process: a bug must not
// silently stop evictions.
func work[T comparable](ctx context.Context, queue workqueue.TypedInterface[T], do func(context.Context, T)) {
	defer utilruntime.HandleCrashWithContext(ctx)
	for {
		item, shutdown := queue.Get()
		if shutdown {
			return
		}
		do(ctx, item)
		queue.Done(item)
	}
}

// WaitForSync waits until all pods and nodes have been read, or says that ctx was over before.
func (c *Controller) WaitForSync(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), c.synced...)
}

// Deadline is when a pod is to be evicted, or false where it is not scheduled. It is for tests that look in from outside.
func (c *Controller) Deadline(uid types.UID) (time.Time, bool) {
	return c.taintEvictionQueue.Deadline(uid)
}

// Stale is why what must go is not known at the moment, because pods or nodes are not kept up to date, or nil.
func (c *Controller) Stale() error { return errors.Join(c.pods.Stale(), c.nodes.Stale()) }

// Ready is nil once the caches have synced, for as long as pods and nodes can be read.
func (c *Controller) Ready() error {
	for _, synced := range c.synced {
		if !synced() {
			return errors.Join(errors.New("not all pods and nodes have been read yet"), c.pods.Err(), c.nodes.Err())
		}
	}
	return errors.Join(c.pods.Err(), c.nodes.Err())
}
