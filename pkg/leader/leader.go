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

package leader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// healthTolerance is how long after the expiry of its Lease a leader may still believe that it leads before it is
// unhealthy.
const healthTolerance = 20 * time.Second

// staleInterval is the time between two checks of whether this replica is stale.
const staleInterval = time.Second

// termsAtOnce is the number of terms that may follow each other without a delay.
const termsAtOnce = 3

// Config is what an Elector needs. All fields are required unless they say otherwise.
type Config struct {
	// Client reads and writes the Lease. Its timeout must allow a second renewal before the deadline.
	Client kubernetes.Interface
	// Watch is a client that watches the Lease. It must not have a timeout.
	Watch kubernetes.Interface
	// Lease names the Lease. Identity names this replica, uniquely.
	Lease    types.NamespacedName
	Identity string
	// LeaseDuration, RenewDeadline and RetryPeriod are those of client-go's leader election.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Lead is called when the Lease has been acquired. It leads until its context is done, and returns when everything that
	// it began has ended. Then the Lease is released.
	Lead func(context.Context)
	// Stale returns an error while the caches of this replica are stale. Then it does not stand for election, does not act
	// for a leader, and releases the Lease if it holds it. It may be nil.
	Stale func() error
	// Overdue and Assist let a standby act for a leader that does not renew its Lease, before the Lease expires. Overdue
	// reports whether there is something that a leader should have done. Assist does it until its context is done, and
	// writes nothing that must have one writer. If both are nil, no standby acts.
	Overdue func() bool
	Assist  func(context.Context)
}

// Elector leads while this replica holds the Lease.
type Elector struct {
	lead   func(context.Context)
	config *leaderelection.LeaderElectionConfig // nil without leader election
	health *leaderelection.HealthzAdaptor
	// The following are nil without leader election. acting is also nil if no standby acts.
	watch  *leaseWatch
	acting *actingLeader
	stale  func() error
}

// Alone returns an Elector without leader election. It leads all the time.
func Alone(lead func(context.Context)) *Elector {
	return &Elector{lead: lead, health: leaderelection.NewLeaderHealthzAdaptor(healthTolerance)}
}

// New returns an Elector that does not stand for election yet.
func New(config Config) (*Elector, error) {
	if config.Identity == "" || config.Lease.Name == "" {
		return nil, errors.New("leader election: a Lease and an identity are needed")
	}
	if config.Stale == nil {
		config.Stale = func() error { return nil }
	}
	e := Alone(config.Lead)
	e.stale = config.Stale
	var err error
	if e.watch, err = newLeaseWatch(config.Watch, config.Lease, silentAfter(config.RetryPeriod)); err != nil {
		return nil, fmt.Errorf("watching the Lease: %w", err)
	}
	if config.Overdue != nil {
		e.acting = newActingLeader(&config, e.watch)
	}
	e.config = &leaderelection.LeaderElectionConfig{
		Name: config.Lease.Name,
		Lock: &lock{Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: config.Lease.Namespace, Name: config.Lease.Name},
			Client:     config.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: config.Identity},
		}, watch: e.watch},
		LeaseDuration:   config.LeaseDuration,
		RenewDeadline:   config.RenewDeadline,
		RetryPeriod:     config.RetryPeriod,
		ReleaseOnCancel: true,
		WatchDog:        e.health,
	}
	return e, nil
}

// Run leads whenever this replica holds the Lease, until ctx is done. If the Lease is lost, it stands for election again:
// the caches stay warm, and two leaders for a moment do no harm.
func (e *Elector) Run(ctx context.Context) error {
	if e.config == nil {
		e.lead(ctx)
		return nil
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watching.Go(func() { e.watch.run(ctx) })
	if e.acting != nil {
		watching.Go(func() { e.acting.run(ctx) })
	}
	// Terms may follow each other at once, but not for ever. Where reads of the Lease return that there is none and writes
	// that there is one, each term would end the next.
	terms := rate.NewLimiter(rate.Every(e.config.RetryPeriod), termsAtOnce)
	for e.waitUntilFresh(ctx) && terms.Wait(ctx) == nil {
		if err := e.term(ctx); err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
	}
	return nil
}

// term stands for election once. It leads until the Lease is lost, this replica is stale, or ctx is done. The Lease is held
// until the evictions in flight have ended. A term also ends if the Lease becomes free before this replica leads, because
// the next term tries to acquire it at once.
func (e *Elector) term(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	fresh, stale := context.WithCancel(ctx)
	defer stale()
	go e.whenStale(fresh, stale)
	started, ended := make(chan struct{}), make(chan struct{})
	config := *e.config
	config.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(term context.Context) {
			close(started)
			defer close(ended)
			leading, stop := context.WithCancel(term)
			defer stop()
			defer context.AfterFunc(fresh, stop)()
			e.lead(leading)
			release()
		},
		OnStoppedLeading: func() {},
		OnNewLeader: func(identity string) {
			logger.Info("Leader elected", "leader", identity, "self", identity == config.Lock.Identity())
		},
	}
	elector, err := leaderelection.NewLeaderElector(config)
	if err != nil {
		return err
	}
	e.health.SetLeaderElection(elector)
	defer context.AfterFunc(fresh, func() {
		select {
		case <-started: // released after lead
		default:
			release()
		}
	})()
	standing, elected := context.WithCancel(holding)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if e.watch.wait(standing, started) {
			release()
		}
	})
	elector.Run(holding)
	elected()
	waiting.Wait()
	select {
	case <-started:
		<-ended
		logger.Info("Stopped leading")
	default:
	}
	return nil
}

// waitUntilFresh waits until this replica is not stale. It returns false when ctx is done.
func (e *Elector) waitUntilFresh(ctx context.Context) bool {
	for e.stale() != nil && ctx.Err() == nil {
		pause(ctx)
	}
	return ctx.Err() == nil
}

// whenStale calls stop as soon as this replica is stale. It returns when it has, or when ctx is done.
func (e *Elector) whenStale(ctx context.Context, stop func()) {
	for ctx.Err() == nil {
		if err := e.stale(); err != nil {
			klog.FromContext(ctx).Error(err, "Caches are stale, neither leading nor standing for election until they are up to date")
			stop()
			return
		}
		pause(ctx)
	}
}

// pause waits for the next check of whether this replica is stale, or until ctx is done.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(staleInterval):
	}
}

// Name returns the name of the Elector as a health check.
func (e *Elector) Name() string { return e.health.Name() }

// Check fails if the Lease should have been released long ago.
func (e *Elector) Check(req *http.Request) error { return e.health.Check(req) }
