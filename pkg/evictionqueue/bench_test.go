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

package evictionqueue

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// BenchmarkAllFail measures the cost of an attempt while every attempt fails, with 13 pods due on each node, in 10 namespaces that have one
// pod in flight each. After each item that is handed out, the queue looks once more, in vain.
func BenchmarkAllFail(b *testing.B) {
	for _, nodes := range []int{100, 1000, 6500} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			q := New(clock.RealClock{}, 20, noGauge{})
			for i := range 13 * nodes {
				q.Set(pod(fmt.Sprint("p", i), fmt.Sprint("n", i%nodes), fmt.Sprint("ns", i/nodes%10)), time.Now())
			}
			var running []Item
			next := func() (more bool) {
				q.lock.Lock()
				defer q.lock.Unlock()
				q.collect(time.Now())
				e := q.next(time.Now())
				if e != nil {
					running = append(running, e.item())
				}
				return e != nil
			}
			attempt := func() {
				q.Retry(running[0], time.Nanosecond)
				running = running[1:]
				for next() {
				}
			}
			for next() {
			}
			for range 100 {
				attempt()
			}
			for b.Loop() {
				attempt()
			}
			if len(running) != 10 {
				b.Errorf("%d are in flight", len(running))
			}
		})
	}
}
