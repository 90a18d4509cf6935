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
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswersAreKept asks again within and after the time for which an answer is kept, and for something else.
func TestAnswersAreKept(t *testing.T) {
	for token, want := range map[string]int{"right": http.StatusOK, "": http.StatusForbidden} {
		synctest.Test(t, func(t *testing.T) {
			api := &reviewer{}
			handler := guarded(t, api)
			asked := func(path string, reviews int32) {
				t.Helper()
				if got := ask(handler, path, token); got != want {
					t.Errorf("%.20s with token %q: %d", path, token, got)
				}
				if got := api.access.Load(); got != reviews {
					t.Errorf("%d reviews, want %d", got, reviews)
				}
			}
			asked("/metrics", 1)
			time.Sleep(9 * time.Second)
			asked("/metrics", 1)
			asked("/statusz", 2)
			time.Sleep(2 * time.Second)
			asked("/metrics", 3)
			long := "/" + strings.Repeat("x", maxQuestion)
			asked(long, 4)
			asked(long, 5)
		})
	}
}

// TestWithoutAnAnswerNobodyMay has the API server fail, contradict itself, and answer late.
func TestWithoutAnAnswerNobodyMay(t *testing.T) {
	for name, change := range map[string]func(*reviewer){
		"fails":             func(r *reviewer) { r.fails.Store(true) },
		"allows and denies": func(r *reviewer) { r.denies.Store(true) },
		"answers late":      func(r *reviewer) { r.takes = reviewTimeout + time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &reviewer{}
				change(api)
				if got := ask(guarded(t, api), "/metrics", "right"); got != http.StatusForbidden && got != http.StatusUnauthorized {
					t.Errorf("answered with %d", got)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}
