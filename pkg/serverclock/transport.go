package serverclock

import (
	"net/http"
)

// auditID is a header that the API server sets on its answers, and a proxy before it does not.
const auditID = "Audit-Id"

// transport has a clock observe all answers.
type transport struct {
	http.RoundTripper
	clock *Clock
}

// Wrap returns a RoundTripper that observes the answers of another one.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper {
	return transport{next, c}
}

// WrappedRoundTripper returns the one within, for those who look for it.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

// RoundTrip makes the request, and observes the Date of its answer.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := t.clock.local.Now()
	answer, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return answer, err
	}
	answered := t.clock.local.Now()
	if answer.StatusCode >= http.StatusInternalServerError && answer.Header.Get(auditID) == "" {
		return answer, nil // a proxy that cannot reach the API server has a clock of its own
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		t.clock.Observe(sent, answered, date)
	}
	return answer, nil
}
