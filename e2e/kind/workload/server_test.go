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
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

// TestServer goes on answering when it is not ready any more.
func TestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		handler := s.handler("web-1")
		get := func(path string) (int, string) {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
			return recorder.Code, strings.TrimSpace(recorder.Body.String())
		}
		for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
			if status, _ := get("/readyz"); status != want {
				t.Errorf("/readyz: %d, want %d", status, want)
			}
			if status, text := get("/"); status != http.StatusOK || text != "web-1" {
				t.Errorf("/: %d %q, want 200 web-1", status, text)
			}
			s.ending.Store(true)
		}
	})
}
