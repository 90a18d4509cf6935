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
	"sync"

	"k8s.io/component-base/metrics"
)

// leaderOnly ends the help of each LeaderGauge.
const leaderOnly = " 0 on replicas that do not lead."

// LeaderGauge is a gauge of what each replica knows of the whole cluster. It shows its value while this replica leads, and otherwise 0, so that
// the sum over all replicas is the value. It is safe for concurrent use.
type LeaderGauge struct {
	of    *leadership
	shown metrics.GaugeMetric
	value float64
}

// Set sets the value.
func (g *LeaderGauge) Set(value float64) {
	g.of.lock.Lock()
	defer g.of.lock.Unlock()
	g.value = value
	g.show()
}

// show shows the value, or 0.
func (g *LeaderGauge) show() {
	if g.of.leading {
		g.shown.Set(g.value)
	} else {
		g.shown.Set(0)
	}
}

// LeaderGaugeVec is one LeaderGauge for each value of a label.
type LeaderGaugeVec struct {
	vector *metrics.GaugeVec
	of     *leadership
}

// New returns the gauge of a value of the label, which shows 0 from now on. It is called once for each value, after the registration.
func (v *LeaderGaugeVec) New(value string) *LeaderGauge {
	return v.of.gauge(v.vector.WithLabelValues(value))
}

// leadership is whether this replica leads, and the gauges that show it.
type leadership struct {
	lock    sync.Mutex
	leading bool
	gauges  []*LeaderGauge
}

// gauge adds a gauge.
func (l *leadership) gauge(shown metrics.GaugeMetric) *LeaderGauge {
	l.lock.Lock()
	defer l.lock.Unlock()
	g := &LeaderGauge{of: l, shown: shown}
	l.gauges = append(l.gauges, g)
	g.show()
	return g
}

// set sets whether this replica leads.
func (l *leadership) set(leading bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.leading = leading
	for _, g := range l.gauges {
		g.show()
	}
}
