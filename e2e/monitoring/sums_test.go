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

package monitoring

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/manifests"
)

const (
	deletions = "taint_eviction_controller_pod_deletions_total"
	scheduled = "taint_manager_scheduled_evictions"
	leading   = "taint_manager_leading,false"
)

// scraper reads the metrics of replicas.
type scraper struct {
	*harness.Scene
	token string
}

// scrape returns the value of each series of our own that a replica has, by name and label values: of a histogram, how many values it has.
func (s scraper) scrape(replica *harness.Controller) map[string]float64 {
	s.T.Helper()
	status, body, err := harness.Get(s.Context(), replica.URL()+"/metrics", s.token)
	s.Must(err)
	if status != http.StatusOK {
		s.T.Fatalf("metrics of %s: %d: %.200s", replica.Name(), status, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	s.Must(err)
	series := map[string]float64{}
	for name, family := range families {
		if !strings.HasPrefix(name, "taint_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			at := name
			for _, label := range metric.GetLabel() {
				at += "," + label.GetValue()
			}
			series[at] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return series
}

// sums returns the sums over replicas.
func (s scraper) sums(replicas ...*harness.Controller) map[string]float64 {
	s.T.Helper()
	sum := map[string]float64{}
	for _, replica := range replicas {
		for name, value := range s.scrape(replica) {
			sum[name] += value
		}
	}
	return sum
}

// eventually waits until sums over replicas are as wanted.
func (s scraper) eventually(what string, want map[string]float64, replicas ...*harness.Controller) {
	s.T.Helper()
	s.Eventually(what, 30*time.Second, func(context.Context) error {
		got := s.sums(replicas...)
		for name, value := range want {
			if got[name] != value {
				return fmt.Errorf("%s is %v, want %v", name, got[name], value)
			}
		}
		return nil
	})
}

// TestSumsOverAChangeOfLeader has two replicas that see the same, one of which leads, stops, and comes back.
func TestSumsOverAChangeOfLeader(t *testing.T) {
	suite.OursOnly(t, "about our own metrics")
	role, err := manifests.MetricsReader()
	if err != nil {
		t.Fatal(err)
	}
	s := scraper{Scene: suite.Alone(t)}
	s.token = s.Token("scraper", role.Rules)
	first := s.Start(harness.Options{Name: "first", LeaderElect: true})
	atStart := s.scrape(first)
	second := s.Start(harness.Options{Name: "second", LeaderElect: true})
	for _, replica := range []*harness.Controller{first, second} {
		for name, value := range s.scrape(replica) {
			// The first may lead already, and has read its own ConfigMap.
			if value != 0 && !slices.Contains([]string{leading, "taint_manager_eviction_concurrency_limit", "taint_manager_api_server_clock_offset_seconds"}, name) {
				t.Errorf("%s, which has done nothing, says that %s is %v", replica.Name(), name, value)
			}
		}
	}

	node := s.Node()
	const later = 12
	s.Create(later, 4, func(i int) *corev1.Pod {
		return builders.Pod(node, builders.Named(fmt.Sprint("later-", i)), builders.Tolerates("ill", 600))
	})
	s.Taint(node, builders.NoExecute("ill"))
	due := func(n int, name string) {
		pods := s.Create(n, 4, func(i int) *corev1.Pod { return builders.Pod(node, builders.Named(fmt.Sprint(name, i))) })
		s.AwaitAll(pods, time.Now().Add(20*time.Second))
	}
	due(5, "now-")
	s.eventually("the sums", map[string]float64{leading: 1, scheduled: later, deletions: 5, "taint_manager_evictions_total,Deleted": 5}, first, second)
	for name, value := range s.scrape(second) {
		if value != 0 && name != "taint_manager_api_server_clock_offset_seconds" {
			t.Errorf("the standby says that %s is %v", name, value)
		}
	}

	s.Must(first.Stop())
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		got := s.scrape(second)
		if got[leading] > 1 || got[scheduled] != later*got[leading] {
			t.Fatalf("%v lead, and %v pods are scheduled", got[leading], got[scheduled])
		}
		if got[leading] == 1 {
			break
		}
	}
	due(3, "then-")
	s.eventually("the sums under the next leader", map[string]float64{leading: 1, scheduled: later, deletions: 3}, second)
	s.Must(first.Start(s.Context()))
	s.eventually("the sums when the first is back", map[string]float64{leading: 1, scheduled: later, deletions: 3}, first, second)

	names := slices.Sorted(maps.Keys(atStart))
	for _, replica := range []*harness.Controller{first, second} {
		if got := slices.Sorted(maps.Keys(s.scrape(replica))); !slices.Equal(got, names) {
			t.Errorf("%s has other series than a replica that has just started:\n%v\n%v", replica.Name(), got, names)
		}
	}
	s.Saw("%d series of our own, from the start on", len(names))
}
