package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// leaderHealthTolerance is how long after the end of its Lease a leader may still think that it leads.
const leaderHealthTolerance = 20 * time.Second

// leader leads while this replica holds the Lease.
type leader struct {
	lead   func(context.Context)
	config *leaderelection.LeaderElectionConfig // nil without leader election
	health *leaderelection.HealthzAdaptor
	watch  *leaseWatch // nil without leader election
}

// newLeader takes the client for the Lease, and another one to watch it by.
func newLeader(o *Options, client, watching kubernetes.Interface, lead func(context.Context)) (*leader, error) {
	l := &leader{lead: lead, health: leaderelection.NewLeaderHealthzAdaptor(leaderHealthTolerance)}
	if !o.LeaderElection.LeaderElect {
		return l, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("the host has no name to take part in the leader election with: %w", err)
	}
	l.watch, err = newLeaseWatch(watching, o.LeaderElection.ResourceNamespace, o.LeaderElection.ResourceName)
	if err != nil {
		return nil, fmt.Errorf("watching the Lease: %w", err)
	}
	l.config = &leaderelection.LeaderElectionConfig{
		Name: o.LeaderElection.ResourceName,
		Lock: &lock{Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: o.LeaderElection.ResourceNamespace, Name: o.LeaderElection.ResourceName},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
		}, watch: l.watch},
		LeaseDuration:   o.LeaderElection.LeaseDuration.Duration,
		RenewDeadline:   o.LeaderElection.RenewDeadline.Duration,
		RetryPeriod:     o.LeaderElection.RetryPeriod.Duration,
		ReleaseOnCancel: true,
		WatchDog:        l.health,
	}
	return l, nil
}

// run leads, whenever the Lease is ours, until ctx is over. A Lease that is lost is sought again: the caches stay warm, and
// two leaders for a moment do no harm.
func (l *leader) run(ctx context.Context) error {
	if l.config == nil {
		l.lead(ctx)
		return nil
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watching.Go(func() { l.watch.run(ctx) })
	for ctx.Err() == nil {
		if err := l.term(ctx); err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
	}
	return nil
}

// term stands for election once, and leads until the Lease is lost or ctx is over. The Lease is held until the evictions
// in flight have ended. A term ends as well when the Lease became free before we lead, because the next one looks at it at once.
func (l *leader) term(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	started, ended := make(chan struct{}), make(chan struct{})
	config := *l.config
	config.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(term context.Context) {
			close(started)
			defer close(ended)
			leading, stop := context.WithCancel(term)
			defer stop()
			defer context.AfterFunc(ctx, stop)()
			l.lead(leading)
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
	l.health.SetLeaderElection(elector)
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
		if l.watch.wait(standing, started) {
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

// Name and Check make the leader a check of health: it fails when the Lease should have been given up long ago.
func (l *leader) Name() string                  { return l.health.Name() }
func (l *leader) Check(req *http.Request) error { return l.health.Check(req) }
