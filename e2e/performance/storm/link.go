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
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
)

// link stands between a contender and the API server, and makes that another one: far away, or small.
type link struct {
	// delay is what each request is held back for, and most how many writes may go on at the same time, 0 for any number: more are
	// answered with 429, as by --max-mutating-requests-inflight. Watches, and writes of Leases, are never held back or refused.
	delay time.Duration
	most  int64

	kubeconfig string // by which taint-manager comes this way
	server     *controlplane.Server
	writes     atomic.Int64
	refused    atomic.Int64
}

// startLink starts a link. It ends with its server.
func (b *bench) startLink(ctx context.Context, delay time.Duration, most int64) (*link, error) {
	proxy, err := b.cp.ReverseProxy(nil)
	if err != nil {
		return nil, err
	}
	l := &link{delay: delay, most: most}
	if l.server, err = b.cp.Serve(ctx, 0, l.pass(proxy)); err != nil {
		return nil, err
	}
	if l.kubeconfig, err = controlplane.RedirectKubeconfig(b.kubeconfig, l.server.URL, filepath.Join(b.dir, "kubeconfig-link")); err != nil {
		return nil, errors.Join(err, l.server.Stop())
	}
	return l, nil
}

func (l *link) pass(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("watch") || strings.Contains(r.URL.Path, "/leases") {
			next.ServeHTTP(w, r)
			return
		}
		if l.most > 0 && r.Method != http.MethodGet {
			defer l.writes.Add(-1)
			if l.writes.Add(1) > l.most {
				l.refused.Add(1)
				w.Header().Set("Retry-After", "1")
				http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
				return
			}
		}
		if loop.Sleep(r.Context(), l.delay) == nil {
			next.ServeHTTP(w, r)
		}
	})
}
