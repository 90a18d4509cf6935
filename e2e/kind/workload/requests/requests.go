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

// Package requests sends HTTP requests at a steady rate and counts those that fail.
package requests

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	interval = 50 * time.Millisecond
	// Timeout is for one request, from connecting to the end of the answer. It is long: what is slow has not failed.
	Timeout = 10 * time.Second
	// named is how many failures are told one by one, and longest how many bytes of each: a report has to fit into a
	// termination message, of which the kubelet takes 4 KiB.
	named, longest = 8, 250
)

// Report is what became of the requests.
type Report struct {
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// Failures are the first ones, each with its time.
	Failures []string `json:"failures"`
	// Slowest is the longest time of a request that was answered.
	Slowest time.Duration `json:"slowest"`
	// Servers are how many requests each server answered, by the name that is its answer.
	Servers map[string]int `json:"servers"`
}

// Client returns one whose requests each have a connection of their own, so that each is sent to a server anew.
func Client() *http.Client {
	return &http.Client{Timeout: Timeout, Transport: &http.Transport{DisableKeepAlives: true}}
}

// AwaitAnswer returns when there is an answer, which is not counted.
func AwaitAnswer(ctx context.Context, client *http.Client, url string) error {
	for {
		_, err := get(ctx, client, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer of %s: %w", url, err)
		case <-time.After(interval):
		}
	}
}

// Send begins a request every 50 ms until ctx is over, whether those before have been answered or not, waits for all of
// them, and reports.
func Send(ctx context.Context, client *http.Client, url string) Report {
	var counted counter
	var underWay sync.WaitGroup
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			underWay.Wait()
			return counted.report
		case <-ticker.C:
			underWay.Go(func() {
				began := time.Now()
				server, err := get(context.WithoutCancel(ctx), client, url)
				counted.count(began, time.Since(began), server, err)
			})
		}
	}
}

// counter makes a report.
type counter struct {
	mu     sync.Mutex
	report Report
}

func (c *counter) count(began time.Time, took time.Duration, server string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.report
	r.Requests++
	if err == nil {
		if r.Servers == nil {
			r.Servers = map[string]int{}
		}
		r.Servers[server]++
		r.Slowest = max(r.Slowest, took)
		return
	}
	r.Failed++
	if len(r.Failures) < named {
		text := fmt.Sprintf("%s, %.1f s: %v", began.UTC().Format("15:04:05.000"), took.Seconds(), err)
		r.Failures = append(r.Failures, text[:min(len(text), longest)])
	}
}

// get returns the answer. Any other status than 200 is an error.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	if err = cmp.Or(err, response.Body.Close()); err != nil {
		return "", fmt.Errorf("GET %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return strings.TrimSpace(string(text)), nil
}
