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

package harness

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// Proxy stands before the API server, with a certificate that all kubeconfigs trust. It can hold back the events of the
// watch of nodes, or some requests, while everything else passes, and it can let nothing pass.
type Proxy struct {
	// URL is where it listens.
	URL string

	delay atomic.Int64 // of the events that arrive from now on
	old   atomic.Int32 // is what streaming lists are answered with
	slow  atomic.Pointer[slowness]
	// swallows keeps the bookmarks at their end to itself.
	swallows atomic.Bool

	mu   sync.Mutex
	busy bool
	// open are the watches that are open, and refused counts the requests that were answered with 429.
	open    map[context.Context]context.CancelFunc
	refused int
	// expired are the paths whose next watch cannot go on where it ended.
	expired map[string]bool
	lists   []*url.URL
}

// Proxy starts one, on a port of 127.0.0.1 or, with 0, on any. It ends with the test.
func (s *Scene) Proxy(port int) *Proxy {
	s.T.Helper()
	p := &Proxy{open: map[context.Context]context.CancelFunc{}}
	proxy, err := s.CP.ReverseProxy(func(out *http.Request) {
		// Kubernetes 1.37 compresses streaming lists, in which bookmarks could not be told from other events.
		out.Header.Set("Accept-Encoding", "identity")
	})
	s.Must(err)
	proxy.ModifyResponse = p.holdBack
	server, err := s.CP.Serve(s.Context(), port, p.refuse(proxy))
	s.Must(err)
	p.URL = server.URL
	s.T.Cleanup(func() {
		if err := server.Stop(); err != nil {
			s.T.Error(err)
		}
	})
	return p
}

// DelayNodes holds back each event of the nodes' watch that arrives from now on.
func (p *Proxy) DelayNodes(by time.Duration) { p.delay.Store(int64(by)) }

// slowness is what requests are held back, and for how long.
type slowness struct {
	by   time.Duration
	what func(*http.Request) bool
}

// Delay holds back each request of a kind that arrives from now on, before it passes it on: the API server gets it later.
func (p *Proxy) Delay(by time.Duration, what func(*http.Request) bool) {
	p.slow.Store(&slowness{by, what})
}

// hold holds a request back, if it is one of those, or reports that its client has gone away meanwhile.
func (p *Proxy) hold(r *http.Request) bool {
	slow := p.slow.Load()
	if slow == nil || !slow.what(r) {
		return true
	}
	timer := time.NewTimer(slow.by)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// RefuseStreamingLists makes it answer lists that are streamed by a watch with an error: 422 as an API server that knows none, or as one
// that has just started.
func (p *Proxy) RefuseStreamingLists(code int) { p.old.Store(int32(code)) }

// Lists are the lists so far of pods and nodes, without those that are streamed.
func (p *Proxy) Lists() []*url.URL {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lists)
}

// record notes a request that is a list.
func (p *Proxy) record(r *http.Request) {
	if list := r.URL.Path == "/api/v1/pods" || r.URL.Path == "/api/v1/nodes"; list && !r.URL.Query().Has("watch") {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lists = append(p.lists, r.URL)
	}
}

// refusal is how an API server refuses a streaming list.
func refusal(code int) *apierrors.StatusError {
	if code == http.StatusUnprocessableEntity {
		reason := field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", field.ErrorList{reason})
	}
	return apierrors.NewGenericServerResponse(code, http.MethodGet, schema.GroupResource{}, "", "refused by the test", 0, true)
}

// Busy makes it end all watches and answer every request with 429, as the API server's priority and fairness does, until the
// function is called that it returns. That says how many requests there were. Every second answer asks for a second's
// patience, as priority and fairness does; a proxy may leave that open.
func (p *Proxy) Busy() (end func() (refused int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy, p.refused = true, 0
	for _, cancel := range p.open {
		cancel()
	}
	return func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy = false
		return p.refused
	}
}

// admit says whether to pass a request on, and if not, how many that makes.
func (p *Proxy) admit() (admitted bool, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		p.refused++
	}
	return !p.busy, p.refused
}

// endable makes a request one that Busy ends, if it is a watch.
func (p *Proxy) endable(r *http.Request) (*http.Request, context.CancelFunc) {
	if r.URL.Query().Get("watch") == "" {
		return r, func() {}
	}
	ctx, cancel := context.WithCancel(r.Context())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[ctx] = cancel
	return r.WithContext(ctx), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, ctx)
		cancel()
	}
}

func (p *Proxy) refuse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if admitted, refused := p.admit(); !admitted {
			if refused%2 == 0 {
				w.Header().Set("Retry-After", "1")
			}
			http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
			return
		}
		if !p.hold(r) || p.expire(w, r) {
			return
		}
		p.record(r)
		if code := p.old.Load(); code != 0 && r.URL.Query().Has("sendInitialEvents") {
			answerWith(w, refusal(int(code)))
			return
		}
		r, done := p.endable(r)
		defer done()
		next.ServeHTTP(w, r)
	})
}

func (p *Proxy) holdBack(response *http.Response) error {
	p.unmarked(response)
	if r := response.Request; r.URL.Path == "/api/v1/nodes" && r.URL.Query().Get("watch") != "" {
		response.Body = newSlowBody(r.Context(), response.Body, &p.delay)
	}
	return nil
}

// slowBody passes on each piece of a body some time after its arrival.
type slowBody struct {
	io.Closer
	ctx    context.Context
	pieces chan piece
	rest   piece // of which a part has been read
}

type piece struct {
	data []byte
	err  error
	due  time.Time
}

func newSlowBody(ctx context.Context, body io.ReadCloser, delay *atomic.Int64) *slowBody {
	b := &slowBody{Closer: body, ctx: ctx, pieces: make(chan piece, 10_000)}
	go func() {
		for {
			data := make([]byte, 32<<10)
			n, err := body.Read(data)
			select {
			case b.pieces <- piece{data[:n], err, time.Now().Add(time.Duration(delay.Load()))}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return b
}

func (b *slowBody) Read(to []byte) (int, error) {
	if len(b.rest.data) == 0 && b.rest.err == nil {
		select {
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case b.rest = <-b.pieces:
		}
		timer := time.NewTimer(time.Until(b.rest.due))
		defer timer.Stop()
		select {
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case <-timer.C:
		}
	}
	n := copy(to, b.rest.data)
	b.rest.data = b.rest.data[n:]
	if len(b.rest.data) > 0 {
		return n, nil
	}
	return n, b.rest.err
}

// Redirect returns a copy of a kubeconfig that names another address of the API server.
func (s *Scene) Redirect(kubeconfig, server string) string {
	s.T.Helper()
	path, err := controlplane.RedirectKubeconfig(kubeconfig, server, filepath.Join(s.T.TempDir(), "kubeconfig"))
	s.Must(err)
	return path
}
