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
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/performance/figures"
)

const (
	// A process is at rest when its memory has not changed by more than restPart for restWindow.
	restWindow   = 5 * time.Second
	restInterval = time.Second
	restPart     = 0.01

	// collectionTimeout is longer than the two minutes after which Go collects in a process that rests.
	collectionTimeout  = 3 * time.Minute
	collectionInterval = 5 * time.Second
)

// meter measures the processor time that a storm takes.
type meter struct {
	// helpers are processes that stand for other parts of a cluster.
	measured, servers, helpers []*controlplane.Process
	before, used               usage
}

// usage is processor time: of the contender's process, of the API server and etcd, of this process and its helpers, and of the whole machine.
type usage struct{ process, controlPlane, bench, machine time.Duration }

func (u usage) minus(v usage) usage {
	return usage{u.process - v.process, u.controlPlane - v.controlPlane, u.bench - v.bench, u.machine - v.machine}
}

// others is what nothing here has used: for as long as a storm lasts, what it took from the storm.
func (u usage) others() time.Duration { return max(0, u.machine-u.process-u.controlPlane-u.bench) }

func (b *bench) newMeter(process *controlplane.Process) (*meter, error) {
	m := &meter{
		measured: []*controlplane.Process{process},
		servers:  []*controlplane.Process{b.cp.Part(controlplane.APIServer), b.cp.Part(controlplane.Etcd)},
	}
	if b.disruption != nil {
		m.helpers = append(m.helpers, b.disruption)
	}
	var err error
	m.before, err = m.now()
	return m, err
}

// read measures up to now.
func (m *meter) read() error {
	now, err := m.now()
	m.used = now.minus(m.before)
	return err
}

func (m *meter) now() (u usage, err error) {
	if u.process, err = processorTime(m.measured); err != nil {
		return u, err
	}
	if u.controlPlane, err = processorTime(m.servers); err != nil {
		return u, err
	}
	if u.bench, err = processorTime(m.helpers); err != nil {
		return u, err
	}
	u.bench += figures.ProcessorTime()
	u.machine, err = machineTime()
	return u, err
}

// machineTime is the processor time that all processes and the kernel have used.
func machineTime() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("processor time of the machine: %w", err)
	}
	return parseMachineTime(string(data))
}

// parseMachineTime adds up the first line of /proc/stat, see proc_stat(5): user, nice, system, idle, iowait, irq, softirq and
// steal, in hundredths of a second.
func parseMachineTime(text string) (time.Duration, error) {
	const tick = 10 * time.Millisecond
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if _, err := fmt.Sscanf(text, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0, fmt.Errorf("processor time of the machine: cannot read %.80q: %w", text, err)
	}
	return time.Duration(user+nice+system+irq+softirq+steal) * tick, nil
}

func processorTime(processes []*controlplane.Process) (sum time.Duration, err error) {
	for _, process := range processes {
		used, err := process.CPUTime()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// atRest waits until the resident memory of a process changes no more, or for as long as that may take, and returns it.
func (b *bench) atRest(ctx context.Context, process *controlplane.Process) (rss uint64, err error) {
	var seen []uint64
	err = wait.PollUntilContextTimeout(ctx, restInterval, b.settle, true, func(context.Context) (bool, error) {
		if rss, err = process.RSS(); err != nil {
			return false, err
		}
		seen = append(seen, rss)
		const window = int(restWindow / restInterval)
		return len(seen) > window && steady(seen[len(seen)-window-1:], restPart), nil
	})
	if err != nil && (ctx.Err() != nil || !wait.Interrupted(err)) {
		return 0, fmt.Errorf("waiting for %s to come to rest: %w", process.Name(), err)
	}
	return rss, nil
}

// measureLiveHeap waits for the next garbage collection of a process and returns how much memory that found to be in use.
func (b *bench) measureLiveHeap(ctx context.Context, process *controlplane.Process) (uint64, error) {
	client, err := b.cp.HTTPClient()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	var live float64
	err = wait.PollUntilContextTimeout(ctx, collectionInterval, collectionTimeout, true, func(ctx context.Context) (bool, error) {
		found, err := figures.Gauges(ctx, client, process.URL()+"/metrics", figures.LiveHeapMetric, figures.LastCollectionMetric)
		if err != nil {
			return false, err
		}
		live = found[0]
		return found[1] > float64(began.UnixNano())/float64(time.Second), nil
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for a garbage collection of %s: %w", process.Name(), err)
	}
	return uint64(live), nil
}
