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
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// cluster is a Lease that another process holds, and standbys that may act for it.
type cluster struct {
	*testing.T
	client  *fake.Clientset
	overdue atomic.Bool
	// away makes reads of the Lease fail. unseen makes them return renewals that no watch shows.
	away, unseen atomic.Bool
	stale        atomic.Bool

	mu      sync.Mutex
	acting  []string // identities that act now
	acted   int      // how often one began to
	since   time.Time
	leading []string
	running sync.WaitGroup
}

// withStandbys runs a test with standbys for a leader with the default durations. Its last renewal is at the beginning.
func withStandbys(t *testing.T, n int, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{T: t, client: versioned()}
		if _, err := c.client.CoordinationV1().Leases(leaseName.Namespace).Create(t.Context(), c.lease(), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		c.renew() // which gives it a version
		c.client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			if c.away.Load() {
				return true, nil, errors.New("connection refused")
			}
			return c.unseen.Load(), c.renewed(), nil
		})
		ctx, stop := context.WithCancel(t.Context())
		for i := range n {
			c.standby(ctx, fmt.Sprint("standby-", i))
		}
		synctest.Wait()
		test(c)
		stop()
		c.running.Wait()
	})
}

func (c *cluster) standby(ctx context.Context, identity string) {
	e, err := New(Config{
		Client: c.client, Watch: c.client, Lease: leaseName, Identity: identity,
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Lead: func(ctx context.Context) { c.noting(ctx, identity, &c.leading) },
		Stale: func() error {
			if c.stale.Load() {
				return errors.New("the list of nodes makes no progress")
			}
			return nil
		},
		Overdue: c.overdue.Load,
		Assist:  func(ctx context.Context) { c.noting(ctx, identity, &c.acting) },
	})
	if err != nil {
		c.Fatal(err)
	}
	c.running.Go(func() { run(c.T, e, ctx) })
}

// noting records who does something, until ctx is done.
func (c *cluster) noting(ctx context.Context, identity string, where *[]string) {
	c.mu.Lock()
	*where = append(*where, identity)
	if where == &c.acting {
		c.acted++
		c.since = time.Now()
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	*where = slices.DeleteFunc(*where, func(other string) bool { return other == identity })
}

// lease returns the Lease of the leader, renewed once more. Its clock is an hour behind.
func (c *cluster) lease() *coordinationv1.Lease {
	now := metav1.NewMicroTime(time.Now().Add(-time.Hour))
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: leaseName.Namespace, Name: leaseName.Name},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("leader"), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &now, AcquireTime: &now,
		},
	}
}

func (c *cluster) renew() {
	c.Helper()
	if _, err := c.client.CoordinationV1().Leases(leaseName.Namespace).Update(c.Context(), c.lease(), metav1.UpdateOptions{}); err != nil {
		c.Fatal(err)
	}
	synctest.Wait()
}

// state returns how many act, how often one began to, and how many lead.
func (c *cluster) state() (acting, acted, leading int) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acting), c.acted, len(c.leading)
}

func (c *cluster) want(acting, acted, leading int) {
	c.Helper()
	if a, b, l := c.state(); a != acting || b != acted || l != leading {
		c.Errorf("%d act, somebody began to %d times, %d lead; expected %d, %d and %d", a, b, l, acting, acted, leading)
	}
}

func TestOneStandbyActsForALeaderThatIsSilent(t *testing.T) {
	withStandbys(t, 3, func(c *cluster) {
		c.overdue.Store(true)
		died := time.Now()
		time.Sleep(4 * time.Second)
		c.want(0, 0, 0)
		time.Sleep(time.Second)
		c.want(1, 1, 0)
		if after := c.since.Sub(died); after > 4300*time.Millisecond {
			t.Errorf("it acts %s after the last renewal", after)
		}
		time.Sleep(9900 * time.Millisecond)
		c.want(1, 1, 0)
		time.Sleep(200 * time.Millisecond)
		c.want(0, 1, 1) // the Lease has ended
	})
}

func TestAStandbyThatActsStopsWhenTheLeaseIsRenewed(t *testing.T) {
	withStandbys(t, 2, func(c *cluster) {
		c.overdue.Store(true)
		time.Sleep(6 * time.Second)
		c.want(1, 1, 0)
		c.renew()
		c.want(0, 1, 0)
		for range 5 {
			time.Sleep(3900 * time.Millisecond) // each second renewal fails
			c.renew()
		}
		c.want(0, 1, 0)
		time.Sleep(5 * time.Second)
		c.want(1, 2, 0)
	})
}

