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

package tainteviction

import (
	"fmt"
	"sync"
	"testing"
)

// TestScheduledGauge evaluates pods at the same time, again and again.
func TestScheduledGauge(t *testing.T) {
	bubble(t, func(f *fixture) {
		const pods, rounds = 8, 10000
		for i := range pods {
			f.api.AddPod(fmt.Sprint("p", i), "n", tolerating("a", 1000))
		}
		f.startFollower()
		f.c.config.Metrics.SetLeading(true)
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		for range rounds {
			var evaluating sync.WaitGroup
			for i := range pods {
				pod := f.c.pods.Get("default", fmt.Sprint("p", i))
				f.c.taintEvictionQueue.Cancel(pod.UID)
				evaluating.Go(func() { f.c.evaluate(t.Context(), keyOf(pod)) })
			}
			evaluating.Wait()
			f.counts("taint_manager_scheduled_evictions", float64(f.c.taintEvictionQueue.Len()))
			if t.Failed() {
				return
			}
		}
	})
}
