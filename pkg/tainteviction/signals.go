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
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	basemetrics "k8s.io/component-base/metrics"

	"github.com/taint-manager/taint-manager/pkg/brake"
	"github.com/taint-manager/taint-manager/pkg/budget"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/evictionqueue"
	"github.com/taint-manager/taint-manager/pkg/evictor"
	"github.com/taint-manager/taint-manager/pkg/metrics"
	"github.com/taint-manager/taint-manager/pkg/policy"
)

const (
	// signalInterval is the time between two updates of the gauges that nothing sets as it happens.
	signalInterval = time.Second
	// overdueFor is for how long a pod is due, and nothing holds it, when it is overdue in the metrics. An admission webhook may take 30 s.
	overdueFor = 30 * time.Second
)

// signals are the metrics of attempts by the values of their labels. They are looked up once, when the controller is made: so each value is
// there from the start as 0, and an attempt costs no lookup by label.
type signals struct {
	outcomes map[evictor.Outcome]basemetrics.CounterMetric
	retries  map[evictor.Reason]basemetrics.CounterMetric
	lateness map[latenessLabels]basemetrics.ObserverMetric
	holding  struct{ preview, pause *metrics.LeaderGauge }
}

// latenessLabels are the labels of the metric of lateness.
type latenessLabels struct {
	mode    deadline.Mode
	attempt string
}

// The values of the label attempt say what the attempt at a pod that goes followed.
const (
	attemptFirst  = "first"
	attemptRetry  = "retry"
	attemptBudget = "budget"
	attemptHeld   = "held"
)

func newSignals(m *metrics.Metrics, dryRun bool) *signals {
	m.Leading.New(strconv.FormatBool(dryRun)).Set(1)
	s := &signals{
		outcomes: map[evictor.Outcome]basemetrics.CounterMetric{},
		retries:  map[evictor.Reason]basemetrics.CounterMetric{},
		lateness: map[latenessLabels]basemetrics.ObserverMetric{},
	}
	for _, outcome := range evictor.Outcomes() {
		s.outcomes[outcome] = m.Evictions.WithLabelValues(string(outcome))
	}
	for _, reason := range evictor.Reasons() {
		s.retries[reason] = m.Retries.WithLabelValues(string(reason))
	}
	for _, mode := range []deadline.Mode{deadline.ModeDelete, deadline.ModeEvict} {
		for _, attempt := range []string{attemptFirst, attemptRetry, attemptBudget, attemptHeld} {
			s.lateness[latenessLabels{mode, attempt}] = m.Lateness.WithLabelValues(string(mode), attempt)
		}
	}
	s.holding.preview, s.holding.pause = m.HoldingSince.New("Preview"), m.HoldingSince.New("Pause")
	return s
}

// newHeldGauges returns a gauge for each thing that holds pods.
func newHeldGauges(m *metrics.Metrics) map[brake.Hold]gauge {
	gauges := map[brake.Hold]gauge{}
	for _, by := range []brake.Hold{brake.HeldByBrake, brake.HeldByPace} {
		gauges[by] = m.HeldEvictions.New(string(by))
	}
	return gauges
}

// whatFollows returns what an attempt at a pod follows, as the metric of lateness has it. It is asked before the attempt: as soon as the watch shows
// that the pod goes, it is forgotten.
func (c *Controller) whatFollows(uid types.UID, item evictionqueue.Item, turn *budget.Turn) string {
	switch {
	case c.held.was(uid):
		return attemptHeld
	case turn != nil && turn.Waited, c.tally.Has(uid, policy.Blocked):
		return attemptBudget
	case item.FailedAttempts > 0:
		return attemptRetry
	default:
		return attemptFirst
	}
}

// showSignals sets the gauges that nothing sets as it happens.
func (c *Controller) showSignals() {
	m := c.config.Metrics
	due, overdue := c.taintEvictionQueue.CountDue(overdueFor)
	m.Due.Set(float64(due))
	m.Overdue.Set(float64(overdue))
	if c.budgets != nil {
		m.LongestBlocked.Set(c.budgets.LongestBlocked().Seconds())
	}
	if c.config.Policies != nil {
		preview, pause := c.config.Policies.HoldsSince()
		c.signals.holding.preview.Set(c.unixTime(preview))
		c.signals.holding.pause.Set(c.unixTime(pause))
	}
}

// unixTime returns an API time at a local one, in seconds since 1970; 0 for the zero time.
func (c *Controller) unixTime(local time.Time) float64 {
	if local.IsZero() {
		return 0
	}
	return float64(c.config.ServerClock.At(local).UnixNano()) / float64(time.Second)
}
