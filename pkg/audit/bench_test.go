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

package audit

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
)

// BenchmarkBurst has four evaluators record lines as fast as they can, as when a taint goes from nodes with many scheduled pods, into a real
// file. It reports what part was dropped: with the wait for room, and without it.
func BenchmarkBurst(b *testing.B) {
	for name, stuck := range map[string]bool{"waits for room": false, "drops at once": true} {
		b.Run(name, func(b *testing.B) {
			m := Metrics{
				Lines:  basemetrics.NewCounterVec(&basemetrics.CounterOpts{Name: "lines"}, []string{"result"}),
				Errors: basemetrics.NewCounter(&basemetrics.CounterOpts{Name: "errors"}),
			}
			basemetrics.NewKubeRegistry().MustRegister(m.Lines, m.Errors)
			to, err := File{Path: filepath.Join(b.TempDir(), "audit.log"), MaxSize: 1000}.Open()
			if err != nil {
				b.Fatal(err)
			}
			l := New(to, m)
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() { defer close(ended); l.Run(ctx, time.Minute) }()
			b.ResetTimer()
			var recording sync.WaitGroup
			const evaluators = 4
			for range evaluators {
				recording.Go(func() {
					for i := range b.N / evaluators {
						l.stuck.CompareAndSwap(!stuck, stuck)
						l.Record(record(i))
					}
				})
			}
			recording.Wait()
			b.StopTimer()
			cancel()
			<-ended
			dropped, err := testutil.GetCounterMetricValue(m.Lines.WithLabelValues("dropped"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(dropped/float64(b.N), "dropped/line")
		})
	}
}
