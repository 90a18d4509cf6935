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

// Package metrics defines all metrics of taint-manager. To add one, add a field and its registration in New.
//
// # Guarantees
//
//   - taint_eviction_controller_pod_deletions_total and taint_eviction_controller_pod_deletion_duration_seconds have the
//     names of the built-in controller's metrics, so that dashboards and alerts keep working. The duration is in seconds;
//     the built-in controller observes nanoseconds times 1e9 under this name.
//   - No label has values that grow with the cluster, such as pods, nodes, namespaces or taints.
package metrics

import (
	"fmt"

	"k8s.io/component-base/metrics"
)

const (
	upstream = "taint_eviction_controller"
	ours     = "taint_manager"
)

// Metrics are the metrics of one taint-manager.
type Metrics struct {
	// PodDeletions counts the pods whose deletion by us the API server accepted.
	PodDeletions *metrics.Counter
	// PodDeletionDuration is the time from a pod's deadline until the API server accepted its deletion, in seconds.
	PodDeletionDuration *metrics.Histogram
	// Lateness is the same time, by whether the accepted attempt was the first one ("first"), followed failed ones ("retry"), had the pod
	// wait for its disruption budget ("budget"), or the pod was held by the eviction brake or the pace of nodes ("held"): the first tells
	// how fast we are, the others how long the API server, the budget or the brake refused.
	Lateness *metrics.HistogramVec
	// Evictions counts attempts by result.
	Evictions *metrics.CounterVec
	// ConditionRejections counts the pods that were deleted without the DisruptionTarget condition, because the API server
	// rejected it.
	ConditionRejections *metrics.Counter
	// UnversionedDeletions counts the pods that were deleted with only their UID as precondition.
	UnversionedDeletions *metrics.Counter
	// SlowNodeReads counts reads of a node for evictions that took a second or more.
	SlowNodeReads *metrics.Counter
	// Scheduled is the number of pods that have a deadline, including those that are due.
	Scheduled *metrics.Gauge
	// ConcurrencyLimit is the number of pods that may be evicted at the same time now.
	ConcurrencyLimit *metrics.Gauge
	// ClockOffset is how far the API server's clock is ahead of this machine's, in seconds.
	ClockOffset *metrics.Gauge
	// Events counts Events by result: written or dropped.
	Events *metrics.CounterVec
	// BrakeOn is 1 while the eviction brake is on, and BrakeNodes the number of nodes that count for it.
	BrakeOn, BrakeNodes *metrics.Gauge
	// HeldEvictions is the number of pods that the eviction brake or the pace of nodes holds.
	HeldEvictions *metrics.Gauge
	// PolicyPods is the number of pods that policies of a mode have to do with, by mode: Delete, Evict, Preview or Keep.
	PolicyPods *metrics.GaugeVec
	// BlockedEvictions is the number of pods that disruption budgets hold.
	BlockedEvictions *metrics.Gauge
	// AuditLines counts lines of the audit log by result: written or dropped. AuditErrors counts writes that failed.
	AuditLines  *metrics.CounterVec
	AuditErrors *metrics.Counter
}

// New registers the metrics. register is legacyregistry.Register in a process, and that of a separate registry in a test.
func New(register func(metrics.Registerable) error) (*Metrics, error) {
	// The buckets reach from 1 ms, as a healthy API server takes, to about 9 minutes, a long outage.
	buckets := metrics.ExponentialBuckets(0.001, 2, 20)
	m := &Metrics{
		PodDeletions: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: upstream, Name: "pod_deletions_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods deleted because of a NoExecute taint since the process started.",
		}),
		PodDeletionDuration: metrics.NewHistogram(&metrics.HistogramOpts{
			Subsystem: upstream, Name: "pod_deletion_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: buckets,
			Help: "Seconds from a Pod's deadline until the API server accepted its deletion.",
		}),
		Lateness: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Subsystem: ours, Name: "eviction_lateness_seconds", StabilityLevel: metrics.ALPHA, Buckets: buckets,
			Help: "Seconds from a Pod's deadline until the API server accepted its deletion, by attempt: first, retry, budget or held.",
		}, []string{"attempt"}),
		Evictions: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: ours, Name: "evictions_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of attempts to evict a Pod, by result: Deleted, Evicted, Gone, Terminating, NameReused, NotDue, Blocked, " +
				"BudgetUnreconciled, BudgetConflict, BudgetInvalid, InProgress, NamespaceTerminating, Held or Error.",
		}, []string{"result"}),
		ConditionRejections: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "disruption_condition_rejections_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods deleted without the DisruptionTarget condition because the API server rejected it.",
		}),
		UnversionedDeletions: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "unversioned_deletions_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods deleted without a resourceVersion precondition because they changed too often.",
		}),
		SlowNodeReads: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "slow_node_reads_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of reads of a Node for evictions that took a second or more.",
		}),
		Scheduled: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "scheduled_evictions", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that have a deadline now, including those that are due.",
		}),
		ConcurrencyLimit: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "eviction_concurrency_limit", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that may be evicted at the same time now. It adapts to the API server.",
		}),
		ClockOffset: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "api_server_clock_offset_seconds", StabilityLevel: metrics.ALPHA,
			Help: "Seconds by which the API server's clock is ahead of this machine's. Negative if it is behind.",
		}),
		Events: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: ours, Name: "events_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of Events, by result: written or dropped.",
		}, []string{"result"}),
		BrakeOn: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "eviction_brake_on", StabilityLevel: metrics.ALPHA,
			Help: "1 while the eviction brake holds evictions, otherwise 0.",
		}),
		BrakeNodes: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "eviction_brake_nodes", StabilityLevel: metrics.ALPHA,
			Help: "Number of Nodes that count for the eviction brake now.",
		}),
		HeldEvictions: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "held_evictions", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that are due, and that the eviction brake or the pace of nodes holds now.",
		}),
		PolicyPods: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Subsystem: ours, Name: "policy_pods", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that policies have to do with now, by mode: those with a deadline by a policy of mode Delete or Evict, those " +
				"that would have one but for mode Preview or --dry-run, and those that mode Keep keeps.",
		}, []string{"mode"}),
		BlockedEvictions: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "blocked_evictions", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that are due, and that disruption budgets do not allow to be evicted now.",
		}),
		AuditLines: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: ours, Name: "audit_log_lines_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of lines of the audit log, by result: written or dropped.",
		}, []string{"result"}),
		AuditErrors: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "audit_log_write_errors_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of writes of the audit log that failed, and are tried again.",
		}),
	}
	for _, metric := range []metrics.Registerable{
		m.PodDeletions, m.PodDeletionDuration, m.Lateness, m.Evictions, m.ConditionRejections, m.UnversionedDeletions,
		m.SlowNodeReads, m.Scheduled, m.ConcurrencyLimit, m.ClockOffset, m.Events,
		m.BrakeOn, m.BrakeNodes, m.HeldEvictions, m.PolicyPods, m.BlockedEvictions,
		m.AuditLines, m.AuditErrors,
	} {
		if err := register(metric); err != nil {
			return nil, fmt.Errorf("registering metric %s: %w", metric.FQName(), err)
		}
	}
	return m, nil
}
