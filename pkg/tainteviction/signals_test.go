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
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// series returns the value of each series of a controller's own metrics, by name and labels: of a histogram, how many values it has.
func (f *fixture) series() map[string]float64 {
	f.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			series[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return series
}

// allSeries are the series of a controller, all of which are there from the start.
var allSeries = []string{
	`taint_eviction_controller_pod_deletion_duration_seconds{}`,
	`taint_eviction_controller_pod_deletions_total{}`,
	`taint_manager_api_server_clock_offset_seconds{}`,
	`taint_manager_audit_log_write_errors_total{}`,
	`taint_manager_blocked_evictions{}`,
	`taint_manager_disruption_condition_rejections_total{}`,
	`taint_manager_due_evictions{}`,
	`taint_manager_events_total{result="dropped"}`,
	`taint_manager_events_total{result="written"}`,
	`taint_manager_eviction_brake_nodes{}`,
	`taint_manager_eviction_brake_on{}`,
	`taint_manager_eviction_concurrency_limit{}`,
	`taint_manager_eviction_lateness_seconds{attempt="budget",mode="Delete"}`,
	`taint_manager_eviction_lateness_seconds{attempt="budget",mode="Evict"}`,
	`taint_manager_eviction_lateness_seconds{attempt="first",mode="Delete"}`,
	`taint_manager_eviction_lateness_seconds{attempt="first",mode="Evict"}`,
	`taint_manager_eviction_lateness_seconds{attempt="held",mode="Delete"}`,
	`taint_manager_eviction_lateness_seconds{attempt="held",mode="Evict"}`,
	`taint_manager_eviction_lateness_seconds{attempt="retry",mode="Delete"}`,
	`taint_manager_eviction_lateness_seconds{attempt="retry",mode="Evict"}`,
	`taint_manager_eviction_retries_total{reason="Denied"}`,
	`taint_manager_eviction_retries_total{reason="Forbidden"}`,
	`taint_manager_eviction_retries_total{reason="ServerError"}`,
	`taint_manager_eviction_retries_total{reason="Stale"}`,
	`taint_manager_eviction_retries_total{reason="Timeout"}`,
	`taint_manager_eviction_retries_total{reason="TooManyRequests"}`,
	`taint_manager_eviction_retries_total{reason="Unreachable"}`,
	`taint_manager_eviction_retries_total{reason="WebhookFailed"}`,
	`taint_manager_evictions_total{result="Blocked"}`,
	`taint_manager_evictions_total{result="BudgetConflict"}`,
	`taint_manager_evictions_total{result="BudgetInvalid"}`,
	`taint_manager_evictions_total{result="BudgetUnreconciled"}`,
	`taint_manager_evictions_total{result="Deleted"}`,
	`taint_manager_evictions_total{result="Error"}`,
	`taint_manager_evictions_total{result="Evicted"}`,
	`taint_manager_evictions_total{result="Gone"}`,
	`taint_manager_evictions_total{result="Held"}`,
	`taint_manager_evictions_total{result="InProgress"}`,
	`taint_manager_evictions_total{result="NameReused"}`,
	`taint_manager_evictions_total{result="NamespaceTerminating"}`,
	`taint_manager_evictions_total{result="NotDue"}`,
	`taint_manager_evictions_total{result="Terminating"}`,
	`taint_manager_held_evictions{by="Brake"}`,
	`taint_manager_held_evictions{by="NodePace"}`,
	`taint_manager_holding_since_timestamp_seconds{kind="Pause"}`,
	`taint_manager_holding_since_timestamp_seconds{kind="Preview"}`,
	`taint_manager_leading{dry_run="false"}`,
	`taint_manager_longest_blocked_seconds{}`,
	`taint_manager_node_read_duration_seconds{}`,
	`taint_manager_overdue_evictions{}`,
	`taint_manager_policy_pods{mode="Delete"}`,
	`taint_manager_policy_pods{mode="Evict"}`,
	`taint_manager_policy_pods{mode="Keep"}`,
	`taint_manager_policy_pods{mode="Preview"}`,
	`taint_manager_scheduled_evictions{}`,
	`taint_manager_slow_node_reads_total{}`,
	`taint_manager_spared_pods_total{}`,
	`taint_manager_unversioned_deletions_total{}`,
}

// expectSeries fails the test unless there are all series and no others.
func (f *fixture) expectSeries() (values map[string]float64) {
	f.Helper()
	values = f.series()
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, allSeries) {
		f.Errorf("there are the series\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(allSeries, "\n"))
	}
	return values
}

// TestAllSeriesFromTheStart has a controller that has done nothing yet.
func TestAllSeriesFromTheStart(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.startFollower()
		for name, value := range f.expectSeries() {
			if value != 0 {
				t.Errorf("%s is %v", name, value)
			}
		}
	})
}

