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

package requests

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// roundTripper answers requests by a function of their number, which begins at 1.
type roundTripper struct {
	n      atomic.Int64
	answer func(n int) (*http.Response, error)
}

func (r *roundTripper) RoundTrip(*http.Request) (*http.Response, error) {
	return r.answer(int(r.n.Add(1)))
}

func answer(status int, text string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(text))}
}

// TestSend has 20 requests within a second, of which some fail in each way.
func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: &roundTripper{answer: func(n int) (*http.Response, error) {
			switch n {
			case 3:
				return nil, errors.New("connection refused")
			case 5:
				return answer(http.StatusServiceUnavailable, ""), nil
			case 19: // still under way at the end
				time.Sleep(4 * time.Second)
				return answer(http.StatusOK, "b\n"), nil
			default:
				return answer(http.StatusOK, "a\n"), nil
			}
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 1010*time.Millisecond)
		defer cancel()
		report := Send(ctx, client, "http://ingress.test/")
		if report.Requests != 20 || report.Failed != 2 || report.Servers["a"] != 17 || report.Servers["b"] != 1 || report.Slowest != 4*time.Second {
			t.Errorf("got %+v, want 20 requests, 2 failed, 17 answered by a and 1, which took 4 s, by b", report)
		}
		if len(report.Failures) != 2 || !strings.Contains(report.Failures[0], "connection refused") || !strings.Contains(report.Failures[1], "Service Unavailable") {
			t.Errorf("failures: %q", report.Failures)
		}
	})
}

// TestReportFitsIntoATerminationMessage has every request fail, with a long error.
func TestReportFitsIntoATerminationMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: &roundTripper{answer: func(int) (*http.Response, error) {
			return nil, errors.New(strings.Repeat("long ", 1000))
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		report := Send(ctx, client, "http://ingress.test/")
		text, err := json.Marshal(report)
		if err != nil || len(text) > 4096 || report.Failed != report.Requests || report.Failed < 1000 {
			t.Errorf("%d bytes (%v): %s", len(text), err, text)
		}
	})
}

func TestAwaitAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		client := &http.Client{Transport: &roundTripper{answer: func(int) (*http.Response, error) {
			if time.Since(began) < 3*time.Second {
				return nil, errors.New("connection refused")
			}
			return answer(http.StatusOK, "a"), nil
		}}}
		if err := AwaitAnswer(t.Context(), client, "http://ingress.test/"); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := AwaitAnswer(ctx, client, "http://ingress.test/"); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v, want the reason why there is no answer", err)
		}
	})
}
