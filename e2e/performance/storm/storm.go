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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

const (
	// evictionReason is the reason of the Events of all contenders.
	evictionReason = "TaintManagerEviction"

	// stormPoll is how often one looks how far a storm is. What is measured by looking is that exact.
	stormPoll = 100 * time.Millisecond
	// eventPatience is how long the next Event may take when all pods are evicted. The next pod may take stormPatience, and
	// podPatience more for each pod: with its default limits the built-in controller reads all pods before it evicts one.
	eventPatience = 15 * time.Second
	stormPatience = time.Minute
	podPatience   = 100 * time.Millisecond
)

// storm measures one contender on pods of its own.
func (b *bench) storm(ctx context.Context, c contender) (*Storm, error) {
	pods, err := b.fill(ctx, 0, b.nodes*max(1, b.podsPerNode/c.share))
	if err != nil {
		return nil, err
	}
	alone, err := b.fillLone(ctx)
	if err != nil {
		return nil, err
	}
	return b.stormOver(ctx, c, pods, alone)
}

// stormOver measures one contender on these pods. Others may be alone on their nodes.
func (b *bench) stormOver(ctx context.Context, c contender, pods []podRef, alone *lone) (_ *Storm, err error) {
	b.say("%s: starting", c.title)
	all := pods
	if alone != nil {
		all = slices.Concat(pods, alone.pods)
	}
	runner, working, err := b.enter(ctx, c, all)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runner.stop()) }()
	s := &Storm{Contender: c.name, Title: c.title, Pods: len(pods), Nodes: b.nodes, alone: alone}
	memory, err := b.beforeStorm(ctx, runner.process())
	if err != nil {
		return nil, err
	}
	logged, err := b.audit.end()
	if err != nil {
		return nil, err
	}
	during, err := b.rage(ctx, runner, s)
	if err != nil {
		return nil, err
	}
	memory.StartToWorkingSeconds = working.Seconds()
	memory.CPUMillisPerEviction = s.perEviction(during.cpu)
	if err := b.afterStorm(ctx, runner.process(), memory); err != nil {
		return nil, err
	}
	s.Process = *memory
	if err := loop.Sleep(ctx, time.Second); err != nil { // what has been answered is logged a moment later
		return nil, err
	}
	counted, err := b.audit.count(logged, c.user(), during.period)
	if err != nil {
		return nil, err
	}
	s.countCalls(counted)
	b.say("%s: %d of %d pods evicted, the last after %.1f s; %d Events", c.title, s.Evicted, s.Pods, s.LastSeconds, s.Events)
	return s, nil
}

// beforeStorm waits until a process rests, which leaves the API server alone too, and returns the memory that it has then.
func (b *bench) beforeStorm(ctx context.Context, process *controlplane.Process) (*Process, error) {
	idle, err := b.atRest(ctx, process)
	if err != nil {
		return nil, err
	}
	return &Process{IdleBytes: idle}, process.ResetPeakRSS()
}

func (b *bench) afterStorm(ctx context.Context, process *controlplane.Process, p *Process) (err error) {
	if p.PeakBytes, err = process.PeakRSS(); err != nil {
		return err
	}
	p.AfterBytes, err = b.atRest(ctx, process)
	return err
}

// course is how a storm went.
type course struct {
	period
	cpu time.Duration // of the contender's process
}

// rage taints the nodes and follows the storm to its end: the last Event, if all arrive.
func (b *bench) rage(ctx context.Context, runner contestant, s *Storm) (*course, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	const elsewhere = "metadata.namespace!=" + canaryName + ",metadata.namespace!=" + loneName
	gone, err := b.sight(watching, "pods", elsewhere, going)
	if err != nil {
		return nil, err
	}
	events, err := b.sight(watching, "events", elsewhere+",reason="+evictionReason, written)
	if err != nil {
		return nil, err
	}
	if err := b.sightLone(watching, s.alone); err != nil {
		return nil, err
	}
	used, err := b.newMeter(runner.process())
	if err != nil {
		return nil, err
	}
	c := &course{period: period{from: time.Now()}}
	began, err := b.taintAll(ctx, runner)
	if err != nil {
		return nil, err
	}
	if err := b.follow(ctx, s, runner, gone, events, used); err != nil {
		return nil, err
	}
	evicted, written := since(began, gone.moments()), since(began, events.moments())
	s.time(evicted, written)
	s.LoneSeconds = s.alone.lateness().Seconds()
	c.to, c.cpu = began.Add(max(percentile(evicted, 100), percentile(written, 100))), used.used.process
	s.ControlPlaneCPUMillisPerEviction = s.perEviction(used.used.controlPlane)
	s.BenchCPUMillisPerEviction = s.perEviction(used.used.bench)
	s.OthersCPU = ratio(used.used.others().Seconds(), s.LastEventSeconds)
	return c, nil
}

// taintAll taints all nodes and returns when the first of them was.
func (b *bench) taintAll(ctx context.Context, runner contestant) (first time.Time, err error) {
	var mu sync.Mutex
	err = b.setTaints(ctx, []corev1.Taint{builders.NoExecute(stormTaint)}, func(node string) {
		now := time.Now()
		runner.tainted(node)
		mu.Lock()
		defer mu.Unlock()
		if first.IsZero() || now.Before(first) {
			first = now
		}
	})
	return first, err
}

// follow waits until all pods are evicted and all Events are there, or nothing has come for too long. Meanwhile it taints the nodes of
// the pods that are alone.
func (b *bench) follow(ctx context.Context, s *Storm, runner contestant, gone, events *sightings, used *meter) error {
	progress, said := time.Now(), time.Now()
	evicted, written := 0, 0
	for {
		pods, errPods := gone.count()
		arrived, errEvents := events.count()
		left, errLone := s.alone.left()
		if err := errors.Join(errPods, errEvents, errLone, runner.failed(), b.taintLone(ctx, runner, s, pods)); err != nil {
			return err
		}
		if pods != evicted || arrived != written {
			evicted, written, progress = pods, arrived, time.Now()
			if err := used.read(); err != nil {
				return err
			}
		}
		patience := stormPatience + time.Duration(s.Pods)*podPatience
		if evicted >= s.Pods {
			patience = eventPatience
		}
		if evicted >= s.Pods && (written >= s.Pods || s.podsOnly) && left == 0 || time.Since(progress) > patience {
			return nil
		}
		if time.Since(said) > progressInterval {
			said = time.Now()
			b.say("%s: %d of %d pods evicted, %d Events", s.Title, evicted, s.Pods, written)
		}
		if err := loop.Sleep(ctx, stormPoll); err != nil {
			return fmt.Errorf("in the storm: %w", err)
		}
	}
}
