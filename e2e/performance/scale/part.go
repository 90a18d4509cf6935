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
	"io"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/e2e/performance/load"
	ours "github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// age is how long ago the cluster came to be.
const age = 24 * time.Hour

// part measures a controller with one size of cluster.
type part struct {
	cluster    load.Cluster
	variant    variant
	api        *api
	controller *tainteviction.Controller
	profiles   profiles
	// version is the latest resource version.
	version atomic.Uint64
	// heap is the live heap before what is measured next came.
	heap   int64
	result result
}

// measurePart measures, in this process, which should be a new one.
func measurePart(ctx context.Context, cluster load.Cluster, what variant, profiles profiles, progress io.Writer) (result, error) {
	p, err := newPart(cluster, what, profiles)
	if err != nil {
		return result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for i, step := range p.steps(&running) {
		fmt.Fprintf(progress, "scale: %d nodes, %d pods%s: %d. %s\n", cluster.Nodes, cluster.Pods, what.title(), i+1, step.name)
		if err := step.do(ctx); err != nil {
			return result{}, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return p.result, nil
}

// step is one thing that is measured.
type step struct {
	name string
	do   func(context.Context) error
}

func (p *part) steps(running *sync.WaitGroup) []step {
	start := step{"starting the controller", func(ctx context.Context) error { return p.start(ctx, running) }}
	nodes, pods := step{"nodes", p.syncNodes}, step{"pods", p.syncPods}
	switch p.variant {
	case unlabelled:
		return []step{start, nodes, pods}
	case selecting:
		return []step{start, nodes, pods, {"what the policies select", p.look}}
	default:
		return []step{
			{"making all pods, for nobody", p.makePods},
			start, nodes, pods,
			{"a garbage collection", p.collect},
			{"updates that change nothing", p.churn},
			{"taints", p.taint},
			{"nothing", p.idle},
		}
	}
}

func newPart(cluster load.Cluster, what variant, profiles profiles) (*part, error) {
	p := &part{cluster: cluster, variant: what, profiles: profiles, result: result{Nodes: cluster.Nodes, Pods: cluster.Pods}}
	p.api = p.newAPI()
	m, err := ours.New(metrics.NewKubeRegistry().Register)
	if err != nil {
		return nil, err
	}
	client := client{api: p.api}
	config := tainteviction.Config{
		Informers: client.CoreV1(), Evictions: client.CoreV1(), Events: client,
		Starts:              types.NamespacedName{Namespace: metav1.NamespaceSystem, Name: "taint-manager-starts"},
		Clock:               clock.RealClock{},
		ConcurrentEvictions: tainteviction.DefaultConcurrentEvictions,
		Metrics:             m,
	}
	if what == selecting {
		if config.Policies, config.PolicyStatus, err = p.policySource(); err != nil {
			return nil, err
		}
	}
	p.controller, err = tainteviction.New(config)
	return p, err
}

func (p *part) newAPI() *api {
	c := p.cluster
	return &api{
		nodes: newSource("nodes", c.Nodes,
			func(i int) runtime.Object { return p.labelled(c.Node(i, p.version.Add(1), c.Began)) },
			func() runtime.Object { return &v1.Node{ObjectMeta: p.bookmark()} }),
		pods: newSource("pods", c.Pods,
			func(i int) runtime.Object { return p.labelled(c.Pod(i, p.version.Add(1), c.Began)) },
			func() runtime.Object { return &v1.Pod{ObjectMeta: p.bookmark()} }),
	}
}

// labelled returns an object as this process measures it.
func (p *part) labelled(object runtime.Object) runtime.Object {
	if p.variant == unlabelled {
		object.(metav1.Object).SetLabels(nil)
	}
	return object
}

func (p *part) bookmark() metav1.ObjectMeta {
	return metav1.ObjectMeta{ResourceVersion: load.Version(p.version.Add(1))}
}

// start runs the controller, as the leader: no pod is due for an hour, so it evicts nobody.
func (p *part) start(ctx context.Context, running *sync.WaitGroup) error {
	running.Go(func() { p.controller.Run(ctx) })
	running.Go(func() { p.controller.Lead(ctx) })
	if err := rest(ctx); err != nil {
		return err
	}
	var err error
	p.result.ResidentIdle, _, err = resident()
	p.heap = liveHeap()
	return err
}
