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
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/apiserver/pkg/server/healthz"
)

// serveWith returns what is served with some options, and access control.
func serveWith(t *testing.T, o *Options) http.Handler {
	t.Helper()
	alive := []healthz.HealthChecker{healthz.PingHealthz}
	return newGuard(t, &reviewer{}).guard(newHandler(o, checks{alive, alive}), o.Serving.AlwaysAllowPaths)
}

// TestEndpointsNeedAuthorization asks for each endpoint as nobody, with a wrong token and with the right one.
func TestEndpointsNeedAuthorization(t *testing.T) {
	o := NewOptions()
	o.Serving.Profiling = true
	for _, e := range endpoints(o, checks{}) {
		synctest.Test(t, func(t *testing.T) {
			handler := serveWith(t, o)
			want := map[string]int{"": http.StatusForbidden, "wrong": http.StatusUnauthorized, "right": http.StatusOK}
			if e.path == "/livez" || e.path == "/healthz" || e.path == "/readyz" {
				want = map[string]int{"": http.StatusOK, "wrong": http.StatusOK, "right": http.StatusOK}
			}
			for token, code := range want {
				if got := ask(handler, e.path, token); got != code {
					t.Errorf("%s with token %q: %d, want %d", e.path, token, got, code)
				}
			}
		})
	}
}

// TestProfilesAreServedOnRequest asks for profiles without --profiling.
func TestProfilesAreServedOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := serveWith(t, NewOptions())
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile"} {
			if got := ask(handler, path, "right"); got != http.StatusNotFound {
				t.Errorf("%s: %d", path, got)
			}
		}
	})
}

// TestFlagzShowsWhatIsInEffect has a flag that was given, and one that was not.
func TestFlagzShowsWhatIsInEffect(t *testing.T) {
	o, err := parse(t, "--kube-api-burst=77")
	if err != nil {
		t.Fatal(err)
	}
	o.MaxConcurrentEvictions = 123 // by a configuration file
	answer := httptest.NewRecorder()
	newHandler(o, checks{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/flagz", nil))
	seen := map[string]string{}
	for line := range strings.Lines(answer.Body.String()) {
		if i := strings.IndexAny(line, ":= "); i > 0 { // the package draws one for each answer
			seen[line[:i]] = strings.Trim(line[i:], ":= \n")
		}
	}
	for flag, want := range map[string]string{"kube-api-burst": "77", "max-concurrent-evictions": "123", "secure-port": "10290", "profiling": "false"} {
		if seen[flag] != want {
			t.Errorf("--%s is shown as %q, want %q", flag, seen[flag], want)
		}
	}
}
