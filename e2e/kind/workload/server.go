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
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	// answering is how long an answer takes: a server that ends at once has requests that it does not answer.
	answering = 100 * time.Millisecond
	// finishing bounds the wait for requests that are under way at the end.
	finishing = 10 * time.Second
)

// server ends as an ingress should: it is not ready from the moment at which it is told, goes on serving until nobody
// sends it anything, and answers what is under way.
type server struct {
	http   http.Server
	ending atomic.Bool
}

// serve starts a server at the address.
func serve(address string) (*server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	s := &server{http: http.Server{ReadHeaderTimeout: finishing}}
	s.http.Handler = s.handler(name)
	go func() { _ = s.http.Serve(listener) }() // until close
	return s, nil
}

// handler answers with the server's name, and says at /readyz whether it is ready.
func (s *server) handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.ending.Load() {
			http.Error(w, "ending", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(answering)
		_, _ = fmt.Fprintln(w, name) // whoever asked has gone: its own failure
	})
	return mux
}

// close answers what is under way, and takes nothing new.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), finishing)
	defer cancel()
	return s.http.Shutdown(ctx)
}
