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

// healthTolerance is how long after the end of its Lease a leader may still think that it leads.
const healthTolerance = 20 * time.Second

// staleInterval is the time between two looks at whether this replica is fit to lead.
const staleInterval = time.Second

// termsAtOnce is how many terms may follow each other without a pause.
const termsAtOnce = 3

// Config is what an Elector needs. All fields are required but those that say otherwise.
type Config struct {
	// Client reads and writes the Lease. Its timeout must leave time for a second renewal before the deadline.
	Client kubernetes.Interface
	// Watch is a client that watches the Lease. It must not cut watches off by a timeout.
	Watch kubernetes.Interface
	// Lease names the Lease, and Identity this replica: no other one has the same.
	Lease    types.NamespacedName
	Identity string
	// LeaseDuration, RenewDeadline and RetryPeriod are those of client-go's leader election.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Lead is called whenever the Lease has been taken. It leads until its context is over, and returns when all that it began
	// has ended; then the Lease is released.
	Lead func(context.Context)
	// Stale returns why this replica is not fit to lead, or nil. While it is not, it does not stand for election, does not act for
	// a leader, and gives the Lease up if it holds it. It may be nil: always fit.
	Stale func() error
	// Overdue and Assist have a standby act for a leader that does not renew its Lease any more, before that ends. Overdue reports
	// whether there is something that a leader should have done. Assist does that until its context is over, and writes nothing
	// that has one writer. They may be nil, both: no standby acts.
	Overdue func() bool
	Assist  func(context.Context)
}

// Elector leads while this replica holds the Lease.
type Elector struct {
	lead   func(context.Context)
	config *leaderelection.LeaderElectionConfig // nil without leader election
	health *leaderelection.HealthzAdaptor
	// What follows is nil without leader election; standIn also where no standby acts.
	watch   *leaseWatch
	standIn *standIn
	stale   func() error
}

// Alone returns an Elector without an election: it leads all the time.
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
	if e.watch, err = newLeaseWatch(config.Watch, config.Lease, patience(config.RetryPeriod)); err != nil {
		return nil, fmt.Errorf("watching the Lease: %w", err)
	}
	if config.Overdue != nil {
		e.standIn = newStandIn(&config, e.watch)
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

// Run leads, whenever the Lease is ours, until ctx is over. A Lease that is lost is sought again: the caches stay warm, and
// two leaders for a moment do no harm.
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
	if e.standIn != nil {
		watching.Go(func() { e.standIn.run(ctx) })
	}
	// Terms follow each other at once, but not for ever: where reads of the Lease say that there is none and writes that there is
	// one, each would end the next.
	terms := rate.NewLimiter(rate.Every(e.config.RetryPeriod), termsAtOnce)
	for e.fit(ctx) && terms.Wait(ctx) == nil {
		if err := e.term(ctx); err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
	}
	return nil
}

// term stands for election once, and leads until the Lease is lost, this replica is not fit to lead, or ctx is over. The Lease is
// held until the evictions in flight have ended. A term ends as well when the Lease became free before we lead, because the next
// one looks at it at once.
func (e *Elector) term(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	fit, unfit := context.WithCancel(ctx)
	defer unfit()
	go e.whenStale(fit, unfit)
	started, ended := make(chan struct{}), make(chan struct{})
	config := *e.config
	config.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(term context.Context) {
			close(started)
			defer close(ended)
			leading, stop := context.WithCancel(term)
			defer stop()
			defer context.AfterFunc(fit, stop)()
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
	defer context.AfterFunc(fit, func() {
		select {
		case <-started: // lead releases
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
		logger.Info("Not leading any more")
	default:
	}
	return nil
}

// fit waits until this replica is fit to lead. It returns false when ctx is over.
func (e *Elector) fit(ctx context.Context) bool {
	for e.stale() != nil && ctx.Err() == nil {
		pause(ctx)
	}
	return ctx.Err() == nil
}

// whenStale calls stop as soon as this replica is not fit to lead, or returns when ctx is over.
func (e *Elector) whenStale(ctx context.Context, stop func()) {
	for ctx.Err() == nil {
		if err := e.stale(); err != nil {
			klog.FromContext(ctx).Error(err, "Neither leading nor standing for election, because what has to go is not known; waiting until it is")
			stop()
			return
		}
		pause(ctx)
	}
}

// pause waits until the next look at whether this replica is fit to lead, or ctx is over.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(staleInterval):
	}
}

// Name is that of the check of health that an Elector is.
func (e *Elector) Name() string { return e.health.Name() }

// Check fails when the Lease should have been given up long ago.
func (e *Elector) Check(req *http.Request) error { return e.health.Check(req) }
