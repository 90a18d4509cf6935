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
	"slices"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// distance is what lies between taint-manager and the API server, and how often each limit is measured there.
type distance struct {
	name   string
	delay  time.Duration
	most   int64
	rounds int
}

func distances() []distance {
	return []distance{
		{"here", 0, 0, 2},
		{"each call 50 ms later", 50 * time.Millisecond, 0, 1},
		{"8 writes at a time, else 429", 0, 8, 1},
	}
}

// trial is a small storm of one way.
type trial struct {
	*Storm
	// others is how long others' writes took meanwhile, and refused how many calls were answered with 429.
	others  time.Duration
	refused int64
}

// start starts taint-manager as a way has it, by a kubeconfig. It leads at once, whoever led before.
func (w way) start(kubeconfig string) func(context.Context, *bench) (*controlplane.Process, error) {
	return func(ctx context.Context, b *bench) (*controlplane.Process, error) {
		args := slices.Concat(b.args, w.args, []string{"--leader-elect=false"})
		return launcher.Start(ctx, b.cp, launcher.Options{Binary: w.binary, Kubeconfig: kubeconfig, Args: args})
	}
}

// contender is the way as one of those that are measured in a storm.
func (w way) contender(kubeconfig string) contender {
	return contender{oursName, w.title, launcher.Name, 1, w.start(kubeconfig)}
}

// try measures a way in a storm that is small, over a distance.
func (b *bench) try(ctx context.Context, w way, d distance, other *bystander) (_ *trial, err error) {
	if err := b.clear(ctx); err != nil {
		return nil, err
	}
	pods, err := b.fill(ctx, 0, b.nodes*max(1, b.podsPerNode/smallShare))
	if err != nil {
		return nil, err
	}
	l, err := b.startLink(ctx, d.delay, d.most)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.server.Stop()) }()
	kubeconfig := b.kubeconfig
	if d.delay > 0 || d.most > 0 {
		kubeconfig = l.kubeconfig
	}
	runner, _, err := b.enter(ctx, w.contender(kubeconfig), pods)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runner.process().Kill()) }() // its Events are of no use
	t := &trial{Storm: &Storm{Contender: oursName, Title: w.title + ", " + d.name, Pods: len(pods), Nodes: b.nodes, podsOnly: true}}
	logged, err := b.audit.end()
	if err != nil {
		return nil, err
	}
	end := other.watch(ctx)
	during, err := b.rage(ctx, runner, t.Storm)
	others, failure := end()
	if err := errors.Join(err, failure); err != nil {
		return nil, err
	}
	t.others = others
	if err := loop.Sleep(ctx, time.Second); err != nil { // what has been answered is logged a moment later
		return nil, err
	}
	counted, err := b.audit.count(logged, w.contender(kubeconfig).user(), during.period)
	if err != nil {
		return nil, err
	}
	t.refused = l.refused.Load()
	for call, n := range counted.failed {
		if strings.HasSuffix(call, ": 429") {
			t.refused += int64(n)
		}
	}
	b.say("%s: %d of %d pods evicted, %.0f/s; others' writes took %s; %d answers 429",
		t.Title, t.Evicted, t.Pods, t.EvictionsPerSecond, others.Round(time.Millisecond), t.refused)
	return t, nil
}

// measureLimit compares limits of how many evictions go on at the same time.
func measureLimit(ctx context.Context, b *bench, ways []way, m *Mechanism) error {
	other, err := b.newBystander(ctx)
	if err != nil {
		return err
	}
	for _, d := range distances() {
		for range d.rounds {
			for i, w := range ways {
				t, err := b.try(ctx, w, d, other)
				if err != nil {
					return err
				}
				m.add(i, "evictions/s, "+d.name, perSecond, t.EvictionsPerSecond)
				if d.most > 0 {
					m.add(i, "answers 429 per eviction", howOften, ratio(float64(t.refused), float64(t.Evicted)))
				}
				if d.delay+time.Duration(d.most) == 0 {
					m.add(i, "others' writes in this storm", howLong, t.others.Seconds())
				}
			}
		}
	}
	return measureSlowWebhook(ctx, b, ways, m)
}
