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
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// bench is the control plane and what is known of it.
type bench struct {
	*options
	progress io.Writer

	dir      string // for what has to be there before the control plane is
	audit    auditLog
	cp       *controlplane.ControlPlane
	client   kubernetes.Interface // of the administrator
	metadata metadata.Interface   // of the administrator
	podBytes int                  // size of one pod, as it goes over the wire

	disruption *controlplane.Process // the disruption controller, while budgets matter

	binary                     string // of taint-manager
	kubeconfig, bareKubeconfig string // of taint-manager and of the bare client
}

// start starts the control plane and makes what all contenders need. After an error nothing is left.
func start(ctx context.Context, o *options, progress io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "taint-manager-bench-")
	if err != nil {
		return nil, fmt.Errorf("directory of the audit log: %w", err)
	}
	b := &bench{options: o, progress: progress, dir: dir}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *bench) start(ctx context.Context) error {
	var err error
	if b.audit.AuditLog, err = controlplane.NewAuditLog(b.dir, "userGroups", auditedGroup); err != nil {
		return err
	}
	b.cp, err = controlplane.Start(ctx, controlplane.Options{
		Parts:        []controlplane.Program{controlplane.Etcd, controlplane.APIServer},
		ExtraArgs:    map[controlplane.Program][]string{controlplane.APIServer: b.audit.Args()},
		Progress:     b.progress,
		LeaveSignals: true,
	})
	if err != nil {
		return err
	}
	// Not built before a process of it is measured: the programs of the control plane take all processors while they build.
	if _, err := controlplane.Binaries(ctx, b.progress, controlplane.ControllerManager); err != nil {
		return err
	}
	if err := b.connect(); err != nil {
		return err
	}
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	if b.binary, err = b.build(ctx); err != nil {
		return err
	}
	return b.makeNodes(ctx)
}

// connect makes the clients of the administrator, in protobuf: there are many pods to make.
func (b *bench) connect() error {
	config := b.cp.AdminConfig()
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	var err error
	if b.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("client of the administrator: %w", err)
	}
	if b.metadata, err = metadata.NewForConfig(b.cp.AdminConfig()); err != nil {
		return fmt.Errorf("client of the administrator: %w", err)
	}
	return nil
}

func (b *bench) makeAccounts(ctx context.Context) error {
	var err error
	if b.bareKubeconfig, _, err = b.cp.ServiceAccount(ctx, launcher.Namespace, bareAccount, bareRules()); err != nil {
		return err
	}
	b.kubeconfig, err = launcher.Account(ctx, b.cp, launcher.Name, launcher.Rules())
	return err
}

// build builds taint-manager as it is built for its image.
func (b *bench) build(ctx context.Context) (string, error) {
	b.say("building taint-manager")
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil {
		return "", fmt.Errorf("building taint-manager: %w", err)
	}
	return launcher.Binary(ctx, b.dir, buildFlags()...)
}

// buildFlags are those of the binary in the image.
func buildFlags() []string { return []string{"-trimpath", "-tags=grpcnotrace", "-ldflags=-s -w"} }

// stop ends the control plane and what runs against it, and removes everything.
func (b *bench) stop() error {
	var errs []error
	if b.cp != nil {
		errs = append(errs, b.cp.Crashed(), b.cp.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// say reports progress, in one write for each line.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "storm: "+format+"\n", args...)
}

// measure does everything in the order that needs the fewest pods to be made: nothing is known of a size without pods later.
func (b *bench) measure(ctx context.Context, r *report) error {
	if b.onlyMechanisms || b.onlyEvict {
		return b.measureOnly(ctx, r)
	}
	sizes := b.sizes
	if len(sizes) > 0 && sizes[0] == 0 {
		if err := b.measureSize(ctx, r, 0); err != nil {
			return err
		}
		sizes = sizes[1:]
	}
	if err := b.measureStorms(ctx, r); err != nil {
		return err
	}
	if err := b.measureMechanisms(ctx, r); err != nil {
		return err
	}
	if err := b.measureEvict(ctx, r); err != nil {
		return err
	}
	if len(sizes) == 0 {
		return nil
	}
	if err := b.clear(ctx); err != nil {
		return err
	}
	made := 0
	for _, size := range sizes {
		if _, err := b.fill(ctx, made, size); err != nil {
			return err
		}
		made = size
		if err := b.measureSize(ctx, r, size); err != nil {
			return err
		}
	}
	return nil
}

// measureOnly does nothing but what was asked for.
func (b *bench) measureOnly(ctx context.Context, r *report) error {
	if b.onlyMechanisms {
		if err := b.measureMechanisms(ctx, r); err != nil {
			return err
		}
	}
	if b.onlyEvict {
		return b.measureEvict(ctx, r)
	}
	return nil
}

// measureStorms has each contender evict pods, after one that nobody counts: an API server that has not done something before
// takes longer to do it, and the first contender should not pay for all.
func (b *bench) measureStorms(ctx context.Context, r *report) error {
	for i, c := range append([]contender{warmUp()}, b.contenders...) {
		if err := b.clear(ctx); err != nil {
			return err
		}
		storm, err := b.storm(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		if i > 0 {
			r.Storms = append(r.Storms, *storm)
		}
	}
	return nil
}
