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

package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	certutil "k8s.io/client-go/util/cert"
)

// noCA is an empty bundle of certificates that never changes.
type noCA struct{}

func (noCA) Name() string                              { return "none" }
func (noCA) CurrentCABundleContent() []byte            { return nil }
func (noCA) AddListener(dynamiccertificates.Listener)  {}
func (noCA) VerifyOptions() (x509.VerifyOptions, bool) { return x509.VerifyOptions{}, false }

// gone returns the context of a caller that has disconnected.
func gone(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// pipes is a listener whose connections are pipes, so that time can be virtual.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	connection, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return connection, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// An idle connection is closed, with HTTP/2 and HTTP/1.1.
func TestIdleConnectionsAreClosed(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				pair, err := tls.X509KeyPair(cert, key)
				if err != nil {
					t.Fatal(err)
				}
				handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
				server := newHTTPServer(handler, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}})
				listener := make(pipes)
				go func() { _ = server.ServeTLS(listener, "", "") }()
				ours, theirs := net.Pipe()
				closed := make(chan struct{})
				watched := &closing{Conn: theirs, closed: closed}
				listener <- watched
				transport := &http.Transport{
					DialContext:       func(context.Context, string, string) (net.Conn, error) { return ours, nil },
					TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}},
					ForceAttemptHTTP2: protocol == "h2",
				}
				answer, err := (&http.Client{Transport: transport}).Get("https://localhost/healthz")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if got := answer.TLS.NegotiatedProtocol; got != protocol {
					t.Fatalf("speaks %q", got)
				}
				time.Sleep(idleTimeout - time.Second)
				synctest.Wait()
				select {
				case <-closed:
					t.Error("closed while it may be used")
				default:
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				select {
				case <-closed:
				default:
					t.Error("still open")
				}
				transport.CloseIdleConnections()
				close(listener)
				_ = server.Close()
			})
		})
	}
}

// closing reports when it is closed.
type closing struct {
	net.Conn
	closed chan struct{}
}

func (c *closing) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}
