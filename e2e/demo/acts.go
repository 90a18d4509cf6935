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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const (
	redraw = 100 * time.Millisecond
	// startTimeout is how long the pods may take until they run.
	startTimeout = 60 * time.Second
	// successorTimeout is how long the last pods that replace others may take.
	successorTimeout = 5 * time.Second
	// waiting is room for what waits while a request of ours is under way.
	waiting = 10_000
)

// demo is a play in progress.
type demo struct {
	screen     *screen
	client     kubernetes.Interface
	controller *controlplane.Process
	plugin     *plugin
	wrong      []string // of what the plugin said
	nodes      []string
	want       int // pods
	ledger     *ledger
	began      time.Time // the first taint
	seen       chan observation
	crashed    bool
}

func newDemo(
	ctx context.Context, s *screen, cp *controlplane.ControlPlane, controller *controlplane.Process, plugin *plugin,
) (*demo, error) {
	client, err := cp.Client()
	if err != nil {
		return nil, err
	}
	if err := cp.Namespace(ctx, namespace); err != nil {
		return nil, err
	}
	d := &demo{
		screen: s, client: client, controller: controller, plugin: plugin,
		nodes:  []string{"node-1", "node-2", "node-3", "node-4"},
		ledger: newLedger(workloads()),
		seen:   make(chan observation, waiting),
	}
	return d, d.watch(ctx)
}

// watch begins to observe pods. The time of an observation is taken on arrival, whatever the play is busy with then.
func (d *demo) watch(ctx context.Context) error {
	return podwatch.Follow(ctx, d.client, namespace, func(pod *corev1.Pod, gone bool, at time.Time) {
		select {
		case d.seen <- observation{at: at, gone: gone, pod: pod}:
		case <-ctx.Done():
		}
	})
}

// play goes through the acts.
func (d *demo) play(ctx context.Context) (*verdict, error) {
	for _, act := range []func(context.Context) error{d.populate, d.ahead, d.taint, d.changeMinds} {
		if err := act(ctx); err != nil {
			return nil, err
		}
	}
	return d.conclude(ctx)
}

// populate makes nodes and pods, and waits until all run.
func (d *demo) populate(ctx context.Context) error {
	for _, name := range d.nodes {
		if _, err := controlplane.CreateNode(ctx, d.client, name); err != nil {
			return err
		}
	}
	if err := controlplane.WaitForNodes(ctx, d.client, d.nodes...); err != nil {
		return err
	}
	d.screen.say(line{{fmt.Sprintf("  %d nodes are ready", len(d.nodes)), dim}})
	for _, w := range workloads() {
		deployment := w.deployment(len(d.nodes))
		_, err := d.client.AppsV1().Deployments(namespace).Create(ctx, deployment, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("deployment %s: %w", w.name, err)
		}
		d.want += w.perNode * len(d.nodes)
		d.screen.say(line{{fmt.Sprintf("  Deployment %-5s tolerates %-10s  %d on each node", w.name, w.tolerates, w.perNode), dim}})
	}
	limit := time.Now().Add(startTimeout)
	err := d.follow(ctx, func(now time.Time) bool { return d.ledger.running() == d.want || now.After(limit) })
	if err == nil && d.ledger.running() != d.want {
		err = fmt.Errorf("only %d of %d pods run after %s", d.ledger.running(), d.want, startTimeout)
	}
	if err != nil {
		return err
	}
	d.screen.draw(nil, 0, 0)
	d.screen.say(line{{fmt.Sprintf("  %d pods run", d.want), dim}})
	return nil
}

// ahead asks what will become of the pods of two nodes.
func (d *demo) ahead(ctx context.Context) (err error) {
	title(d.screen, "Act 2: What if two nodes are tainted?", "Nothing is changed by this. The plugin decides by the code of the controller.")
	d.wrong, err = d.plan(ctx, d.nodes[:2]...)
	return err
}

// taint taints two nodes and waits until the pods have gone that tolerate it least.
func (d *demo) taint(ctx context.Context) error {
	title(d.screen, "Act 3: Two nodes have to be emptied",
		fmt.Sprintf("kubectl taint nodes node-1 node-2 %[1]s=%[2]s:NoSchedule %[1]s=%[2]s:NoExecute", taintKey, taintValue),
		"web tolerates nothing and goes at once, cache after 5 s, batch would after 12 s, agent never.")
	d.began = time.Now()
	for _, name := range d.nodes[:2] {
		set, err := timing.Of(func() error { return builders.SetTaints(ctx, d.client, name, taints()...) })
		if err != nil {
			return err
		}
		d.ledger.nodes[name] = &tainted{set: set}
	}
	return d.follow(ctx, func(now time.Time) bool {
		for _, p := range d.ledger.affected() {
			e := d.ledger.expectation(p)
			if e.outcome.goes() && p.tolerates.seconds <= 5 && !e.settled(p, now) {
				return false
			}
		}
		return true
	})
}

