package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/taint-manager/taint-manager/e2e/controlplane"
	"github.com/taint-manager/taint-manager/e2e/manager"
)

const (
	// readPatience is how long a controller may take to read everything.
	readPatience = time.Minute
	// settling is how long it is left alone after that, and aftermath what it has for the last updates.
	settling, aftermath = 10 * time.Second, 2 * time.Second
)

// contender is a controller.
type contender struct {
	name  string
	start func(context.Context) (*controlplane.Process, error)
}

func contenders(cp *controlplane.ControlPlane, p *proxy) []contender {
	return []contender{
		{"kube-controller-manager", func(ctx context.Context) (*controlplane.Process, error) {
			return cp.StartBuiltin(ctx, controlplane.BuiltinOptions{ExtraArgs: []string{"--master=" + p.url}})
		}},
		{"taint-manager", func(ctx context.Context) (*controlplane.Process, error) { return startOurs(ctx, cp, p) }},
	}
}

// startOurs starts the binary as it is released, and without leader election, as the other one.
func startOurs(ctx context.Context, cp *controlplane.ControlPlane, p *proxy) (*controlplane.Process, error) {
	binary, err := manager.Binary(ctx, cp.Dir(), "-trimpath", "-tags=grpcnotrace")
	if err != nil {
		return nil, err
	}
	direct, err := manager.Account(ctx, cp, manager.Name, manager.Rules())
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.LoadFromFile(direct)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig for the proxy: %w", err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server = p.url
	}
	kubeconfig := filepath.Join(cp.Dir(), "kubeconfig-churn")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return nil, fmt.Errorf("kubeconfig for the proxy: %w", err)
	}
	return manager.Start(ctx, cp, manager.Options{Binary: binary, Kubeconfig: kubeconfig, Args: []string{"--leader-elect=false"}})
}

// measure runs a contender, first without updates and then with them.
func measure(ctx context.Context, c contender, u *updates, o options) (r result, err error) {
	process, err := c.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, process.Crashed(), process.Stop()) }()
	if err := awaitWatches(ctx, u.proxy); err != nil {
		return r, err
	}
	if err := sleep(ctx, settling); err != nil {
		return r, err
	}
	r.Name = c.name
	if r.ResidentBefore, err = process.RSS(); err != nil {
		return r, err
	}
	r.Idle, err = observe(process, func() error { return sleep(ctx, o.duration) })
	if err != nil {
		return r, err
	}
	var s sent
	r.Busy, err = observe(process, func() (err error) {
		if s, err = u.send(ctx); err != nil {
			return err
		}
		return sleep(ctx, aftermath)
	})
	if err != nil {
		return r, err
	}
	r.NodeUpdates, r.PodUpdates, r.Seconds = s.nodes, s.pods, s.took.Seconds()
	r.ResidentAfter, err = process.RSS()
	return r, err
}

// awaitWatches waits until both watches are there, and all has been read.
func awaitWatches(ctx context.Context, p *proxy) error {
	var missing error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readPatience, true, func(context.Context) (bool, error) {
		_, nodesErr := p.stream(nodes)
		_, podsErr := p.stream(pods)
		missing = errors.Join(nodesErr, podsErr)
		return missing == nil, nil
	})
	if err != nil {
		return errors.Join(err, missing)
	}
	return nil
}

// usage is the processor time that a controller used, and that we used, within a time.
type usage struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	Proxy      float64 `json:"proxyCPUSeconds"`
}

func observe(process *controlplane.Process, do func() error) (usage, error) {
	began, own := time.Now(), ownTime()
	before, err := process.CPUTime()
	if err != nil {
		return usage{}, err
	}
	if err := do(); err != nil {
		return usage{}, err
	}
	after, err := process.CPUTime()
	return usage{time.Since(began).Seconds(), (after - before).Seconds(), (ownTime() - own).Seconds()}, err
}

// ownTime is the processor time that this process has used.
func ownTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it has no errors but for wrong arguments
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func sleep(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}
