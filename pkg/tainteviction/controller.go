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
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/keymutex"

	"github.com/taint-manager/taint-manager/pkg/audit"
	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/events"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/startstore"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

const (
	// updateWorkers is the number of workers of each update queue. They wait for nothing but locks.
	updateWorkers = 4
	// eventGrace is how long pending Events may still be written at the end.
	eventGrace = 5 * time.Second
	// auditGrace is how long pending lines of the audit log may still be written at the end.
	auditGrace = 5 * time.Second
	// DefaultConcurrentEvictions is the default of Config.ConcurrentEvictions. Where an admission webhook takes seconds for each call, this
	// many evictions can wait for it.
	DefaultConcurrentEvictions = 400
	// complaintInterval is the least time between two error messages about failing evictions, or slow reads.
	complaintInterval = 10 * time.Second
)

// Config is what a controller needs. All fields but Budgets, EvictionLimiter, ServerClock, Starts, Rules, Policies, Brake and Audit are
// required.
type Config struct {
	// Informers is the client that lists and watches. It may be one of podcache.NewClient, which leaves out what is not kept.
	Informers typedcorev1.CoreV1Interface
	// Evictions is the client that evicts, of the same kind. It has no rate limiter: see package evictor.
	Evictions typedcorev1.CoreV1Interface
	// Events is the client that writes Events.
	Events kubernetes.Interface
	// Budgets is the client that reads disruption budgets, from the first eviction by the eviction API on; nil if those are not to wait.
	Budgets kubernetes.Interface
	// Starts names the ConfigMap that stores the starts of taints that the API does not show; no name for none. See package startstore.
	Starts types.NamespacedName
	// EvictionLimiter is the rate limiter of the calls of evictions; nil for no limit.
	EvictionLimiter flowcontrol.RateLimiter
	// Clock is the timeline of all deadlines and starts. It must not step: see serverclock.NewSteady. It is injected because replicas of the
	// simulation have clocks of their own that differ; all timers are the runtime's.
	Clock clock.WithTicker
	// ServerClock converts the API's times to Clock's. The transport of the clients feeds it. It is nil if the two clocks are the same.
	ServerClock *serverclock.Clock
	// Rules are the operator's choices among the rules. They have no policies.
	Rules deadline.Rules
	// Policies reads the policies of the cluster; nil for none.
	Policies *policy.Source
	// PolicyStatus writes the status of policies. It is required if Policies is set.
	PolicyStatus dynamic.Interface
	// Brake is the eviction brake and the pace of nodes; nil for none.
	Brake *brake.Brake
	// Deployment is our own, about which there are Events on the brake. It is required if Brake is set.
	Deployment types.NamespacedName
	// ConcurrentEvictions is the maximum of the concurrency limit: how many pods are being evicted at the same time; 1 or more.
	ConcurrentEvictions int
	// Metrics are the metrics that the controller updates.
	Metrics *metrics.Metrics
	// Audit is the audit log; nil for none. Identity names this process there. Where it is set, Evictions should be a client that decodes the
	// owners of pods: see podcache.NewClientWithOwners.
	Audit    *audit.Log
	Identity string
}

// Controller is the taint eviction controller.
type Controller struct {
	config Config

	pods   *podcache.Pods
	nodes  *podcache.Nodes
	starts *taintstart.Tracker
	rules  *policy.Rules
	// tally counts what policies do.
	tally   *policy.Tally
	notices notices
	store   *startstore.Store // nil without a ConfigMap
	synced  []cache.InformerSynced

	nodeUpdateQueue    workqueue.TypedInterface[string]
	podUpdateQueue     workqueue.TypedDelayingInterface[podKey]
	taintEvictionQueue *evictionqueue.Queue

	// evaluating serialises the evaluations of each pod, and the beginnings and ends of its attempts, by UID.
	evaluating keymutex.KeyMutex
	evictor    *evictor.Evictor
	// budgets has evictions wait for disruption budgets; nil if they do not.
	budgets *budget.Tracker
	// brake tells and asks the eviction brake; nil if there is none. held are the pods that it holds. brakeSignal holds a token after the
	// brake has reported a change.
	brake       *evictor.Brake
	held        *holds
	brakeView   brakeView
	brakeSignal chan struct{}
	// total is the number of nodes.
	total int
	// concurrency sets the concurrency limit of taintEvictionQueue.
	concurrency *evictor.ConcurrencyLimiter
	recorder    *events.Recorder
	signals     *signals
	leading     atomic.Bool
	trail       *trail // nil without an audit log
	// untold are the nodes of which this replica has not told what is held back, since it leads.
	untold sync.Map
	// complaints limits how often failures are logged as errors, and slowReads how often slow reads of nodes are.
	complaints, slowReads *rate.Sometimes
}