// refuse returns an answer with an error.
func refuse(code int32, message string) *http.Response {
	return apitest.Failure(&apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}})
}

// TestSeriesDoNotGrow has pods of many namespaces, nodes and taints go in all ways, fail in many, and wait.
func TestSeriesDoNotGrow(t *testing.T) {
	const nodes, each = 20, 10
	codes := []int32{400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 599}
	bubble(t, func(f *fixture) {
		var sent atomic.Int32
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet || strings.HasSuffix(req.URL.Path, "/events") {
				return nil, nil
			}
			if n := sent.Add(1); n%3 == 0 {
				return refuse(codes[int(n)%len(codes)], fmt.Sprint("no ", n)), nil
			}
			return nil, nil
		}
		f.start(evicts(), braked())
		for i := range nodes {
			node := fmt.Sprint("node-", i)
			f.api.AddNode(node)
			for j := range each {
				f.api.AddPod(fmt.Sprintf("pod-%d-%d", i, j), node, func(pod *v1.Pod) { pod.Labels = map[string]string{"app": fmt.Sprint("app-", j)} })
			}
			f.api.Taint(node, taintOf(fmt.Sprint("taint-", i)))
			f.wait(700) // so that the brake is not on all the time
		}
		f.wait(3600)
		values := f.expectSeries()
		if values[`taint_manager_evictions_total{result="Error"}`] < 10 || values["taint_eviction_controller_pod_deletions_total{}"] < nodes*each*9/10 {
			t.Errorf("so little happened that this shows nothing: %v", values)
		}
	})
}

// TestDueAndOverdue has the API server refuse to delete a pod, and then do it. Another one waits for the brake.
func TestDueAndOverdue(t *testing.T) {
	bubble(t, func(f *fixture) {
		var refuses atomic.Bool
		refuses.Store(true)
		f.api.Intercept = func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodDelete && refuses.Load() {
				return refuse(http.StatusInternalServerError, `Internal error occurred: failed calling webhook "x"`), nil
			}
			return nil, nil
		}
		f.api.AddPod("p", "n")
		f.api.AddPod("later", "n", tolerating("a", 300))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(2)
		f.counts("taint_manager_due_evictions", 1)
		f.counts("taint_manager_overdue_evictions", 0)
		f.wait(30)
		f.counts("taint_manager_due_evictions", 1)
		f.counts("taint_manager_overdue_evictions", 1)
		refuses.Store(false)
		f.wait(31)
		f.counts("taint_manager_due_evictions", 0)
		f.counts("taint_manager_overdue_evictions", 0)
		f.counts("taint_manager_scheduled_evictions", 1)
		values := f.series()
		retries := values[`taint_manager_eviction_retries_total{reason="WebhookFailed"}`]
		if retries < 5 || retries != values[`taint_manager_evictions_total{result="Error"}`] || values[`taint_manager_eviction_lateness_seconds{attempt="retry",mode="Delete"}`] != 1 {
			t.Errorf("got %v", values)
		}
		f.stop()
		f.stop = nil
		for name, value := range f.series() {
			if value != 0 && strings.Contains(name, "scheduled") {
				t.Errorf("does not lead any more, and %s is %v", name, value)
			}
		}
	})
}

// TestSparedPodsAreCountedOnce has a pod that is due by the caches only, and is checked again and again.
func TestSparedPodsAreCountedOnce(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 10))
		f.api.AddPod("q", "n", tolerating("a", 10))
		f.start()
		f.api.Taint("n", taintOf("a"))
		f.wait(9)
		f.api.Lag("nodes", 10*time.Second)
		f.api.Taint("n")
		f.wait(20)
		f.exists(true, "p", "q")
		if n := f.series()[`taint_manager_evictions_total{result="NotDue"}`]; n < 4 {
			t.Errorf("%v attempts", n)
		}
		f.counts("taint_manager_spared_pods_total", 2)
		if n := f.series()["taint_manager_node_read_duration_seconds{}"]; n < 1 {
			t.Errorf("%v reads of the node", n)
		}
	})
}

// TestLongestBlocked has a budget that lets no pod go.
func TestLongestBlocked(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("a", "n", of("web"))
		f.api.AddBudget("web", "web", 1)
		f.api.ReconcileBudgets()
		f.start(evicts(func(p *deadline.Policy) { p.DeleteAfter = nil }))
		f.api.Taint("n", taintOf("a"))
		f.wait(4000) // over several probes
		if got := f.series()["taint_manager_longest_blocked_seconds{}"]; got < 3980 || got > 4000 {
			t.Errorf("blocked for %v s", got)
		}
		f.counts("taint_manager_overdue_evictions", 0)
		f.counts("taint_manager_due_evictions", 0)
		f.api.Taint("n")
		f.wait(2)
		f.counts("taint_manager_longest_blocked_seconds", 0)
	})
}

