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

package serverclock

import (
	"net/http"
)

// auditID is a header that API servers set on responses. Proxies in front of them do not.
const auditID = "Audit-Id"

// transport reports the Date of all responses to a clock.
type transport struct {
	http.RoundTripper
	clock *Clock
}

// Wrap returns a RoundTripper that reports the responses of another one to the clock.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper {
	return transport{next, c}
}

// WrappedRoundTripper returns the wrapped RoundTripper.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

// RoundTrip sends the request and reports the Date of the response.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := t.clock.local.Now()
	answer, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return answer, err
	}
	answered := t.clock.local.Now()
	if answer.StatusCode >= http.StatusInternalServerError && answer.Header.Get(auditID) == "" {
		return answer, nil // from a proxy, which has another clock
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		t.clock.Observe(sent, answered, date)
	}
	return answer, nil
}