// New returns a controller that has not been started.
func New(config Config) (*Controller, error) {
	if config.ConcurrentEvictions < 1 {
		return nil, fmt.Errorf("concurrent evictions: must be 1 or more, is %d", config.ConcurrentEvictions)
	}
	rateLimited := config.EvictionLimiter != nil
	if !rateLimited {
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
		config:          config,
		pods:            pods,
		nodes:           nodes,
		starts:          starts,
		rules:           policy.NewRules(config.Rules, config.Policies, config.ServerClock),
		tally:           policy.NewTally(policyGauges(config.Metrics)),
		notices:         notices{told: map[types.UID]time.Time{}},
		nodeUpdateQueue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Name: "noexec_taint_node"}),
		podUpdateQueue:  workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[podKey]{Name: "noexec_taint_pod"}),
		evaluating:      keymutex.NewHashed(0),
		held:            newHolds(newHeldGauges(config.Metrics)),
		signals:         newSignals(config.Metrics, config.Rules.DryRun),
		brakeSignal:     make(chan struct{}, 1),
		complaints:      &rate.Sometimes{First: 3, Interval: complaintInterval},
		slowReads:       &rate.Sometimes{First: 1, Interval: complaintInterval},
	}
	c.trail = newTrail(&config, &c.leading)
	c.taintEvictionQueue = evictionqueue.New(config.Clock, 1, config.Metrics.Scheduled)
	c.concurrency = evictor.NewConcurrencyLimiter(c.taintEvictionQueue, config.Metrics.ConcurrencyLimit, config.ConcurrentEvictions, rateLimited)
	c.brake = c.newBrake()
	c.evictor = evictor.New(evictor.Config{
		Client: config.Evictions, Limiter: config.EvictionLimiter, Clock: config.Clock, ServerClock: config.ServerClock,
		Starts: starts, Rules: c.rules, Schedule: c.taintEvictionQueue, Brake: c.brake, NodeReads: config.Metrics.NodeReadDuration,
	})
	if config.Budgets != nil {
		if c.budgets, err = budget.New(config.Budgets, config.Clock, c.taintEvictionQueue); err != nil {
			return nil, err
		}
	}
	c.recorder = events.NewRecorder(config.Events, config.Clock, config.ServerClock, config.Metrics.Events)
	if config.Starts.Name != "" {
		c.store = startstore.New(config.Informers, config.Starts, config.Clock, c.starts)
		c.store.Annotate(&brakeNotes{Controller: c})
	}
	return c, c.handleEvents()
}

// Run watches pods and nodes and keeps every deadline up to date until ctx is done. It evicts no pod; Lead does.
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
	if c.config.Audit != nil {
		running.Go(func() { c.config.Audit.Run(ctx, auditGrace) })
	}
	if c.budgets != nil {
		running.Go(func() { c.budgets.Run(ctx) })
	}
	running.Go(func() { c.followServerClock(ctx) })
	if c.brake != nil {
		running.Go(func() { c.config.Brake.Run(ctx, func(change brake.Change) { c.brakeChanged(ctx, change) }) })
		running.Go(func() { c.followBrake(ctx) })
	}
	if c.config.Policies != nil {
		running.Go(func() { c.config.Policies.Run(ctx) })
		running.Go(func() { c.followPolicies(ctx) })
	}
	running.Go(func() { every(ctx, confirmInterval, func() { c.confirmAll(ctx) }) })
	running.Go(func() { every(ctx, confirmInterval, func() { c.confirmNodes(ctx) }) })
	defer c.podUpdateQueue.ShutDown()
	defer c.nodeUpdateQueue.ShutDown()

	logger.Info("Started reading all nodes, and all pods that are bound to a node")
	began := c.config.Clock.Now()
	if !c.WaitForSync(ctx) {
		return
	}
	c.starts.DropRestored()
	logger.Info("Started watching", "nodes", len(c.nodes.GetIndexer().ListKeys()), "pods", len(c.pods.GetIndexer().ListKeys()),
		"took", c.config.Clock.Since(began))
	for range updateWorkers {
		running.Go(func() { work(ctx, c.nodeUpdateQueue, c.evaluateNode) })
		running.Go(func() { work(ctx, c.podUpdateQueue, c.evaluatePod) })
	}
	<-ctx.Done()
}

// work calls a function for each item of a queue until the queue shuts down. A panic ends the process: a bug must not silently stop
// evictions.
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

// WaitForSync waits until all pods and nodes have been read. It returns false if ctx is done before.
func (c *Controller) WaitForSync(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), c.synced...)
}

// Deadline returns the deadline of a pod, and whether its eviction is scheduled. It is for tests of other packages.
func (c *Controller) Deadline(uid types.UID) (deadline time.Time, scheduled bool) {
	return c.taintEvictionQueue.Deadline(uid)
}

// Stale returns why the controller does not know at the moment which pods must go, because pods or nodes are not kept up to date, or nil.
func (c *Controller) Stale() error { return errors.Join(c.pods.Stale(), c.nodes.Stale()) }

// Ready returns nil once the caches have synced, for as long as pods and nodes can be read.
func (c *Controller) Ready() error {
	for _, synced := range c.synced {
		if !synced() {
			return errors.Join(errors.New("not all pods, nodes and policies have been read yet"), c.pods.Err(), c.nodes.Err(), c.policiesErr())
		}
	}
	return errors.Join(c.pods.Err(), c.nodes.Err())
}
