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
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

const (
	// settling is how long after a list resident memory is looked at.
	settling = 5 * time.Second
	// The rates of updates that change nothing that the rules read, for how long they come, and how often.
	nodeUpdates, podUpdates = 1000, 5000
	updating                = 3 * time.Second
	turns                   = 4
	// garbage is more than what is allocated in a turn, in bytes.
	garbage = 1 << 29
	// One node of so many is tainted, all of them within tainting.
	taintedOf = 10
	tainting  = time.Second
	// idling is how long nothing happens, after recording: the starts of the taints have been written down by then.
	recording, idling = 8 * time.Second, 10 * time.Second
)

// makePods makes the pods that will be listed and does nothing with them, to know what that alone costs.
func (p *part) makePods(ctx context.Context) (err error) {
	to := discard()
	defer close(to)
	p.result.Making, err = spent(ctx, func() error { return p.api.pods.stream(ctx, to) })
	return err
}

func (p *part) syncNodes(ctx context.Context) error {
	close(p.api.nodes.released)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.api.nodes.listed:
	}
	if err := rest(ctx); err != nil {
		return err
	}
	heap := liveHeap()
	p.result.HeapPerNode, p.heap = float64(heap-p.heap)/float64(p.cluster.Nodes), heap
	return nil
}

func (p *part) syncPods(ctx context.Context) (err error) {
	stop, err := p.profiles.cpu("sync")
	if err != nil {
		return err
	}
	close(p.api.pods.released)
	p.result.Sync, err = spent(ctx, func() error {
		if !p.controller.WaitForSync(ctx) {
			return ctx.Err()
		}
		return nil
	})
	if err := errors.Join(err, stop(), loop.Sleep(ctx, settling)); err != nil {
		return err
	}
	p.result.Resident, p.result.ResidentPeak, err = resident()
	heap := liveHeap()
	p.result.Heap, p.result.HeapPerPod = heap, float64(heap-p.heap)/float64(p.cluster.Pods)
	return errors.Join(err, p.profiles.heap("synced"))
}

// collect measures one garbage collection, and has none happen by itself any more. In a large heap one costs more than
// anything that is measured next, and whether it falls into a measure would be chance: see result.own.
func (p *part) collect(ctx context.Context) (err error) {
	p.result.Collection, err = spent(ctx, func() error { runtime.GC(); return nil })
	debug.SetGCPercent(-1)
	// What the measures allocate has to come from the kernel beforehand, or the first of two that are compared pays for that.
	room := make([]byte, garbage)
	for i := 0; i < len(room); i += os.Getpagesize() {
		room[i] = 1
	}
	runtime.KeepAlive(room)
	return err
}

// churn sends updates that change nothing that the rules read, to nobody and to the controller in turns: what else the machine
// does at the time is then the same for both.
func (p *part) churn(ctx context.Context) error {
	nodes, pods := discard(), discard()
	defer close(nodes)
	defer close(pods)
	stop, err := p.profiles.cpu("churn")
	if err != nil {
		return err
	}
	for turn := 0; turn < turns && err == nil; turn++ {
		var alone, read churn
		alone, err = p.update(ctx, turn, nodes, pods)
		p.result.ChurnAlone.add(alone)
		if err == nil {
			read, err = p.update(ctx, turn, p.api.nodes.events, p.api.pods.events)
			p.result.Churn.add(read)
		}
	}
	return errors.Join(err, stop())
}

// update sends the updates of one turn.
func (p *part) update(ctx context.Context, turn int, nodes, pods chan<- watch.Event) (c churn, err error) {
	runtime.GC()
	firstNode, firstPod := turn*int(nodeUpdates*updating.Seconds()), turn*int(podUpdates*updating.Seconds())
	c.usage, err = spent(ctx, func() error {
		var both sync.WaitGroup
		var nodesErr, podsErr error
		both.Go(func() {
			c.Nodes, nodesErr = load.Pace(ctx, nodeUpdates, updating, func(i int) error {
				return send(ctx, nodes, watch.Modified, p.cluster.Node(healthyNode(p.cluster, firstNode+i), p.version.Add(1), time.Now()))
			})
		})
		both.Go(func() {
			c.Pods, podsErr = load.Pace(ctx, podUpdates, updating, func(i int) error {
				return send(ctx, pods, watch.Modified, p.cluster.Pod(healthyPod(p.cluster, firstPod+i), p.version.Add(1), time.Now()))
			})
		})
		both.Wait()
		return errors.Join(nodesErr, podsErr)
	})
	return c, err
}

