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

package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/component-base/metrics/legacyregistry"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client and leader election metrics
	_ "k8s.io/component-base/metrics/prometheus/version"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/audit"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/leader"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/policy"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// signalContext returns a context that is done at the first SIGINT or SIGTERM. A second signal kills the process.
func signalContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run evicts pods until ctx is done. Then it stops in order: no eviction begins, those in flight end, the Lease is
// released, and Events are written.
func Run(ctx context.Context, o *Options) error {
	logger := klog.FromContext(ctx)
	local := serverclock.NewSteady()
	server := serverclock.New(local)
	clients, err := newClients(o, server)
	if err != nil {
		return err
	}
	limitMemory(ctx, memlimit.FromCgroup)
	m, err := metrics.New(legacyregistry.Register)
	if err != nil {
		return err
	}
	identity, err := newIdentity()
	if err != nil {
		return err
	}
	controller, err := newController(o, clients, local, server, m, identity)
	if err != nil {
		return err
	}
	elector, err := newElector(o, clients, controller, identity)
	if err != nil {
		return err
	}
	// background ends after the evictions in flight.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	permissions := newPermissions(o, clients.others, clock.RealClock{})
	running.Go(func() { permissions.run(background) })
	clocks := &clockWatch{server: server, offset: m.ClockOffset, probe: clients.others.Discovery().RESTClient()}
	if o.Serving.SecurePort != 0 {
		served := newHandler(o, checks{
			alive: []healthz.HealthChecker{healthz.PingHealthz, elector},
			ready: []healthz.HealthChecker{
				healthz.NamedCheck("caches", func(*http.Request) error { return controller.Ready() }),
				healthz.NamedCheck("permissions", func(*http.Request) error { return permissions.err() }),
				clocks, brakeCheck{controller.BrakeText},
			},
		})
		serving, err := newServer(background, &o.Serving, clients.others, clients.reviews, served)
		if err != nil {
			return err
		}
		running.Go(func() { serving.run(background) })
	}
	running.Go(func() { clocks.run(background) }) // after its check is served
	logger.Info("Starting taint-manager", "version", version.Get().GitVersion, "revision", version.Get().GitCommit)
	running.Go(func() { controller.Run(background) })
	// Only a replica with full caches stands for election.
	if controller.WaitForSync(ctx) {
		err = elector.Run(ctx)
	}
	logger.Info("Stopping")
	return err
}

// newController returns a controller that has not been started.
func newController(
	o *Options, clients *clients, local clock.WithTicker, server *serverclock.Clock, m *metrics.Metrics, identity string,
) (*tainteviction.Controller, error) {
	policies, err := policy.NewSource(policy.Config{
		Discovery: clients.others.Discovery(), Policies: clients.dynamic, Namespaces: clients.metadata, Clock: server, Local: local,
	})
	if err != nil {
		return nil, err
	}
	evictionBrake, err := newBrake(o, local)
	if err != nil {
		return nil, err
	}
	auditLog, err := newAuditLog(o, m)
	if err != nil {
		return nil, err
	}
	return tainteviction.New(tainteviction.Config{
		Informers:           clients.pods,
		Evictions:           clients.evictions,
		EvictionLimiter:     clients.evictionLimiter,
		Events:              clients.events,
		Budgets:             clients.others,
		Policies:            policies,
		PolicyStatus:        clients.dynamic,
		Starts:              types.NamespacedName{Namespace: o.LeaderElection.ResourceNamespace, Name: o.TaintStartConfigMap},
		Brake:               evictionBrake,
		Deployment:          types.NamespacedName{Namespace: o.LeaderElection.ResourceNamespace, Name: o.LeaderElection.ResourceName},
		Clock:               local,
		ServerClock:         server,
		ConcurrentEvictions: o.MaxConcurrentEvictions,
		Metrics:             m,
		Audit:               auditLog,
		Identity:            identity,
		Rules: deadline.Rules{
			ComparisonOperators: o.FeatureGate.Enabled(TaintTolerationComparisonOperators),
			EvictFinished:       o.EvictFinishedPods,
			DryRun:              o.DryRun,
		},
	})
}

// newIdentity returns a name of this process that no other one has: in the Lease and in the audit log.
func newIdentity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("cannot get the host name, which identifies this process: %w", err)
	}
	return host + "_" + string(uuid.NewUUID()), nil
}

// newAuditLog returns the audit log, or nil if there is to be none.
func newAuditLog(o *Options, m *metrics.Metrics) (*audit.Log, error) {
	if o.AuditLog.Path == "" {
		return nil, nil
	}
	to, err := o.AuditLog.Open()
	if err != nil {
		return nil, fmt.Errorf("--audit-log-path=%s: %w; give a file in a directory of a volume that is writable, or - for standard output",
			o.AuditLog.Path, err)
	}
	return audit.New(to, audit.Metrics{Lines: m.AuditLines, Errors: m.AuditErrors}), nil
}

// newElector returns an Elector that runs the controller while this replica holds the Lease, or all the time without leader
// election.
func newElector(o *Options, clients *clients, controller *tainteviction.Controller, identity string) (*leader.Elector, error) {
	le := &o.LeaderElection
	if !le.LeaderElect {
		return leader.Alone(controller.Lead), nil
	}
	return leader.New(leader.Config{
		Client:        clients.leases,
		Watch:         clients.others,
		Lease:         types.NamespacedName{Namespace: le.ResourceNamespace, Name: o.leaseName()},
		Identity:      identity,
		LeaseDuration: le.LeaseDuration.Duration,
		RenewDeadline: le.RenewDeadline.Duration,
		RetryPeriod:   le.RetryPeriod.Duration,
		Lead:          controller.Lead,
		Stale:         controller.Stale,
		Overdue:       controller.Overdue,
		Assist:        controller.Assist,
	})
}
