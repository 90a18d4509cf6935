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

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// leaseRounds is how often each way is measured.
	leaseRounds = 2
	// leaseIdle is for how long the calls of two replicas are counted.
	leaseIdle = 10 * time.Second

	// A stream is pods of which one falls due each streamStep: of streamNodes nodes, which are tainted one after another within a
	// second, one in each second from streamFirst on, for streamSeconds.
	streamStep                 = 50 * time.Millisecond
	streamNodes                = 20
	streamFirst, streamSeconds = 2, 8
	// leaderGoes is when the leader goes, and streamPatience how long the last pod may take.
	leaderGoes, streamPatience = 3500 * time.Millisecond, 30 * time.Second
)

// measureLease compares ways to know that the leader has gone.
func measureLease(ctx context.Context, b *bench, ways []way, m *Mechanism) error {
	for range leaseRounds {
		for i, w := range ways {
			for _, end := range []struct {
				name string
				of   func(*controlplane.Process) error
			}{{"stopped with SIGTERM", (*controlplane.Process).Stop}, {"killed", (*controlplane.Process).Kill}} {
				late, calls, err := b.handOver(ctx, w, end.of)
				if err != nil {
					return err
				}
				b.say("the Lease %s, leader %s: evictions up to %s late; %.1f calls/s before", w.title, end.name, late.Round(time.Millisecond), calls)
				m.add(i, "leader "+end.name+": evictions late by at most", howLong, late.Seconds())
				m.add(i, "calls/s of two replicas while nothing happens", howOften, calls)
			}
		}
	}
	return b.freeLease(ctx) // or the next start would wait for it
}

// handOver ends the leader of two replicas while pods fall due, and returns how late the latest was, and how many calls the two made
// each second before.
func (b *bench) handOver(ctx context.Context, w way, end func(*controlplane.Process) error) (late time.Duration, calls float64, err error) {
	if err := b.clear(ctx); err != nil {
		return 0, 0, err
	}
	pods, err := b.stream(ctx)
	if err != nil {
		return 0, 0, err
	}
	leader, standby, err := b.replicas(ctx, w)
	defer func() {
		for _, process := range []*controlplane.Process{leader, standby} {
			if process != nil {
				err = errors.Join(err, process.Crashed(), process.Stop())
			}
		}
	}()
	if err != nil {
		return 0, 0, err
	}
	if calls, err = b.idleCalls(ctx, w); err != nil {
		return 0, 0, err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, err := b.sight(watching, "pods", "metadata.namespace!="+canaryName, going)
	if err != nil {
		return 0, 0, err
	}
	began, tainted := time.Now(), make([]time.Time, streamNodes)
	for i := range tainted {
		if err := loop.Sleep(ctx, time.Until(began.Add(time.Duration(i)*streamStep))); err != nil {
			return 0, 0, err
		}
		if err := builders.SetTaints(ctx, b.client, nodeName(i%b.nodes), builders.NoExecute(stormTaint)); err != nil {
			return 0, 0, err
		}
		tainted[i] = time.Now()
	}
	if err := loop.Sleep(ctx, time.Until(began.Add(leaderGoes))); err != nil {
		return 0, 0, err
	}
	if err := end(leader); err != nil {
		return 0, 0, err
	}
	err = wait.PollUntilContextTimeout(ctx, stormPoll, streamSeconds*time.Second+streamPatience, true, func(context.Context) (bool, error) {
		n, err := seen.count()
		return n >= len(pods), err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("waiting for the pods of a stream: %w", err)
	}
	for i, pod := range pods {
		at, _ := seen.when(pod)
		due := tainted[i%streamNodes].Add(time.Duration(streamFirst+i/streamNodes) * time.Second)
		late = max(late, at.Sub(due))
	}
	return late, calls, nil
}

// stream makes the pods of a stream, in the order in which they fall due.
func (b *bench) stream(ctx context.Context) ([]podRef, error) {
	pods := make([]podRef, streamNodes*streamSeconds)
	err := loop.Each(ctx, fillWorkers, len(pods), func(ctx context.Context, i int) (err error) {
		ref := podRef{Namespace: namespaceName(0), Name: fmt.Sprintf("stream-%d", i), Node: nodeName(i % streamNodes % b.nodes)}
		pods[i], err = b.createPod(ctx, ref, i, builders.Tolerates(stormTaint, int64(streamFirst+i/streamNodes)))
		return err
	})
	return pods, err
}

// replicas starts two replicas. The first leads, by a Lease that nobody had before.
func (b *bench) replicas(ctx context.Context, w way) (leader, standby *controlplane.Process, err error) {
	if err := b.freeLease(ctx); err != nil {
		return nil, nil, err
	}
	leases := b.client.CoordinationV1().Leases(launcher.Namespace)
	if leader, err = w.replica(ctx, b, "leader"); err != nil {
		return nil, nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, workingTimeout, true, func(ctx context.Context) (bool, error) {
		lease, err := leases.Get(ctx, launcher.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && ptr.Deref(lease.Spec.HolderIdentity, "") != "", err
	})
	if err != nil {
		return leader, nil, fmt.Errorf("waiting for a leader: %w", err)
	}
	standby, err = w.replica(ctx, b, "standby")
	return leader, standby, err
}

// freeLease removes the Lease, which a process that was killed still holds.
func (b *bench) freeLease(ctx context.Context) error {
	err := b.client.CoordinationV1().Leases(launcher.Namespace).Delete(ctx, launcher.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the Lease of before: %w", err)
	}
	return nil
}

func (w way) replica(ctx context.Context, b *bench, name string) (*controlplane.Process, error) {
	return launcher.Start(ctx, b.cp, launcher.Options{Name: name, Binary: w.binary, Kubeconfig: b.kubeconfig, Args: slices.Concat(b.args, w.args)})
}

// idleCalls counts the calls per second of all replicas of a way.
func (b *bench) idleCalls(ctx context.Context, w way) (float64, error) {
	logged, err := b.audit.end()
	if err != nil {
		return 0, err
	}
	during := period{from: time.Now().Add(time.Second)} // what comes of the start is over
	during.to = during.from.Add(leaseIdle)
	if err := loop.Sleep(ctx, time.Until(during.to)+time.Second); err != nil { // what has been answered is logged a moment later
		return 0, err
	}
	counted, err := b.audit.count(logged, w.contender(b.kubeconfig).user(), during)
	if err != nil {
		return 0, err
	}
	n := counted.nodeReads
	for _, kind := range []map[string]int{counted.eviction, counted.other} {
		for _, calls := range kind {
			n += calls
		}
	}
	return float64(n) / leaseIdle.Seconds(), nil
}
