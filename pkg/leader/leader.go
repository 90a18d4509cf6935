package leader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// healthTolerance is how long after the end of its Lease a leader may still think that it leads.
const healthTolerance = 20 * time.Second

// Config is what an Elector needs. All fields are required.
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
}

// Elector leads while this replica holds the Lease.
type Elector struct {
	lead   func(context.Context)
	config *leaderelection.LeaderElectionConfig // nil without leader election
	health *leaderelection.HealthzAdaptor
	watch  *leaseWatch // nil without leader election
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
	e := Alone(config.Lead)
	var err error
	if e.watch, err = newLeaseWatch(config.Watch, config.Lease); err != nil {
		return nil, fmt.Errorf("watching the Lease: %w", err)
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
	for ctx.Err() == nil {
		if err := e.term(ctx); err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
	}
	return nil
}

// term stands for election once, and leads until the Lease is lost or ctx is over. The Lease is held until the evictions
// in flight have ended. A term ends as well when the Lease became free before we lead, because the next one looks at it at once.
func (e *Elector) term(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	started, ended := make(chan struct{}), make(chan struct{})
	config := *e.config
	config.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(term context.Context) {
			close(started)
			defer close(ended)
			leading, stop := context.WithCancel(term)
			defer stop()
			defer context.AfterFunc(ctx, stop)()
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
	defer context.AfterFunc(ctx, func() {
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

// Name and Check make the Elector a check of health: it fails when the Lease should have been given up long ago.
func (e *Elector) Name() string                  { return e.health.Name() }
func (e *Elector) Check(req *http.Request) error { return e.health.Check(req) }
