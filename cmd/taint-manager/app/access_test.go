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
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// reviewer is an API server that only serves reviews. The token "right" belongs to a user who may get /metrics.
type reviewer struct {
	takes                 time.Duration
	tokens, access, calls atomic.Int32
	// fails makes it answer reviews of access with 500, and denies makes it deny all, also what it allows.
	fails, denies atomic.Bool
}

func (r *reviewer) RoundTrip(req *http.Request) (*http.Response, error) {
	r.calls.Add(1)
	time.Sleep(r.takes)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var answer runtime.Object
	switch {
	case strings.HasSuffix(req.URL.Path, "/tokenreviews"):
		r.tokens.Add(1)
		review := &authenticationv1.TokenReview{}
		if err := json.Unmarshal(body, review); err != nil {
			return nil, err
		}
		if review.Spec.Token == "right" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "reader"}}
		}
		answer = review
	default:
		r.access.Add(1)
		review := &authorizationv1.SubjectAccessReview{}
		if err := apitest.Decode(body, review); err != nil {
			return nil, err
		}
		if r.fails.Load() {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}, nil
		}
		review.Status.Allowed, review.Status.Denied = review.Spec.User == "reader", r.denies.Load()
		answer = review
	}
	body, err = json.Marshal(answer)
	return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// newGuard returns access control that has an API server review callers.
func newGuard(t *testing.T, api *reviewer) *access {
	t.Helper()
	config := &rest.Config{Host: "http://api", Transport: api, QPS: -1}
	client, err := kubernetes.NewForConfig(reviewConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	access, err := newAccess(client, noCA{})
	if err != nil {
		t.Fatal(err)
	}
	return access
}

// guarded returns a handler of /metrics and /readyz that reviews its callers.
func guarded(t *testing.T, api *reviewer) http.Handler {
	t.Helper()
	return newGuard(t, api).guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here it is") }), []string{"/readyz"})
}

func ask(handler http.Handler, path, token string) int {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, req)
	return answer.Code
}

func TestAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := guarded(t, &reviewer{})
		for _, test := range []struct {
			path, token string
			want        int
		}{
			{"/metrics", "right", http.StatusOK},
			{"/metrics", "wrong", http.StatusUnauthorized},
			{"/metrics", "", http.StatusForbidden},
			{"/readyz", "", http.StatusOK},
		} {
			if got := ask(handler, test.path, test.token); got != test.want {
				t.Errorf("%s with token %q: %d", test.path, test.token, got)
			}
		}
	})
}

// However many requests arrive, reviews keep to the rate limit of the client, and few requests wait for them. Known callers
// are served again soon after.
func TestAFloodOfStrangers(t *testing.T) {
	const strangers = 5000
	for name, test := range map[string]struct{ path, token func(i int) string }{
		"of tokens": {func(int) string { return "/metrics" }, func(i int) string { return fmt.Sprint("stranger-", i) }},
		"of paths":  {func(i int) string { return fmt.Sprint("/path-", i) }, func(int) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &reviewer{takes: 10 * time.Millisecond}
				handler := guarded(t, api)
				var refused, busy atomic.Int32
				var asking sync.WaitGroup
				for i := range strangers {
					asking.Go(func() {
						switch code := ask(handler, test.path(i), test.token(i)); code {
						case http.StatusUnauthorized, http.StatusForbidden:
							refused.Add(1)
						case http.StatusTooManyRequests:
							busy.Add(1)
						default:
							t.Errorf("answer %d", code)
						}
					})
				}
				time.Sleep(time.Second)
				if n := api.calls.Load(); n > int32(rest.DefaultBurst)+int32(rest.DefaultQPS)+1 {
					t.Errorf("%d reviews in a second", n)
				}
				if n := ask(handler, "/readyz", ""); n != http.StatusOK {
					t.Errorf("health is answered with %d", n)
				}
				asking.Wait()
				if n := refused.Load(); n == 0 || n > maxReviews || n+busy.Load() != strangers {
					t.Errorf("%d refused, %d got 429", n, busy.Load())
				}
				if got := ask(handler, "/metrics", "right"); got != http.StatusOK {
					t.Errorf("who is known is answered with %d", got)
				}
			})
		})
	}
}

// A request whose caller has disconnected counts until the API server has answered.
func TestAFloodOfStrangersWhoHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &reviewer{takes: 5 * time.Second}
		handler := guarded(t, api)
		for i := range 1000 {
			req := httptest.NewRequestWithContext(gone(t), http.MethodGet, "/metrics", nil)
			req.Header.Set("Authorization", fmt.Sprint("Bearer stranger-", i))
			go handler.ServeHTTP(httptest.NewRecorder(), req)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := api.calls.Load(); n > maxReviews {
			t.Errorf("%d reviews under way", n)
		}
		time.Sleep(time.Minute)
	})
}