// TestHoldingSince has a preview and a pause.
func TestHoldingSince(t *testing.T) {
	policyBubble(t, func(f *policyFixture) {
		f.start()
		began := time.Now()
		f.policy("preview", "{matchingPrecedence: 1, mode: Preview}")
		f.wait(100)
		f.policy("pause", "{matchingPrecedence: 0, mode: Keep, taints: [{key: a}]}")
		f.wait(2)
		values := f.series()
		for kind, want := range map[string]float64{"Preview": 0, "Pause": 100} {
			got := values[fmt.Sprintf("taint_manager_holding_since_timestamp_seconds{kind=%q}", kind)] - float64(began.Unix())
			if got < want-1 || got > want+2 {
				t.Errorf("%s since %v s after the start, want %v", kind, got, want)
			}
		}
		f.deletePolicy("preview")
		f.deletePolicy("pause")
		f.wait(2)
		f.counts("taint_manager_holding_since_timestamp_seconds", 0)
	})
}

// TestFirstIsWithoutAReason has pods go late for what operators chose: by the label attempt they are not those that were tried first.
func TestFirstIsWithoutAReason(t *testing.T) {
	first := []string{`taint_manager_eviction_lateness_seconds{attempt="first",mode="Delete"}`, `taint_manager_eviction_lateness_seconds{attempt="first",mode="Evict"}`}
	for name, test := range map[string]struct {
		policies []string
		later    func(f *policyFixture)
		want     string
	}{
		"a pause is over": {
			[]string{"{matchingPrecedence: 0, mode: Keep}"}, func(f *policyFixture) { f.deletePolicy("p0") },
			`taint_manager_eviction_lateness_seconds{attempt="held",mode="Delete"}`,
		},
		"a preview is over": {
			[]string{"{matchingPrecedence: 1, mode: Preview, taints: [{key: a}]}"}, func(f *policyFixture) { f.deletePolicy("p0") },
			`taint_manager_eviction_lateness_seconds{attempt="held",mode="Delete"}`,
		},
		"a budget is gone": {
			[]string{"{matchingPrecedence: 1, mode: Evict, taints: [{key: a}], evict: {deleteAfter: Never}}"}, func(f *policyFixture) {
				f.api.Remove(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
			},
			`taint_manager_eviction_lateness_seconds{attempt="budget",mode="Evict"}`,
		},
		"a budget was waited for long enough": {
			[]string{"{matchingPrecedence: 1, mode: Evict, taints: [{key: a}], evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 60}}"},
			func(f *policyFixture) { f.wait(30) },
			`taint_manager_eviction_lateness_seconds{attempt="budget",mode="Delete"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			policyBubble(t, func(f *policyFixture) {
				for i, spec := range test.policies {
					f.policy(fmt.Sprint("p", i), spec)
				}
				f.api.AddPod("p", "n", of("web"))
				f.api.AddBudget("web", "web", 1)
				f.api.ReconcileBudgets()
				f.start(func(c *Config) { c.Budgets = c.Events })
				f.api.Taint("n", taintOf("a"))
				f.wait(40)
				f.exists(true, "p")
				test.later(f)
				f.wait(12)
				f.exists(false, "p")
				values := f.series()
				if values[test.want] != 1 || values[first[0]]+values[first[1]] != 0 {
					t.Errorf("got %v", values)
				}
				if n := len(f.c.held.pods); n != 0 {
					t.Errorf("%d pods are remembered that are gone", n)
				}
			})
		})
	}
}

// TestNextLeaderShowsTheGauges has a replica cease to lead, and lead again.
func TestNextLeaderShowsTheGauges(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.api.AddPod("p", "n", tolerating("a", 3000))
		f.startFollower()
		f.api.Taint("n", taintOf("a"))
		f.wait(1)
		f.counts("taint_manager_scheduled_evictions", 0)
		for range 2 {
			ctx, cancel := context.WithCancel(f.context())
			ended := make(chan struct{})
			go func() { defer close(ended); f.c.Lead(ctx) }()
			f.wait(1)
			f.counts("taint_manager_leading", 1)
			f.counts("taint_manager_scheduled_evictions", 1)
			cancel()
			<-ended
			f.counts("taint_manager_leading", 0)
			f.counts("taint_manager_scheduled_evictions", 0)
		}
	})
}