func TestAStandbyActsOnlyWhenPodsAreOverdue(t *testing.T) {
	withStandbys(t, 2, func(c *cluster) {
		time.Sleep(8 * time.Second)
		c.want(0, 0, 0)
		c.overdue.Store(true)
		time.Sleep(200 * time.Millisecond)
		c.want(1, 1, 0)
	})
}

func TestAStandbyDoesNotActOnALeaseThatItCannotRead(t *testing.T) {
	withStandbys(t, 2, func(c *cluster) {
		c.away.Store(true)
		c.overdue.Store(true)
		time.Sleep(7 * time.Second)
		c.want(0, 0, 0)
		c.away.Store(false)
		time.Sleep(2100 * time.Millisecond)
		c.want(1, 1, 0)
		c.away.Store(true)
		time.Sleep(2100 * time.Millisecond)
		c.want(0, 1, 0)
	})
}

// TestALeaseWithoutATime has a holder of the Lease that writes no renewTime.
func TestALeaseWithoutATime(t *testing.T) {
	withStandbys(t, 2, func(c *cluster) {
		c.overdue.Store(true)
		lease := c.lease()
		lease.Spec.RenewTime = nil
		if _, err := c.client.CoordinationV1().Leases(leaseName.Namespace).Update(c.Context(), lease, metav1.UpdateOptions{}); err != nil {
			c.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		c.want(1, 1, 0)
	})
}

func TestStaleStandbyDoesNotAct(t *testing.T) {
	withStandbys(t, 1, func(c *cluster) {
		c.overdue.Store(true)
		c.stale.Store(true)
		time.Sleep(7 * time.Second)
		c.want(0, 0, 0)
		c.stale.Store(false)
		time.Sleep(2 * time.Second)
		c.want(1, 1, 0)
		c.stale.Store(true)
		time.Sleep(2 * time.Second)
		c.want(0, 1, 0)
	})
}

// TestAStandbyWhoseWatchIsSilent has a leader that keeps renewing, and standbys whose watch does not show it.
func TestAStandbyWhoseWatchIsSilent(t *testing.T) {
	withStandbys(t, 2, func(c *cluster) {
		c.overdue.Store(true)
		c.unseen.Store(true)
		time.Sleep(time.Minute)
		c.want(0, 0, 0)
		c.unseen.Store(false) // the last one was a minute ago
		time.Sleep(20 * time.Second)
		c.want(0, 1, 1)
	})
}

// renewed is the Lease as it was renewed less than two seconds ago.
func (c *cluster) renewed() *coordinationv1.Lease {
	lease := c.lease()
	at := metav1.NewMicroTime(lease.Spec.RenewTime.Truncate(2 * time.Second))
	lease.Spec.RenewTime = &at
	return lease
}

func TestStaleReplicaNeitherLeadsNorStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := versioned()
		var stale atomic.Bool
		var leading atomic.Int32
		e, err := New(Config{
			Client: client, Watch: client, Lease: leaseName, Identity: "self",
			LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
			Lead: func(ctx context.Context) {
				leading.Add(1)
				<-ctx.Done()
				leading.Add(-1)
			},
			Stale: func() error {
				if stale.Load() {
					return errors.New("the list of nodes makes no progress")
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		stale.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); run(t, e, ctx) }()
		time.Sleep(time.Minute)
		if leading.Load() != 0 {
			t.Error("leads though it never saw anything")
		}
		for range 3 {
			stale.Store(false)
			time.Sleep(5 * time.Second)
			if leading.Load() != 1 || holder(t, client) != "self" {
				t.Error("does not lead")
			}
			stale.Store(true)
			time.Sleep(2 * time.Second)
			if leading.Load() != 0 || holder(t, client) != "" {
				t.Error("leads, or holds the Lease, while it is stale")
			}
			time.Sleep(time.Minute)
			if leading.Load() != 0 || holder(t, client) != "" {
				t.Error("leads, or took the Lease, while it is stale")
			}
		}
		stop()
		<-ended
	})
}
