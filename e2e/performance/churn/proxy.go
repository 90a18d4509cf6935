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
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// proxy stands before the API server, with a certificate that all kubeconfigs trust, and passes on everything. It knows the
// watches of nodes and pods that go through it.
type proxy struct {
	server *controlplane.Server
	// horizon is the latest resource version that the API server is known to have. Those in the events that are put in are
	// beyond it; a watch that would go on from one of them goes on from here.
	horizon atomic.Uint64

	mu      sync.Mutex
	streams map[string][]*stream // by resource
}

func startProxy(ctx context.Context, cp *controlplane.ControlPlane) (*proxy, error) {
	p := &proxy{streams: map[string][]*stream{}}
	handler, err := cp.ReverseProxy(func(out *http.Request) {
		out.URL.RawQuery = p.backToHorizon(out.URL.Query()).Encode()
		// Kubernetes 1.37 compresses streaming lists, between whose events no others could be put.
		out.Header.Set("Accept-Encoding", "identity")
	})
	if err != nil {
		return nil, err
	}
	handler.ModifyResponse = p.join
	p.server, err = cp.Serve(ctx, 0, handler)
	return p, err
}

// backToHorizon has a request ask for no version that the API server has not made.
func (p *proxy) backToHorizon(query url.Values) url.Values {
	const param = "resourceVersion"
	if version, err := strconv.ParseUint(query.Get(param), 10, 64); err == nil && version > p.horizon.Load() && p.horizon.Load() > 0 {
		query.Set(param, strconv.FormatUint(p.horizon.Load(), 10))
	}
	return query
}

// join makes the response to a watch of nodes or pods one of our streams.
func (p *proxy) join(response *http.Response) error {
	resource, watched := watchedResource(response.Request.URL)
	if !watched || response.StatusCode != http.StatusOK {
		return nil
	}
	listing := response.Request.URL.Query().Get("sendInitialEvents") == "true"
	s, err := newStream(response.Header.Get("Content-Type"), response.Body, listing, func(s *stream) { p.leave(resource, s) })
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[resource] = append(p.streams[resource], s)
	response.Body = s
	return nil
}

func (p *proxy) leave(resource string, s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[resource] = slices.DeleteFunc(p.streams[resource], func(other *stream) bool { return other == s })
}

// stream is the one watch of a resource, once its list is over.
func (p *proxy) stream(resource string) (*stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.streams[resource]
	if len(open) != 1 {
		return nil, fmt.Errorf("%d watches of %s are open, not one: see what the controller's log says", len(open), resource)
	}
	if !open[0].listed.Load() {
		return nil, fmt.Errorf("the controller has not read all %s yet", resource)
	}
	return open[0], nil
}

// watchedResource is what is watched in all namespaces, if that is nodes or pods.
func watchedResource(u *url.URL) (resource string, ok bool) {
	resource, ok = strings.CutPrefix(u.Path, "/api/v1/")
	watching, err := strconv.ParseBool(u.Query().Get("watch"))
	return resource, ok && err == nil && watching && (resource == nodes || resource == pods)
}
