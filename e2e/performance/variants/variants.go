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
// The product has no flags for that. A variant is a few replaced texts of its source, laid over the files while it is built. A text
// that does not occur exactly once is an error, so a variant cannot silently measure what it does not change.
package variants

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// Variant is taint-manager with one mechanism replaced.
type Variant struct {
	// Name names the directory that the binary is built into.
	Name  string
	edits []edit
}

// edit replaces a text, which occurs once, in a file of pkg.
type edit struct{ file, from, to string }

// FixedLimit evicts as many pods at the same time as --max-concurrent-evictions says. The limit is still halved when the API server has
// too much to do, and raised again afterwards.
func FixedLimit() Variant {
	const limiter = "evictor/limiter.go"
	return Variant{"fixed-limit", []edit{
		{limiter, "backlog: clock.Now()}\n\tl.set(firstLimit)", "backlog: clock.Now()}\n\tl.set(most)"},
		{limiter, "l.before = 0\n\t\tl.set(firstLimit)", "l.before = 0\n\t\tl.set(l.most)"},
		{limiter, "if l.limited || l.before > 0 || l.limit == l.most {", "if true {"},
	}}
}

// WholeObjects decodes pods and nodes whole, as every client does, and has the informers' transform distil them.
func WholeObjects() Variant {
	const codecs = "rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()"
	return Variant{"whole-objects", []edit{{"podcache/fieldmask.go", "withPartialDecoder(" + codecs + ")", codecs}}}
}

// PolledLease does not watch the Lease: it knows what client-go's leader election reads of it once in each retry period.
func PolledLease() Variant {
	return Variant{"polled-lease", []edit{
		{"leader/leader.go", "\twatching.Go(func() { e.watch.run(ctx) })\n", ""},
		{
			"leader/leasewatch.go", "record, raw, err := l.Interface.Get(ctx)\n", "record, raw, err := l.Interface.Get(ctx)\n" +
				"\tif err == nil {\n\t\tl.watch.observe(&coordinationv1.Lease{Spec: resourcelock.LeaderElectionRecordToLeaseSpec(record)})\n\t}\n",
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
	path, err := launcher.Build(ctx, dir, append(flags, overlay)...)
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
	changed := map[string]string{}
	for _, e := range v.edits {
		path := filepath.Join(strings.TrimSpace(string(root)), "pkg", filepath.FromSlash(e.file))
		source, edited := changed[path]
		if !edited {
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			source = string(content)
		}
		if n := strings.Count(source, e.from); n != 1 {
			return "", fmt.Errorf("%s has %d times, not once: %s", e.file, n, e.from)
		}
		changed[path] = strings.Replace(source, e.from, e.to, 1)
	}
	return launcher.Overlay(dir, changed)
}
