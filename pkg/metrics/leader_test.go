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

package metrics

import (
	"maps"
	"sync"
	"testing"

	basemetrics "k8s.io/component-base/metrics"
)

// replica is the metrics of one replica, in a registry of its own.
type replica struct {
	*Metrics
	registry basemetrics.KubeRegistry
}

func newReplica(t *testing.T) replica {
	t.Helper()
	r := replica{registry: basemetrics.NewKubeRegistry()}
	var err error
	if r.Metrics, err = New(r.registry.Register); err != nil {
		t.Fatal(err)
	}
	return r
}

// gauges returns the values of all gauges but the clock offset that are not 0, by name and label, summed over replicas.
func gauges(t *testing.T, replicas ...replica) map[string]float64 {
	t.Helper()
	sum := map[string]float64{}
	for _, r := range replicas {
		families, err := r.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					name += "," + label.GetValue()
				}
				if value := metric.GetGauge().GetValue(); value != 0 && name != "taint_manager_api_server_clock_offset_seconds" {
					sum[name] += value
				}
			}
		}
	}
	return sum
}

// TestSumOverReplicas has two replicas know the same, and lead one after another.
func TestSumOverReplicas(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	for _, r := range []replica{a, b} {
		held := r.HeldEvictions.New("Brake")
		r.Leading.New("false").Set(1)
		r.HeldEvictions.New("NodePace")
		r.Scheduled.Set(7)
		r.BrakeOn.Set(1)
		held.Set(3)
	}
	if got := gauges(t, a, b); len(got) != 0 {
		t.Errorf("nobody leads, and the gauges say %v", got)
	}
	want := map[string]float64{
		"taint_manager_leading,false": 1, "taint_manager_scheduled_evictions": 7, "taint_manager_eviction_brake_on": 1, "taint_manager_held_evictions,Brake": 3,
	}
	a.SetLeading(true)
	if got := gauges(t, a, b); !maps.Equal(got, want) {
		t.Errorf("the gauges say %v, want %v", got, want)
	}
	a.SetLeading(false)
	if got := gauges(t, a, b); len(got) != 0 {
		t.Errorf("nobody leads any more, and the gauges say %v", got)
	}
	b.Scheduled.Set(6) // before it leads
	b.SetLeading(true)
	a.Scheduled.Set(6)
	want["taint_manager_scheduled_evictions"] = 6
	if got := gauges(t, a, b); !maps.Equal(got, want) {
		t.Errorf("under the next leader the gauges say %v, want %v", got, want)
	}
	b.Scheduled.Set(0)
	delete(want, "taint_manager_scheduled_evictions")
	if got := gauges(t, a, b); !maps.Equal(got, want) {
		t.Errorf("the gauges say %v, want %v", got, want)
	}
}

// TestLeadershipAndValuesChangeTogether is for the race detector, and sees that the last of both counts.
func TestLeadershipAndValuesChangeTogether(t *testing.T) {
	r := newReplica(t)
	for range 1000 {
		var both sync.WaitGroup
		both.Go(func() { r.Due.Set(5) })
		both.Go(func() { r.SetLeading(true) })
		both.Wait()
		if got := gauges(t, r)["taint_manager_due_evictions"]; got != 5 {
			t.Fatalf("leads, and shows %v", got)
		}
		r.SetLeading(false)
		r.Due.Set(0)
	}
}
