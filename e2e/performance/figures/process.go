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

package figures

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"k8s.io/component-base/metrics/testutil"
)

// LiveHeapMetric is what the last garbage collection of a process found to be in use, and LastCollectionMetric when that was.
const (
	LiveHeapMetric       = "go_gc_heap_live_bytes"
	LastCollectionMetric = "go_memstats_last_gc_time_seconds"
)

// ProcessorTime returns the processor time, user and system, that this process has used.
func ProcessorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it has no errors but for wrong arguments
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Gauges reads metrics that have no labels from a server.
func Gauges(ctx context.Context, client *http.Client, url string, names ...string) ([]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s answers %s", url, answer.Status)
	}
	families, err := testutil.TextToMetricFamilies(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading metrics of %s: %w", url, err)
	}
	values := make([]float64, len(names))
	for i, name := range names {
		metrics := families[name].GetMetric()
		if len(metrics) != 1 {
			return nil, fmt.Errorf("%s has no metric %s", url, name)
		}
		values[i] = metrics[0].GetGauge().GetValue()
	}
	return values, nil
}
