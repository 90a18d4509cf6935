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
//   - No label has values that grow with the cluster, such as pods, nodes, namespaces or taints. Whoever counts by a label sets each of
//     its values to 0 when the process starts, so that increase() sees the first event.
//   - A sum over all replicas is right, also while another replica becomes the leader. Counters and histograms count what the replica itself
//     did. What every replica knows of the cluster is a LeaderGauge: it is 0 on those that do not lead. The one exception is the clock
//     offset, which is about the machine of the replica.
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
	// Lateness is the same time, by the mode in which the pod went, Delete or Evict, and by whether the accepted attempt was the first one
	// ("first"), followed failed ones ("retry"), had the pod wait for its disruption budget ("budget"), or the pod was held by the eviction brake,
	// the pace of nodes or a policy ("held"): the first tells how fast we are, the others how long the API server, the budget or the brake refused.
	Lateness *metrics.HistogramVec
	// Evictions counts attempts by result: evictor.Outcome.
	Evictions *metrics.CounterVec
	// Retries counts the attempts that failed, and will be made again, by reason: evictor.Reason.
	Retries *metrics.CounterVec
	// SparedPods counts the pods that were due by the caches, and not by the live node and pod.
	SparedPods *metrics.Counter
	// ConditionRejections counts the pods that were deleted without the DisruptionTarget condition, because the API server
	// rejected it.
	ConditionRejections *metrics.Counter
	// UnversionedDeletions counts the pods that were deleted with only their UID as precondition.
	UnversionedDeletions *metrics.Counter
	// NodeReadDuration is how long live reads of nodes took for evictions, well or not, in seconds. SlowNodeReads counts those that took a
	// second or more.
	NodeReadDuration *metrics.Histogram
	SlowNodeReads    *metrics.Counter
	// Events counts Events by result: written or dropped.
	Events *metrics.CounterVec
	// AuditLines counts lines of the audit log by result: written or dropped. AuditErrors counts writes that failed.
	AuditLines  *metrics.CounterVec
	AuditErrors *metrics.Counter
	// ClockOffset is how far the API server's clock is ahead of this machine's, in seconds.
	ClockOffset *metrics.Gauge
	// Leading is 1 while this replica leads, by whether it is a dry run: true or false.
	Leading *LeaderGaugeVec
	// Scheduled is the number of pods that have a deadline, including those that are due.
	Scheduled *LeaderGauge
	// Due is the number of pods that are due, and that nothing holds. Overdue is how many of them have been for a while.
	Due, Overdue *LeaderGauge
	// ConcurrencyLimit is the number of pods that may be evicted at the same time now.
	ConcurrencyLimit *LeaderGauge
	// BrakeOn is 1 while the eviction brake is on, and BrakeNodes the number of nodes that count for it.
	BrakeOn, BrakeNodes *LeaderGauge
	// HeldEvictions is the number of pods that are due, and held, by what holds them: brake.Hold.
	HeldEvictions *LeaderGaugeVec
	// BlockedEvictions is the number of pods that disruption budgets hold. LongestBlocked is for how long a budget that pods wait for has let
	// none go, of the budget for which that is longest, in seconds.
	BlockedEvictions, LongestBlocked *LeaderGauge
	// PolicyPods is the number of pods that policies of a mode have to do with, by mode: Delete, Evict, Preview or Keep.
	PolicyPods *LeaderGaugeVec
	// HoldingSince is since when what is meant for a while, and has no end, has been as it is, in Unix time, by kind: Preview or Pause.
	HoldingSince *LeaderGaugeVec

	leadership leadership
}

// New registers the metrics. register is legacyregistry.Register in a process, and that of a separate registry in a test.
func New(register func(metrics.Registerable) error) (*Metrics, error) {
	m := &Metrics{}
	all := append(m.newContract(), m.newAttempts()...)
	all = append(all, m.newGauges()...)
	for _, metric := range all {
		if err := register(metric); err != nil {
			return nil, fmt.Errorf("registering metric %s: %w", metric.FQName(), err)
		}
	}
	return m, nil
}

// SetLeading shows the LeaderGauges, or shows 0 in their place.
func (m *Metrics) SetLeading(leading bool) {
	m.leadership.set(leading)
}

// latenessBuckets reach from 1 ms, as a healthy API server takes, to about 9 minutes, a long outage.
func latenessBuckets() []float64 { return metrics.ExponentialBuckets(0.001, 2, 20) }

// newContract makes the metrics of the built-in controller.
func (m *Metrics) newContract() []metrics.Registerable {
	m.PodDeletions = metrics.NewCounter(&metrics.CounterOpts{
		Subsystem: upstream, Name: "pod_deletions_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of Pods deleted because of a NoExecute taint since the process started.",
	})
	m.PodDeletionDuration = metrics.NewHistogram(&metrics.HistogramOpts{
		Subsystem: upstream, Name: "pod_deletion_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: latenessBuckets(),
		Help: "Seconds from a Pod's deadline until the API server accepted its deletion.",
	})
	return []metrics.Registerable{m.PodDeletions, m.PodDeletionDuration}
}

