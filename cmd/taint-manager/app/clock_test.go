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
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

func TestClocksThatDifferAreToldOf(t *testing.T) {
	for _, test := range []struct {
		ahead time.Duration
		want  string
	}{
		{0, "clock"},
		{2 * time.Second, "clock"}, // within the bound
		{5 * time.Minute, "clock (the API server's is 5m0s ahead of this machine)"},
		{-time.Hour, "clock (the API server's is 1h0m0s behind this machine)"},
	} {
		local := serverclock.NewSteady()
		server := serverclock.New(local)
		watch := &clockWatch{server: server}
		if watch.Name() != "clock" {
			t.Errorf("before any answer it is called %q", watch.Name())
		}
		now := local.Now()
		server.Observe(now, now, now.Add(test.ahead-500*time.Millisecond))
		// The difference may be known before the check is served.
		served := newHandler(NewOptions(), checks{ready: []healthz.HealthChecker{watch}})
		watch.check()
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz?verbose", http.NoBody))
		if got := answer.Body.String(); answer.Code != http.StatusOK || !strings.Contains(got, "[+]"+test.want+" ok") {
			t.Errorf("ahead by %s: %d, %s, want %q", test.ahead, answer.Code, got, test.want)
		}
	}
}

// Responses to our clients have a Date.
func TestClientsObserveTheDate(t *testing.T) {
	local := serverclock.NewSteady()
	server := serverclock.New(local)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
		if !strings.HasPrefix(req.URL.Path, "/version") {
			http.NotFound(w, req)
		}
	}))
	defer api.Close()
	o := NewOptions()
	o.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: api.URL}
	config.Contexts["c"], config.CurrentContext = &clientcmdapi.Context{Cluster: "c"}, "c"
	if err := clientcmd.WriteToFile(*config, o.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	clients, err := newClients(o, server)
	if err != nil {
		t.Fatal(err)
	}
	watch := &clockWatch{server: server, probe: clients.others.Discovery().RESTClient()}
	if err := watch.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if low, high, known := server.Offset(); !known || low > -10*time.Minute || high < -10*time.Minute {
		t.Errorf("from %s to %s", low, high)
	}
}
