// Package metrics has every metric of the taint manager, in one place: adding one is adding a field.
//
// # Guarantees
//
//   - The names taint_eviction_controller_pod_deletions_total and taint_eviction_controller_pod_deletion_duration_seconds
//     are those of the built-in controller, so that dashboards and alerts go on working. The duration is in seconds; the
//     built-in one observes nanoseconds times 1e9 under that name.
//   - No label has values that grow with the cluster: no pod, node, namespace or taint.
package metrics

import (
	"fmt"

	"k8s.io/component-base/metrics"
)

const (
	upstream = "taint_eviction_controller"
	ours     = "taint_manager"
)

// Metrics are the metrics of one taint manager.
type Metrics struct {
	// PodDeletions counts the pods whose deletion by us the API server accepted.
	PodDeletions *metrics.Counter
	// PodDeletionDuration is the time in seconds from a pod's deadline until the API server accepted its deletion.
	PodDeletionDuration *metrics.Histogram
	// Lateness is that time in seconds too, by whether the first attempt was the one that was accepted ("first") or not
	// ("retry"): the first tells how fast we are, the second how long the API server refused.
	Lateness *metrics.HistogramVec
	// Evictions counts attempts by their result.
	Evictions *metrics.CounterVec
	// ConditionRejections counts the pods that were deleted without the DisruptionTarget condition, because the API server
	// rejected it.
	ConditionRejections *metrics.Counter
	// UnversionedDeletions counts the pods that were deleted with their UID alone as precondition.
	UnversionedDeletions *metrics.Counter
	// SlowNodeReads counts the reads of a node, for evictions, that took a second or more.
	SlowNodeReads *metrics.Counter
	// Scheduled is the number of pods that have a deadline, due ones included.
	Scheduled *metrics.Gauge
	// ConcurrencyLimit is the number of pods that may be evicted at the same time now.
	ConcurrencyLimit *metrics.Gauge
	// ClockOffset is by how many seconds the API server's clock is ahead of this machine's.
	ClockOffset *metrics.Gauge
	// Events counts Events by what became of them: written, dropped.
	Events *metrics.CounterVec
}

// New registers the metrics with a registry: legacyregistry.Register in a process, one of its own in a test.
func New(register func(metrics.Registerable) error) (*Metrics, error) {
	// From 1 ms, what a healthy API server takes, to about 9 minutes, a long outage.
	buckets := metrics.ExponentialBuckets(0.001, 2, 20)
	m := &Metrics{
		PodDeletions: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: upstream, Name: "pod_deletions_total", StabilityLevel: metrics.ALPHA,
			Help: "Total number of Pods deleted because of a NoExecute taint since the process started.",
		}),
		PodDeletionDuration: metrics.NewHistogram(&metrics.HistogramOpts{
			Subsystem: upstream, Name: "pod_deletion_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: buckets,
			Help: "Seconds from the moment a Pod was due until the API server accepted its deletion.",
		}),
		Lateness: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Subsystem: ours, Name: "eviction_lateness_seconds", StabilityLevel: metrics.ALPHA, Buckets: buckets,
			Help: "Seconds from a Pod's deadline until its accepted deletion, by whether the first attempt succeeded or a retry.",
		}, []string{"attempt"}),
		Evictions: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: ours, Name: "evictions_total", StabilityLevel: metrics.ALPHA,
			Help: "Attempts to evict a Pod, by result: Deleted, Gone, Terminating, NameReused, NotDue or Error.",
		}, []string{"result"}),
		ConditionRejections: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "disruption_condition_rejections_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods deleted without the DisruptionTarget condition because the API server rejected it.",
		}),
		UnversionedDeletions: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "unversioned_deletions_total", StabilityLevel: metrics.ALPHA,
			Help: "Pods deleted in whatever version they were, because they changed more often than one could be read and deleted.",
		}),
		SlowNodeReads: metrics.NewCounter(&metrics.CounterOpts{
			Subsystem: ours, Name: "slow_node_reads_total", StabilityLevel: metrics.ALPHA,
			Help: "Reads of a Node, for evictions from it, that took a second or more.",
		}),
		Scheduled: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "scheduled_evictions", StabilityLevel: metrics.ALPHA,
			Help: "Pods that have a deadline at the moment, those that are due included.",
		}),
		ConcurrencyLimit: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "eviction_concurrency_limit", StabilityLevel: metrics.ALPHA,
			Help: "Number of Pods that may be evicted at the same time now. It adapts to the API server.",
		}),
		ClockOffset: metrics.NewGauge(&metrics.GaugeOpts{
			Subsystem: ours, Name: "api_server_clock_offset_seconds", StabilityLevel: metrics.ALPHA,
			Help: "Seconds by which the API server's clock is ahead of this machine's; below zero where it is behind.",
		}),
		Events: metrics.NewCounterVec(&metrics.CounterOpts{
			Subsystem: ours, Name: "events_total", StabilityLevel: metrics.ALPHA,
			Help: "Events by what became of them: written or dropped.",
		}, []string{"result"}),
	}
	for _, metric := range []metrics.Registerable{
		m.PodDeletions, m.PodDeletionDuration, m.Lateness, m.Evictions, m.ConditionRejections, m.UnversionedDeletions,
		m.SlowNodeReads, m.Scheduled, m.ConcurrencyLimit, m.ClockOffset, m.Events,
	} {
		if err := register(metric); err != nil {
			return nil, fmt.Errorf("registering metric %s: %w", metric.FQName(), err)
		}
	}
	return m, nil
}
