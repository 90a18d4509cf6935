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

package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is more than any answer that is read here.
const maxBody = 16 << 20

// Get asks a server, with a bearer token unless it is empty, and returns the status code and the body. The server's
// certificate is not verified: controllers make their own.
func Get(ctx context.Context, url, token string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", url, err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := anyone().Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", url, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", url, err)
	}
	return answer.StatusCode, string(body), nil
}

// anyone is an HTTP client without credentials, for a server that made its certificate itself.
func anyone() *http.Client {
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
}

// Ask asks the controller for a path, with a token unless that is empty.
func (s *Scene) Ask(path, token string) (status int, body string) {
	s.T.Helper()
	status, body, err := Get(s.Context(), s.Controller.URL()+path, token)
	s.Must(err)
	return status, body
}

// Metric reads the sum of a metric of the controller, with all labels that contain a text, with the token of somebody who may.
func (s *Scene) Metric(token, name, label string) float64 {
	s.T.Helper()
	status, body := s.Ask("/metrics", token)
	if status != http.StatusOK {
		s.T.Fatalf("metrics: %d: %.200s", status, body)
	}
	sum := 0.0
	for line := range strings.Lines(body) {
		at, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if metric, labels, _ := strings.Cut(at, "{"); !found || metric != name || !strings.Contains(labels, label) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		s.Must(err)
		sum += number
	}
	return sum
}