// newAttempts makes the metrics of what a replica does.
func (m *Metrics) newAttempts() []metrics.Registerable {
	counter := func(name, help string) *metrics.CounterOpts {
		return &metrics.CounterOpts{Subsystem: ours, Name: name, StabilityLevel: metrics.ALPHA, Help: help}
	}
	m.Lateness = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: ours, Name: "eviction_lateness_seconds", StabilityLevel: metrics.ALPHA, Buckets: latenessBuckets(),
		Help: "Seconds from a Pod's deadline until the API server accepted its deletion, by mode: Delete or Evict, and by attempt: first, retry, " +
			"budget or held.",
	}, []string{"mode", "attempt"})
	m.Evictions = metrics.NewCounterVec(counter("evictions_total", "Number of attempts to evict a Pod, by result: Deleted, Evicted, Gone, Terminating, "+
		"NameReused, NotDue, Blocked, BudgetUnreconciled, BudgetConflict, BudgetInvalid, InProgress, NamespaceTerminating, Held or Error."), []string{"result"})
	m.Retries = metrics.NewCounterVec(counter("eviction_retries_total", "Number of attempts to evict a Pod that failed and will be made again, by "+
		"reason: Unreachable, Timeout, TooManyRequests, Forbidden, Denied, WebhookFailed, ServerError or Stale."), []string{"reason"})
	m.SparedPods = metrics.NewCounter(counter("spared_pods_total",
		"Number of Pods that were due by the caches and not by the live Node and Pod, and so were not evicted."))
	m.ConditionRejections = metrics.NewCounter(counter("disruption_condition_rejections_total",
		"Number of Pods deleted without the DisruptionTarget condition because the API server rejected it."))
	m.UnversionedDeletions = metrics.NewCounter(counter("unversioned_deletions_total",
		"Number of Pods deleted without a resourceVersion precondition because they changed too often."))
	m.NodeReadDuration = metrics.NewHistogram(&metrics.HistogramOpts{
		// From 1 ms to 65 s: the API server works on a request for 60 s at most.
		Subsystem: ours, Name: "node_read_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: metrics.ExponentialBuckets(0.001, 2, 17),
		Help: "Seconds that a live read of a Node for evictions took, whether it failed or not.",
	})
	m.SlowNodeReads = metrics.NewCounter(counter("slow_node_reads_total", "Number of reads of a Node for evictions that took a second or more."))
	m.Events = metrics.NewCounterVec(counter("events_total", "Number of Events, by result: written or dropped."), []string{"result"})
	m.AuditLines = metrics.NewCounterVec(counter("audit_log_lines_total", "Number of lines of the audit log, by result: written or dropped."),
		[]string{"result"})
	m.AuditErrors = metrics.NewCounter(counter("audit_log_write_errors_total", "Number of writes of the audit log that failed, and are tried again."))
	return []metrics.Registerable{
		m.Lateness, m.Evictions, m.Retries, m.SparedPods, m.ConditionRejections, m.UnversionedDeletions, m.NodeReadDuration, m.SlowNodeReads, m.Events,
		m.AuditLines, m.AuditErrors,
	}
}

// newGauges makes the gauges. All but the clock offset are shown by the leader only.
func (m *Metrics) newGauges() (all []metrics.Registerable) {
	opts := func(name, help string) *metrics.GaugeOpts {
		return &metrics.GaugeOpts{Subsystem: ours, Name: name, StabilityLevel: metrics.ALPHA, Help: help}
	}
	gauge := func(name, help string) *LeaderGauge {
		g := metrics.NewGauge(opts(name, help+leaderOnly))
		all = append(all, g)
		return m.leadership.gauge(g)
	}
	vector := func(name, label, help string) *LeaderGaugeVec {
		v := metrics.NewGaugeVec(opts(name, help+leaderOnly), []string{label})
		all = append(all, v)
		return &LeaderGaugeVec{vector: v, of: &m.leadership}
	}
	m.ClockOffset = metrics.NewGauge(opts("api_server_clock_offset_seconds",
		"Seconds by which the API server's clock is ahead of the clock of this replica's machine. Negative if it is behind. Not to be summed."))
	all = append(all, m.ClockOffset)
	m.Leading = vector("leading", "dry_run", "1 while this replica leads, by whether it is a dry run, which evicts nothing: true or false.")
	m.Scheduled = gauge("scheduled_evictions", "Number of Pods that have a deadline now, including those that are due.")
	m.Due = gauge("due_evictions", "Number of Pods that are due now, and that no disruption budget, eviction brake or pace of nodes holds.")
	m.Overdue = gauge("overdue_evictions", "Number of Pods that have been due for more than 30 s, and that nothing has held meanwhile.")
	m.ConcurrencyLimit = gauge("eviction_concurrency_limit", "Number of Pods that may be evicted at the same time now. It adapts to the API server.")
	m.BrakeOn = gauge("eviction_brake_on", "1 while the eviction brake holds evictions, otherwise 0.")
	m.BrakeNodes = gauge("eviction_brake_nodes", "Number of Nodes that count for the eviction brake now.")
	m.HeldEvictions = vector("held_evictions", "by", "Number of Pods that are due, and that are held now, by what holds them: Brake or NodePace.")
	m.BlockedEvictions = gauge("blocked_evictions", "Number of Pods that are due, and that disruption budgets do not allow to be evicted now.")
	m.LongestBlocked = gauge("longest_blocked_seconds",
		"Seconds for which a disruption budget that Pods wait for has let none go, of the budget for which that is longest. 0 if no Pod waits.")
	m.PolicyPods = vector("policy_pods", "mode", "Number of Pods that policies have to do with now, by mode: those with a deadline by a policy of mode "+
		"Delete or Evict, those that would have one but for mode Preview or --dry-run, and those that mode Keep keeps.")
	m.HoldingSince = vector("holding_since_timestamp_seconds", "kind", "Unix time of the last change of the oldest policy without expireTime that is "+
		"meant for a while, by kind: Preview, or Pause, which is mode Keep and precedence 0. 0 if there is none.")
	return all
}
