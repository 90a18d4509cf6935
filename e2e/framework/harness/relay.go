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
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
)

// Relay passes connections on to the API server, and can swallow what is sent on those that are open, as a load balancer does or a
// node that died. TLS is between those at the ends.
type Relay struct {
	// URL is where it listens.
	URL string

	target string
	lock   sync.Mutex
	open   map[*relayed]bool
}

// relayed is a connection, and its other half.
type relayed struct {
	near, far net.Conn
	swallowed atomic.Bool
}

// Relay starts one, on a port of 127.0.0.1. It ends with the test.
func (s *Scene) Relay() *Relay {
	s.T.Helper()
	target, err := url.Parse(s.CP.AdminConfig().Host)
	s.Must(err)
	listener, err := (&net.ListenConfig{}).Listen(s.Context(), "tcp", "127.0.0.1:0")
	s.Must(err)
	r := &Relay{URL: "https://" + listener.Addr().String(), target: target.Host, open: map[*relayed]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				running.Go(func() { r.pass(near) })
			}
		}
	})
	s.T.Cleanup(func() {
		_ = listener.Close()
		r.each(func(c *relayed) { c.close() })
		running.Wait()
	})
	return r
}

// Swallow has nothing more pass on the connections that are open, in either direction, without a word to either end. It returns how
// many there are. New ones pass.
func (r *Relay) Swallow() (n int) {
	r.each(func(c *relayed) {
		c.swallowed.Store(true)
		n++
	})
	return n
}

func (r *Relay) each(do func(*relayed)) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for c := range r.open {
		do(c)
	}
}

func (r *Relay) pass(near net.Conn) {
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = near.Close()
		return
	}
	c := &relayed{near: near, far: far}
	r.lock.Lock()
	r.open[c] = true
	r.lock.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.copy(far, near) })
	both.Go(func() { c.copy(near, far) })
	both.Wait()
	r.lock.Lock()
	delete(r.open, c)
	r.lock.Unlock()
}

// copy passes on what comes, and goes on reading when it is swallowed. The end of a connection that is swallowed is, too.
func (c *relayed) copy(to io.Writer, from io.Reader) {
	data := make([]byte, 32<<10)
	for {
		n, err := from.Read(data)
		if !c.swallowed.Load() {
			if _, failed := to.Write(data[:n]); failed != nil || err != nil {
				c.close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *relayed) close() {
	_ = c.near.Close()
	_ = c.far.Close()
}
