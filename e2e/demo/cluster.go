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
