package leader

import (
	"context"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

const (
	// standInAnnotation names, on the Lease, who acts for its holder since which renewal.
	standInAnnotation = "taint-manager/stands-in"
	// overdueInterval is the time between two looks at whether pods are overdue, while the holder of the Lease is silent.
	overdueInterval = 100 * time.Millisecond
)

// patience is how long after a renewal the holder of the Lease is silent: two renewals are missing, and a bit of the time that
// a renewal takes is over too.
func patience(retryPeriod time.Duration) time.Duration { return 2*retryPeriod + retryPeriod/8 }

// standIn acts for a leader that is silent while its Lease goes on. It does not take the Lease, and fences nothing: the leader
// may only be slow.
//
// Of several standbys one acts: the one whose claim the API server accepts, which is an annotation on the Lease, written to the
// version that was just read. So a claim also proves that nobody has renewed the Lease since.
type standIn struct {
	leases   typedcoordinationv1.LeaseInterface
	name     string
	identity string
	retry    time.Duration
	watch    *leaseWatch
	stale    func() error
	overdue  func() bool
	assist   func(context.Context)
}

func newStandIn(config *Config, watch *leaseWatch) *standIn {
	return &standIn{
		leases:   config.Client.CoordinationV1().Leases(config.Lease.Namespace),
		name:     config.Lease.Name,
		identity: config.Identity,
		retry:    config.RetryPeriod,
		watch:    watch,
		stale:    config.Stale,
		overdue:  func() bool { return config.Stale() == nil && config.Overdue() },
		assist:   config.Assist,
	}
}

// run acts whenever it is needed, until ctx is over.
func (s *standIn) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.watch.silent:
		}
		if last := s.watch.last(); last != nil && last.holder != s.identity {
			s.actFor(ctx, last)
		}
	}
}

// actFor looks whether the holder of the Lease is silent indeed, and acts while it is and pods are overdue. It returns when the
// Lease has been renewed, released or taken.
func (s *standIn) actFor(ctx context.Context, last *renewal) {
	logger := klog.FromContext(ctx).WithValues("leader", last.holder)
	for {
		lease, err := s.silent(ctx, last)
		switch {
		case err != nil:
			logger.V(2).Info("The leader seems silent, but the Lease cannot be read", "error", err.Error())
		case lease == nil:
			return
		case s.overdue():
			if s.claim(ctx, lease, last) {
				logger.Info("The leader does not renew its Lease and pods are overdue: evicting in its place",
					"renewed", last.renewed.UTC(), "seen", time.Since(last.seen))
				s.act(ctx, last)
			}
		}
		// Who has lost the claim, or could not read, has nothing to hurry for.
		if !s.pause(ctx, last, err == nil && !s.overdue()) {
			return
		}
	}
}

// silent reads the Lease, and returns it while the last renewal is the one that was last seen. Otherwise it returns nil, and the
// watch knows of the later one, though it may be cut off itself.
func (s *standIn) silent(ctx context.Context, last *renewal) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.retry)
	defer cancel()
	lease, err := s.leases.Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if !last.is(resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)) {
		s.watch.look(lease)
		return nil, nil
	}
	return lease, nil
}

// claim reports whether it is we who act for the holder of a Lease since its last renewal, as it was just read.
func (s *standIn) claim(ctx context.Context, lease *coordinationv1.Lease, last *renewal) bool {
	since := " since " + last.renewed.UTC().Format(time.RFC3339Nano)
	if claim, found := strings.CutSuffix(lease.Annotations[standInAnnotation], since); found {
		return claim == s.identity
	}
	ctx, cancel := context.WithTimeout(ctx, s.retry)
	defer cancel()
	lease = lease.DeepCopy()
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, standInAnnotation, s.identity+since)
	_, err := s.leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err == nil // else another one was faster, or the leader was
}

// act evicts until the Lease is renewed, released or taken, by the watch or by a read now and again, or this replica is stale.
func (s *standIn) act(ctx context.Context, last *renewal) {
	acting, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.assist(acting)
	}()
	for s.pause(ctx, last, false) {
		if lease, err := s.silent(ctx, last); err != nil || lease == nil || s.stale() != nil {
			break
		}
	}
	stop()
	<-ended
	klog.FromContext(ctx).Info("Not evicting in the place of the leader any more", "leader", last.holder)
}

// pause waits for a retry period, or less where it is to end as soon as pods are overdue. It returns false when there is nobody
// to act for any more.
func (s *standIn) pause(ctx context.Context, last *renewal, hurry bool) bool {
	end := time.NewTimer(s.retry)
	defer end.Stop()
	look := time.NewTicker(overdueInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-last.over:
			return false
		case <-end.C:
			return true
		case <-look.C:
			if hurry && s.overdue() {
				return true
			}
		}
	}
}
