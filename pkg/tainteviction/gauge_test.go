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
