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

package snapshot

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Evidence is what is known of the start of one taint of a node. All times are API times, and zero if there are none.
type Evidence struct {
	Taint deadline.Taint
	// TimeAdded, LastChange and Recorded are what the taint, managedFields and the ConfigMap say, as they are stored.
	TimeAdded, LastChange, Recorded time.Time
	// Start is the start that counts, and By what it comes from. API times are cut to seconds, so the end of the second counts.
	Start time.Time
	By    deadline.Source
	// Period is the start of the not-ready period, for the not-ready taints, and PeriodBy what it comes from.
	Period   time.Time
	PeriodBy deadline.Source
}

// Known reports whether the API or the ConfigMap dates the taint. Otherwise Start is the time of the snapshot, and the controller may have
// seen the taint earlier.
func (e *Evidence) Known() bool {
	return e.By != deadline.ByFirstSight && (e.Period.IsZero() || e.PeriodBy != deadline.ByFirstSight)
}

// Evidence returns what is known of the starts of the taints of a node that may evict, in the order of Taints.
func (s *Snapshot) Evidence(node string) []Evidence {
	known := s.tracker.Known(node)
	all := make([]Evidence, 0, len(known))
	for i, taint := range s.tracker.Taints(node) {
		all = append(all, s.evidence(s.Nodes[node], known[i], taint))
	}
	return all
}

func (s *Snapshot) evidence(node *podcache.Node, known taintstart.Known, taint deadline.Taint) Evidence {
	e := Evidence{
		Taint: taint, TimeAdded: known.Taint.TimeAdded, LastChange: node.Changed, Start: s.API(taint.Start), Period: s.API(taint.Period),
	}
	record := s.Records.Nodes[node.Name]
	if record.UID == node.UID {
		e.Recorded = recordedStart(record.Starts, taint)
		for _, period := range record.Periods {
			if !taint.Period.IsZero() && period.Value == taint.Value {
				e.Recorded = recordedStart(period.On, taint)
			}
		}
	}
	e.By = source(known.Start)
	if !taint.Period.IsZero() {
		e.PeriodBy = source(known.Period)
	}
	return e
}

// source returns what dates a start by the API server's clock. A second that has not ended yet is known, too.
func source(start taintstart.Start) deadline.Source {
	if start.Server.IsZero() {
		return deadline.ByFirstSight
	}
	return start.By
}

func recordedStart(starts []taintstart.RecordedStart, taint deadline.Taint) time.Time {
	i := slices.IndexFunc(starts, func(r taintstart.RecordedStart) bool {
		return r.Key == taint.Key && r.Value == taint.Value && r.NoSchedule == (taint.Effect == v1.TaintEffectNoSchedule)
	})
	if i < 0 {
		return time.Time{}
	}
	return starts[i].Time
}
