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

package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
)

// Server is an HTTPS server of this process, such as a proxy before the API server or a webhook that it calls. All kubeconfigs
// trust its certificate.
type Server struct {
	// URL is where it listens.
	URL string

	server *http.Server
	ended  chan error
}

// Serve starts a server on a port of 127.0.0.1; 0 is for any. It goes on until Stop.
func (cp *ControlPlane) Serve(ctx context.Context, port int, handler http.Handler) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("starting a server: %w", err)
	}
	s := &Server{
		URL: "https://" + listener.Addr().String(),
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
			ErrorLog:          silent(),
		},
		ended: make(chan error, 1),
	}
	certFile, keyFile := cp.ServingCert()
	go func() { s.ended <- s.server.ServeTLS(listener, certFile, keyFile) }()
	return s, nil
}

// Close ends the server and all of its connections. It may be called before Stop.
func (s *Server) Close() error { return s.server.Close() }

// Stop ends the server, and returns an error if it had ended by itself. It must be called once.
func (s *Server) Stop() error {
	err := s.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("the server on %s ended by itself: %w", s.URL, ended))
	}
	return err
}

// ReverseProxy returns a handler that passes on requests to the API server, and each event of a watch at once. Callers show who
// they are themselves. Change, if not nil, changes each request.
func (cp *ControlPlane) ReverseProxy(change func(out *http.Request)) (*httputil.ReverseProxy, error) {
	target, err := url.Parse(cp.admin.Host)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(cp.AdminConfig()))
	if err != nil {
		return nil, fmt.Errorf("connection to the API server: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if change != nil {
				change(r.Out)
			}
		},
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      silent(),
	}, nil
}

// silent is a log of errors that tests cause on purpose.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
