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

package simulation

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/leader"
)

// The leader election of production, with its default times.
const leaseDuration, renewDeadline, retryPeriod = 15 * time.Second, 10 * time.Second, 2 * time.Second

// newElector is the leader election of a replica.
func (r *replica) newElector(config *rest.Config) *leader.Elector {
	s := r.sim
	leaseConfig := rest.CopyConfig(config)
	leaseConfig.Timeout = renewDeadline / 2
	leases, err := kubernetes.NewForConfig(leaseConfig)
	s.must(err)
	watch, err := kubernetes.NewForConfig(config)
	s.must(err)
	elector, err := leader.New(leader.Config{
		Client: leases, Watch: watch, Identity: r.name,
		Lease:         types.NamespacedName{Namespace: metav1.NamespaceSystem, Name: "taint-manager"},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Lead: r.leading, Stale: r.controller.Stale, Overdue: r.controller.Overdue, Assist: r.controller.Assist,
	})
	s.must(err)
	return elector
}

// leading has the controller lead, and notes since when.
func (r *replica) leading(ctx context.Context) {
	r.setLeading(time.Now())
	defer r.setLeading(time.Time{})
	r.sim.note(r.name, "has begun to lead")
	r.controller.Lead(ctx)
}

func (r *replica) setLeading(since time.Time) {
	r.sim.lock.Lock()
	defer r.sim.lock.Unlock()
	if r.leadsSince = since; since.IsZero() {
		r.ledUntil = time.Now()
	}
}

// lead has the replica lead, or stand for election, until stopLeading, once it has ended what it led before.
func (r *replica) lead() {
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), r.sim.logger(r.name)))
	before, led := r.led, make(chan struct{})
	r.led, r.stopLeading = led, stop
	r.running.Go(func() {
		defer close(led)
		if before != nil {
			<-before
		}
		if !r.sim.plan.elects {
			r.leading(ctx)
			return
		}
		if r.controller.WaitForSync(ctx) {
			r.sim.must(r.newElector(r.config).Run(ctx))
		}
	})
	r.sim.note(r.name, "leads, or stands for election")
}

// checkLed says whether nobody leads, though somebody stands for election.
func (s *sim) checkLed() {
	s.lock.Lock()
	defer s.lock.Unlock()
	stands := false
	for _, r := range s.alive() {
		if !r.leadsSince.IsZero() {
			return
		}
		stands = stands || r.stopLeading != nil
	}
	if stands {
		s.fail("replica-all", "somebody leads: nobody does")
	}
}
