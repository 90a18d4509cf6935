package main

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
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

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
	server     *http.Server
	ended      chan error
	writes     atomic.Int64
	refused    atomic.Int64
}

// startLink starts a link. It ends with stop.
func (b *bench) startLink(ctx context.Context, delay time.Duration, most int64) (*link, error) {
	target, err := url.Parse(b.cp.AdminConfig().Host)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(b.cp.AdminConfig())) // callers show who they are themselves
	if err != nil {
		return nil, fmt.Errorf("connection to the API server: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link to the API server: %w", err)
	}
	silent := log.New(io.Discard, "", 0)
	l := &link{delay: delay, most: most, ended: make(chan error, 1)}
	l.server = &http.Server{
		Handler: l.pass(&httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport:     transport,
			FlushInterval: -1, // each event of a watch at once
			ErrorLog:      silent,
		}),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          silent,
	}
	certFile, keyFile := b.cp.ServingCert()
	go func() { l.ended <- l.server.ServeTLS(listener, certFile, keyFile) }()
	if l.kubeconfig, err = controlplane.RedirectKubeconfig(b.kubeconfig, "https://"+listener.Addr().String(), filepath.Join(b.dir, "kubeconfig-link")); err != nil {
		return nil, errors.Join(err, l.stop())
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

func (l *link) stop() error {
	err := l.server.Close()
	if ended := <-l.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("the link to the API server ended by itself: %w", ended))
	}
	return err
}
