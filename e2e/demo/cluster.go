package main

import (
	"context"
	"fmt"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

const controllerName = "taint-manager"

// startController builds taint-manager and starts it as an operator would: with a service account of its own, electing a
// leader, and serving.
func startController(ctx context.Context, s *screen, cp *controlplane.ControlPlane) (*controlplane.Process, error) {
	began := time.Now()
	binary, err := launcher.Binary(ctx, cp.Dir())
	if err != nil {
		return nil, err
	}
	s.say(line{{fmt.Sprintf("  %s is built after %s", controllerName, since(began)), dim}})
	began = time.Now()
	process, err := launcher.Start(ctx, cp, launcher.Options{Name: controllerName, Binary: binary})
	if err != nil {
		return nil, err
	}
	s.say(line{{fmt.Sprintf("  %s is ready after %s, as service account %s/%s",
		controllerName, since(began), launcher.Namespace, controllerName), dim}})
	return process, nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(10 * time.Millisecond) }
