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
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

const (
	// actingAnnotation names, on the Lease, the standby that acts for its holder, and since which renewal.
	actingAnnotation = "taint-manager.io/acting-for-holder"
	// overdueInterval is the time between two checks of whether pods are overdue while the holder is silent.
	overdueInterval = 100 * time.Millisecond
)

// silentAfter returns how long after a renewal the holder of the Lease is silent: two renewals are missing, and the time
// that a renewal takes has passed.
func silentAfter(retryPeriod time.Duration) time.Duration { return 2*retryPeriod + retryPeriod/8 }

// actingLeader acts for a leader that is silent while its Lease is valid. It does not take the Lease and does not fence the
// leader, which may only be slow.
//
// One of several standbys acts: the one whose claim the API server accepts. A claim is an annotation on the Lease, written
// with the resourceVersion that was just read. So it also proves that nobody has renewed the Lease since.
type actingLeader struct {
	leases   typedcoordinationv1.LeaseInterface
	name     string
	identity string
	retry    time.Duration
	watch    *leaseWatch
	stale    func() error
	overdue  func() bool
	assist   func(context.Context)
}

func newActingLeader(config *Config, watch *leaseWatch) *actingLeader {
	return &actingLeader{
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

// run acts whenever that is needed, until ctx is done.
func (s *actingLeader) run(ctx context.Context) {
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

// actFor acts while the holder of the Lease is silent and pods are overdue. It returns when the Lease has been renewed,
// released or taken.
func (s *actingLeader) actFor(ctx context.Context, last *renewal) {
	logger := klog.FromContext(ctx).WithValues("leader", last.holder)
	for {
		lease, err := s.silent(ctx, last)
		switch {
		case err != nil:
			logger.V(2).Info("Leader seems silent, but cannot read the Lease", "error", err.Error())
		case lease == nil:
			return
		case s.overdue():
			if s.claim(ctx, lease, last) {
				logger.Info("Leader does not renew its Lease and pods are overdue, evicting in its place",
					"renewed", last.renewed.UTC(), "seen", time.Since(last.seen))
				s.act(ctx, last)
			}
		}
		// Without the claim, or after a failed read, wait for the whole retry period.
		if !s.pause(ctx, last, err == nil && !s.overdue()) {
			return
		}
	}
}

// silent reads the Lease. It returns it if the last renewal that was seen is still the last one. Otherwise it returns nil,
// and passes the later one to the watch, which may be cut off.
func (s *actingLeader) silent(ctx context.Context, last *renewal) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.retry)
	defer cancel()
	lease, err := s.leases.Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if !last.is(resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)) {
		s.watch.observe(lease)
		return nil, nil
	}
	return lease, nil
}

// claim reports whether this replica acts for the holder of the Lease since its last renewal. If nobody does, it tries to.
func (s *actingLeader) claim(ctx context.Context, lease *coordinationv1.Lease, last *renewal) bool {
	since := " since " + last.renewed.UTC().Format(time.RFC3339Nano)
	if claim, found := strings.CutSuffix(lease.Annotations[actingAnnotation], since); found {
		return claim == s.identity
	}
	ctx, cancel := context.WithTimeout(ctx, s.retry)
	defer cancel()
	lease = lease.DeepCopy()
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, actingAnnotation, s.identity+since)
	_, err := s.leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err == nil // otherwise another standby or the leader was faster
}

// act evicts until the Lease is renewed, released or taken, by the watch or by a periodic read, or until this replica is
// stale.
func (s *actingLeader) act(ctx context.Context, last *renewal) {
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
	klog.FromContext(ctx).Info("Stopped evicting in place of the leader", "leader", last.holder)
}

// pause waits for a retry period. With untilOverdue it ends early when pods are overdue. It returns false if there is
// nobody to act for any more.
func (s *actingLeader) pause(ctx context.Context, last *renewal, untilOverdue bool) bool {
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
			if untilOverdue && s.overdue() {
				return true
			}
		}
	}
}