// healthyNode goes through the nodes that are not going to be tainted.
func healthyNode(c load.Cluster, i int) int {
	i %= healthyNodes(c)
	return i/(taintedOf-1)*taintedOf + 1 + i%(taintedOf-1)
}

// healthyPod goes through the pods on these nodes.
func healthyPod(c load.Cluster, i int) int {
	perNode := c.Pods / c.Nodes
	return i/healthyNodes(c)%perNode*c.Nodes + healthyNode(c, i)
}

func healthyNodes(c load.Cluster) int { return c.Nodes / taintedOf * (taintedOf - 1) }

// taint taints nodes, and waits until each of their pods is scheduled that does not stay for ever.
func (p *part) taint(ctx context.Context) (err error) {
	n := (p.cluster.Nodes + taintedOf - 1) / taintedOf
	var due []types.UID
	for node := 0; node < p.cluster.Nodes; node += taintedOf {
		for pod := range p.cluster.On(node) {
			if !p.cluster.IsDaemon(pod) {
				due = append(due, load.PodUID(pod))
			}
		}
	}
	p.result.Tainted, p.result.Scheduled = n, len(due)
	nobody := discard()
	defer close(nobody)
	runtime.GC()
	if p.result.TaintAlone, err = spent(ctx, func() error { return p.unreachable(ctx, nobody, n) }); err != nil {
		return err
	}
	runtime.GC()
	stop, err := p.profiles.cpu("taint")
	if err != nil {
		return err
	}
	p.result.Taint, err = spent(ctx, func() error {
		if err := p.unreachable(ctx, p.api.nodes.events, n); err != nil {
			return err
		}
		last := time.Now()
		err := p.scheduled(ctx, due)
		p.result.TaintLag = time.Since(last).Seconds()
		return err
	})
	return errors.Join(err, stop(), p.check(len(due)), p.profiles.heap("tainted"))
}

// unreachable taints the first of every so many nodes, n in all, evenly within the time for that if they are taken as fast.
func (p *part) unreachable(ctx context.Context, to chan<- watch.Event, n int) error {
	taint := func(i int) error {
		return send(ctx, to, watch.Modified, p.cluster.Unreachable(i*taintedOf, p.version.Add(1), time.Now()))
	}
	sent, err := load.Pace(ctx, int(float64(n)/tainting.Seconds()), tainting, taint)
	for ; err == nil && sent < n; sent++ {
		err = taint(sent)
	}
	return err
}

// scheduled waits until all pods are.
func (p *part) scheduled(ctx context.Context, pods []types.UID) error {
	const look = 2 * time.Millisecond
	for _, uid := range pods {
		for {
			if _, ok := p.controller.Deadline(uid); ok {
				break
			}
			if err := loop.Sleep(ctx, look); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares how many pods are scheduled with how many should be.
func (p *part) check(want int) error {
	got := 0
	for pod := range p.cluster.Pods {
		if _, ok := p.controller.Deadline(load.PodUID(pod)); ok {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("%d pods are scheduled, %d should be", got, want)
	}
	return nil
}

// idle is what the controller costs while nothing happens, but for nodes that are not ready.
func (p *part) idle(ctx context.Context) (err error) {
	if err := loop.Sleep(ctx, recording); err != nil {
		return err
	}
	stop, err := p.profiles.cpu("idle")
	if err != nil {
		return err
	}
	p.result.Idle, err = spent(ctx, func() error { return loop.Sleep(ctx, idling) })
	p.result.Events = p.api.events.Load()
	return errors.Join(err, stop())
}
