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
	"path/filepath"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	"github.com/taint-manager/taint-manager/e2e/performance/figures"
	"github.com/taint-manager/taint-manager/e2e/performance/variants"
)

const (
	oursName, wholeName = "taint-manager", "taint-manager, decoding whole objects"
	// readPatience is how long a controller may take to read everything.
	readPatience = time.Minute
	// settling is how long it is left alone after that, and aftermath what it has for the last updates.
	settling, aftermath = 10 * time.Second, 2 * time.Second
)

// contender is a controller. Those of one name are measured several times, in turn, because machines change with time.
type contender struct {
	name  string
	start func(context.Context) (*controlplane.Process, error)
}

// contenders builds taint-manager as it is released, and one that decodes whole objects: what partial decoding buys.
func contenders(ctx context.Context, cp *controlplane.ControlPlane, p *proxy) ([]contender, error) {
	flags := []string{"-trimpath", "-tags=grpcnotrace"}
	binary, err := launcher.Binary(ctx, cp.Dir(), flags...)
	if err != nil {
		return nil, err
	}
	whole, err := variants.WholeObjects().Build(ctx, cp.Dir(), flags...)
	if err != nil {
		return nil, err
	}
	builtin := contender{"kube-controller-manager", func(ctx context.Context) (*controlplane.Process, error) {
		return cp.StartBuiltin(ctx, controlplane.BuiltinOptions{ExtraArgs: []string{"--master=" + p.server.URL}})
	}}
	ours := contender{oursName, func(ctx context.Context) (*controlplane.Process, error) { return startOurs(ctx, cp, p, binary) }}
	plain := contender{wholeName, func(ctx context.Context) (*controlplane.Process, error) { return startOurs(ctx, cp, p, whole) }}
	return []contender{builtin, ours, plain, ours, plain}, nil
}

// startOurs starts taint-manager without leader election, as the other one.
func startOurs(ctx context.Context, cp *controlplane.ControlPlane, p *proxy, binary string) (*controlplane.Process, error) {
	direct, err := launcher.Account(ctx, cp, launcher.Name, launcher.Rules())
	if err != nil {
		return nil, err
	}
	kubeconfig, err := controlplane.RedirectKubeconfig(direct, p.server.URL, filepath.Join(cp.Dir(), "kubeconfig-churn"))
	if err != nil {
		return nil, err
	}
	return launcher.Start(ctx, cp, launcher.Options{Binary: binary, Kubeconfig: kubeconfig, Args: []string{"--leader-elect=false"}})
}

// measure runs a contender, first without updates and then with them.
func measure(ctx context.Context, cp *controlplane.ControlPlane, c contender, u *updates, o options) (r result, err error) {
	process, err := c.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, process.Crashed(), process.Stop()) }()
	if err := awaitWatches(ctx, u.proxy); err != nil {
		return r, err
	}
	if err := loop.Sleep(ctx, settling); err != nil {
		return r, err
	}
	r.Name, r.Rounds = c.name, 1
	if r.Peak, err = process.PeakRSS(); err != nil {
		return r, err
	}
	if r.ResidentBefore, err = process.RSS(); err != nil {
		return r, err
	}
	r.Idle, err = observe(process, func() error { return loop.Sleep(ctx, o.duration) })
	if err != nil {
		return r, err
	}
	var s sent
	r.Busy, err = observe(process, func() (err error) {
		if s, err = u.send(ctx); err != nil {
			return err
		}
		return loop.Sleep(ctx, aftermath)
	})
	if err != nil {
		return r, err
	}
	r.NodeUpdates, r.PodUpdates, r.Seconds = s.nodes, s.pods, s.took.Seconds()
	if r.ResidentAfter, err = process.RSS(); err != nil {
		return r, err
	}
	r.Live, err = liveHeap(ctx, cp, process)
	return r, err
}

// liveHeap is what the last garbage collection of a process found to be in use. After the updates that was a moment ago.
func liveHeap(ctx context.Context, cp *controlplane.ControlPlane, process *controlplane.Process) (uint64, error) {
	client, err := cp.HTTPClient()
	if err != nil {
		return 0, err
	}
	live, err := figures.Gauges(ctx, client, process.URL()+"/metrics", figures.LiveHeapMetric)
	if err != nil {
		return 0, err
	}
	return uint64(live[0]), nil
}

// awaitWatches waits until both watches are there, and all has been read.
func awaitWatches(ctx context.Context, p *proxy) error {
	return loop.Until(ctx, 50*time.Millisecond, readPatience, func(context.Context) error {
		_, nodesErr := p.stream(nodes)
		_, podsErr := p.stream(pods)
		return errors.Join(nodesErr, podsErr)
	})
}

// usage is the processor time that a controller used, and that we used, within a time.
type usage struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	Proxy      float64 `json:"proxyCPUSeconds"`
}

func observe(process *controlplane.Process, do func() error) (usage, error) {
	began, own := time.Now(), figures.ProcessorTime()
	before, err := process.CPUTime()
	if err != nil {
		return usage{}, err
	}
	if err := do(); err != nil {
		return usage{}, err
	}
	after, err := process.CPUTime()
	return usage{time.Since(began).Seconds(), (after - before).Seconds(), (figures.ProcessorTime() - own).Seconds()}, err
}