// changeMinds removes one taint and changes two tolerations while pods count down, and waits for the rest.
func (d *demo) changeMinds(ctx context.Context) error {
	title(d.screen, "Act 4: Minds are changed in the middle of the countdown",
		fmt.Sprintf("kubectl taint nodes node-2 %s-", taintKey),
		"What is pending there is cancelled. On node-1 two batch pods get new tolerationSeconds, 9 and 15: the built-in"+
			" controller would ignore that.")
	removed, err := timing.Of(func() error { return builders.SetTaints(ctx, d.client, "node-2") })
	if err != nil {
		return err
	}
	d.ledger.nodes["node-2"].removed = &removed
	d.report("the taint of node-2 is removed; its pods %s stay", names(d.ledger.sorted(func(p *pod) bool {
		return d.ledger.expectation(p).outcome == cancelled
	})))
	batch := d.ledger.sorted(func(p *pod) bool {
		return p.node == "node-1" && p.tolerates.seconds == 12 && p.left.IsZero()
	})
	for i, to := range []tolerance{{seconds: 9}, {seconds: 15}} {
		if i >= len(batch) {
			break // they have gone too early, which the verdict says
		}
		changed, err := timing.Of(func() error { return setSeconds(ctx, d.client, batch[i].name, to.seconds) })
		if err != nil {
			return err
		}
		batch[i].changed = &change{changed, to}
		d.report("%s may stay for %s instead of %s", batch[i].name, to, batch[i].tolerates)
	}
	if err := d.follow(ctx, func(now time.Time) bool { return d.ledger.settled(now, atOnce, onTime, cancelled) }); err != nil {
		return err
	}
	// The last successors are no business of the rules, but the picture is not complete without them.
	limit := time.Now().Add(successorTimeout)
	return d.follow(ctx, func(now time.Time) bool { return d.ledger.running() >= d.want || now.After(limit) })
}

// conclude shows what taint-manager said of it, and judges.
func (d *demo) conclude(ctx context.Context) (*verdict, error) {
	if !d.screen.live {
		for _, l := range view(d.ledger, d.nodes, d.began, time.Now()) {
			d.screen.say(l)
		}
	}
	d.screen.leave()
	title(d.screen, "Act 5: What taint-manager says about it", "These are the Events that it wrote, and what the plugin makes of them.")
	events, wrong, err := readEvents(ctx, d.client, d.ledger)
	if err != nil {
		return nil, err
	}
	written := showEvents(d.screen, d.ledger, events)
	d.screen.say(nil)
	unexplained, err := d.ask(ctx)
	if err != nil {
		return nil, err
	}
	list, err := d.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	present := make(map[types.UID]bool)
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			present[list.Items[i].UID] = true
		}
	}
	v := judge(d.ledger, present, time.Now())
	v.events = written
	v.add(slices.Concat(d.wrong, wrong, unexplained)...)
	d.screen.say(nil)
	if !v.ok() {
		for _, each := range v.wrong {
			d.screen.say(line{{"  " + each, bad}})
		}
		if !d.crashed { // otherwise the error has it
			d.screen.say(plain("\nThe end of taint-manager's log:\n%s\n", d.controller.Tail(10)))
		}
	}
	return v, nil
}

// follow shows what happens until it is done.
func (d *demo) follow(ctx context.Context, done func(now time.Time) bool) error {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for !done(time.Now()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case o := <-d.seen:
			d.note(o)
		case <-tick.C:
			d.show(time.Now())
		}
	}
	d.show(time.Now())
	return nil
}

func (d *demo) note(o observation) {
	n := d.ledger.note(o)
	if d.screen.live || d.began.IsZero() {
		return
	}
	for _, l := range tell(d.ledger, n, d.began) {
		d.screen.say(l)
	}
}

// report says what the demo does, in the same form as what comes of it, where there is no table to show it.
func (d *demo) report(format string, args ...any) {
	if d.screen.live {
		return
	}
	d.screen.say(plain("  %6.2f s  %s", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...)))
}

func (d *demo) show(now time.Time) {
	if !d.crashed && !d.controller.Running() {
		d.crashed = true
		d.screen.say(line{{"taint-manager has ended by itself. What comes now, comes without it.", bad}})
	}
	if d.began.IsZero() {
		d.screen.draw(starting(d.ledger, d.want), 0, 0)
		return
	}
	d.screen.draw(view(d.ledger, d.nodes, d.began, now), viewHead, viewFoot)
}
