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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// connections records the connections that clients have opened to a server.
type connections struct {
	lock sync.Mutex
	// by holds the connections that requests for a resource came on, in order, by the client's address.
	by map[string][]string
	// mute are connections whose requests get no response.
	mute map[string]bool
	// ended is closed at the end of the test.
	ended chan struct{}
}

func (c *connections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	c.lock.Lock()
	c.by[resource] = append(c.by[resource], r.RemoteAddr)
	mute := c.mute[r.RemoteAddr]
	c.lock.Unlock()
	if mute {
		select {
		case <-r.Context().Done():
		case <-c.ended:
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`))
}

// last returns the connection that the last request for a resource came on.
func (c *connections) last(resource string) string {
	c.lock.Lock()
	defer c.lock.Unlock()
	if n := len(c.by[resource]); n > 0 {
		return c.by[resource][n-1]
	}
	return ""
}

// TestTheLeaseHasConnectionsOfItsOwn makes a connection unresponsive: the next request for the Lease uses another one.
func TestTheLeaseHasConnectionsOfItsOwn(t *testing.T) {
	c := &connections{by: map[string][]string{}, mute: map[string]bool{}, ended: make(chan struct{})}
	server := httptest.NewUnstartedServer(c)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	defer close(c.ended)
	o := NewOptions()
	o.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	o.LeaderElection.RenewDeadline.Duration = 2 * time.Second
	kubeconfig := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server.URL, InsecureSkipTLSVerify: true}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c"}},
		CurrentContext: "c",
	}
	if err := clientcmd.WriteToFile(kubeconfig, o.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	clients, err := newClients(o, serverclock.New(serverclock.NewSteady()))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (lease error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		// Only whether there is a response matters.
		_, _ = clients.pods.Pods("ns").Get(ctx, "pods", metav1.GetOptions{})
		_, _ = clients.events.CoreV1().Events("ns").Get(ctx, "events", metav1.GetOptions{})
		_, _ = clients.others.CoreV1().Nodes().Get(ctx, "nodes", metav1.GetOptions{})
		_, lease = clients.leases.CoordinationV1().Leases("ns").Get(t.Context(), "leases", metav1.GetOptions{})
		return lease
	}
	_ = ask()
	first := c.last("leases")
	for _, resource := range []string{"pods", "events", "nodes"} {
		if other := c.last(resource); other == "" || other == first {
			t.Errorf("requests for %s come on %q, and those for the Lease on %q", resource, other, first)
		}
	}
	_ = ask()
	if c.last("leases") != first {
		t.Error("the Lease has a new connection for each request")
	}
	c.lock.Lock()
	c.mute[first] = true
	c.lock.Unlock()
	if err := ask(); err == nil || apierrors.IsNotFound(err) {
		t.Errorf("a request that is not answered ends with %v", err)
	}
	if err := ask(); c.last("leases") == first || !apierrors.IsNotFound(err) {
		t.Errorf("the next one comes on %q, as %q was, and ends with %v", c.last("leases"), first, err)
	}
}

// TestConnectionsAreChecked runs with and without the environment variables of the operator.
func TestConnectionsAreChecked(t *testing.T) {
	for variable, want := range map[string]string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "6", "HTTP2_PING_TIMEOUT_SECONDS": "8"} {
		for _, set := range []string{"", "77"} {
			t.Setenv(variable, set)
			if err := checkConnections(); err != nil {
				t.Fatal(err)
			}
			if set != "" {
				want = set
			}
			if got := os.Getenv(variable); got != want {
				t.Errorf("%s was %q and is %q, expected %q", variable, set, got, want)
			}
		}
	}
}
