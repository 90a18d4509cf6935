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

// Package variants builds taint-manager with a plain mechanism in place of a clever one, so that a benchmark can measure in one run what
// the clever one buys.
//
// The product has no flags for that: see package mutation.
package variants

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/pkg/testing/mutation"
)

// Variant is taint-manager with one mechanism replaced.
type Variant struct {
	// Name names the directory that the binary is built into.
	Name  string
	edits []mutation.Edit
}

// FixedLimit evicts as many pods at the same time as --max-concurrent-evictions says. The limit is still halved when the API server has
// too much to do, and raised again afterwards.
func FixedLimit() Variant {
	return Variant{"fixed-limit", []mutation.Edit{
		{In: "evictor.NewConcurrencyLimiter", Find: "l.setLimit(initialLimit)", Put: "l.setLimit(highest)"},
		{In: "evictor.ConcurrencyLimiter.backlogBegan", Find: "l.setLimit(initialLimit)", Put: "l.setLimit(l.max)"},
		{In: "evictor.ConcurrencyLimiter.check", Find: "l.rateLimited || l.recoverTo > 0 || l.limit == l.max", Put: "true"},
	}}
}

// WholeObjects decodes pods and nodes whole, as every client does, and has the informers' transform distil them.
func WholeObjects() Variant {
	return Variant{"whole-objects", []mutation.Edit{{In: "podcache.NewClient", Find: "withPartialDecoder(codecs(), false)", Put: "codecs()"}}}
}

// PolledLease does not watch the Lease: it knows what client-go's leader election reads of it once in each retry period.
func PolledLease() Variant {
	return Variant{"polled-lease", []mutation.Edit{
		{In: "leader.Elector.Run", Find: "watching.Go(func() { e.watch.run(ctx) })", Put: ""},
		{
			In: "leader.lock.Get", Find: "record, raw, err := l.Interface.Get(ctx)",
			Put: "$0\n if err == nil {\n l.watch.observe(&coordinationv1.Lease{Spec: resourcelock.LeaderElectionRecordToLeaseSpec(record)})\n}\n",
		},
	}}
}

// All are all variants.
func All() []Variant {
	return []Variant{FixedLimit(), WholeObjects(), PolledLease()}
}

// Build builds the variant into a directory of its own below dir, with the given flags of go build, and returns the path of the binary.
func (v Variant) Build(ctx context.Context, dir string, flags ...string) (string, error) {
	dir = filepath.Join(dir, v.Name)
	overlay, err := v.overlay(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("variant %s: %w", v.Name, err)
	}
	path, err := launcher.Build(ctx, dir, launcher.Controller, append(flags, overlay)...)
	if err != nil {
		return "", fmt.Errorf("variant %s: %w", v.Name, err)
	}
	return path, nil
}

// overlay writes the changed files, and returns the flag of go build that takes them.
func (v Variant) overlay(ctx context.Context, dir string) (flag string, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	edited, err := mutation.Apply(filepath.Join(strings.TrimSpace(string(root)), "pkg"), v.edits)
	if err != nil {
		return "", err
	}
	return mutation.Overlay(dir, edited)
}
