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
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
)

const (
	readHeaderTimeout = 32 * time.Second
	// idleTimeout is longer than clients keep an idle connection.
	idleTimeout     = 90 * time.Second
	shutdownTimeout = 5 * time.Second
)

// server serves endpoints over TLS. Callers of anything but health must authenticate with a token or a client certificate, and be
// authorized to get the path.
type server struct {
	http      *http.Server
	listener  net.Listener
	clientCA  *dynamiccertificates.ConfigMapCAController
	servingCA dynamiccertificates.CertKeyContentProvider
	tls       *dynamiccertificates.DynamicServingCertificateController
}

// newServer begins to listen, so that a port in use is an error at the start. reviews is the client that reviews callers.
func newServer(ctx context.Context, o *ServingOptions, client, reviews kubernetes.Interface, served http.Handler) (*server, error) {
	clientCA, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca", metav1.NamespaceSystem,
		"extension-apiserver-authentication", "client-ca-file", client)
	if err != nil {
		return nil, fmt.Errorf("client CA: %w", err)
	}
	cert, err := servingCert(o)
	if err != nil {
		return nil, err
	}
	access, err := newAccess(reviews, clientCA)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(o.BindAddress.String(), strconv.Itoa(o.SecurePort))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot serve on %s: %w; choose another --secure-port or --bind-address, or turn it off with --secure-port=0", address, err)
	}
	s := &server{listener: listener, clientCA: clientCA, servingCA: cert}
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: tls.RequestClientCert}
	s.tls = dynamiccertificates.NewDynamicServingCertificateController(base, clientCA, cert, nil, nil)
	clientCA.AddListener(s.tls)
	cert.AddListener(s.tls)
	if err := s.tls.RunOnce(); err != nil {
		return nil, fmt.Errorf("serving certificate: %w", err)
	}
	base = base.Clone()
	base.GetConfigForClient = s.tls.GetConfigForClient
	s.http = newHTTPServer(access.guard(served, o.AlwaysAllowPaths), base)
	return s, nil
}

func newHTTPServer(handler http.Handler, config *tls.Config) *http.Server {
	return &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
	}
}

// servingCert returns the certificate of the files, or a self-signed one.
func servingCert(o *ServingOptions) (dynamiccertificates.CertKeyContentProvider, error) {
	if o.CertFile != "" {
		cert, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving-cert", o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert-file=%s, --tls-private-key-file=%s: %w", o.CertFile, o.KeyFile, err)
		}
		return cert, nil
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey("taint-manager", []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"})
	if err != nil {
		return nil, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	return dynamiccertificates.NewStaticCertKeyContent("self-signed", certificate, key)
}

// run serves until ctx is done.
func (s *server) run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	logger.Info("Serving health and metrics", "address", s.listener.Addr().String())
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.clientCA.Run(ctx, 1) })
	running.Go(func() { s.tls.Run(1, ctx.Done()) })
	if reloading, ok := s.servingCA.(dynamiccertificates.ControllerRunner); ok {
		running.Go(func() { reloading.Run(ctx, 1) })
	}
	running.Go(func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = s.http.Shutdown(ending) // the end of the process closes what is left
	})
	if err := s.http.ServeTLS(s.listener, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
		logger.Error(err, "Stopped serving health and metrics")
	}
}
