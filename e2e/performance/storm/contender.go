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
	"slices"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// The contenders by the names that --contenders takes.
const (
	bareName           = "bare"
	oursName           = "taint-manager"
	oursInPagesName    = "taint-manager-in-pages"
	builtinName        = "builtin"
	builtinDefaultName = "builtin-default"

	// smallShare is how much less the load is of a contender that is limited to 20 requests per second.
	smallShare = 5
)

// contender is one of those that are measured.
type contender struct {
	name, title string
	// account is its service account in kube-system.
	account string
	// share is 1 for the whole load, or how much less it is.
	share int
	// process starts its process; nil for the bare client, which is told of its pods and watches nothing.
	process func(context.Context, *bench) (*controlplane.Process, error)
}

func allContenders() []contender {
	return []contender{
		{bareName, "bare client", bareAccount, 1, nil},
		{oursName, "taint-manager", launcher.Name, 1, startOurs},
		builtin(builtinName, "built-in, limits lifted", 1, "--kube-api-qps=10000", "--kube-api-burst=20000"),
		builtin(builtinDefaultName, "built-in, default limits", smallShare),
	}
}

// defaultContenders has the bare client before and after the one that is compared with it, because machines and API servers
// change with time.
func defaultContenders() []contender {
	all := allContenders()
	return slices.Insert(all, slices.IndexFunc(all, func(c contender) bool { return c.name == oursName })+1, all[0])
}

// warmUp is the bare client with a small load.
func warmUp() contender { return contender{bareName, "warming up", bareAccount, smallShare, nil} }

func startOurs(ctx context.Context, b *bench) (*controlplane.Process, error) { return b.startOurs(ctx) }

// oursInPages is taint-manager as it is with API servers that stream no lists, whatever this one does.
func oursInPages() contender {
	return contender{oursInPagesName, "taint-manager, lists in pages", launcher.Name, 1, func(ctx context.Context, b *bench) (*controlplane.Process, error) {
		return b.startOurs(ctx, "KUBE_FEATURE_WatchListClient=false") // see k8s.io/client-go/features
	}}
}

func (b *bench) startOurs(ctx context.Context, env ...string) (*controlplane.Process, error) {
	return launcher.Start(ctx, b.cp, launcher.Options{Binary: b.binary, Kubeconfig: b.kubeconfig, Args: b.args, Env: env})
}

func builtin(name, title string, share int, args ...string) contender {
	start := func(ctx context.Context, b *bench) (*controlplane.Process, error) {
		return b.cp.StartBuiltin(ctx, controlplane.BuiltinOptions{Name: name, ExtraArgs: args})
	}
	return contender{name, title, name + "-taint-eviction", share, start}
}

func contenderNames(list []contender) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.name
	}
	return strings.Join(names, ",")
}

func parseContenders(text string) ([]contender, error) {
	var chosen []contender
	for name := range strings.SplitSeq(text, ",") {
		found := false
		for _, c := range allContenders() {
			if c.name == name {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%q is none of %s", name, contenderNames(allContenders()))
		}
	}
	return chosen, nil
}

// user is how the API server calls it.
func (c contender) user() string { return serviceaccount.MakeUsername(launcher.Namespace, c.account) }

// contestant is a contender that is ready to evict.
type contestant interface {
	process() *controlplane.Process
	// tainted says that a node has the taint now, to those who do not watch.
	tainted(node string)
	// failed is why it cannot go on, if so.
	failed() error
	// stop ends it, and says what went wrong with it.
	stop() error
}

// enter starts a contender, for a storm over the pods. It returns how long the start took until it worked.
func (b *bench) enter(ctx context.Context, c contender, pods []podRef) (contestant, time.Duration, error) {
	if c.process == nil {
		bare, err := startBare(ctx, b, pods, c.name == bareEvictName)
		return bare, 0, err
	}
	process, took, err := b.working(ctx, func(ctx context.Context) (*controlplane.Process, error) { return c.process(ctx, b) })
	return server{process}, took, err
}

// server is a contender that watches by itself.
type server struct{ running *controlplane.Process }

func (s server) process() *controlplane.Process { return s.running }
func (s server) tainted(string)                 {}
func (s server) failed() error                  { return s.running.Crashed() }
func (s server) stop() error                    { return errors.Join(s.running.Crashed(), s.running.Stop()) }
