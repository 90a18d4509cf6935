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

package simulation

import (
	"encoding/json"
	"reflect"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

// maxAnswer is how long an answer that arrives takes at most, and how much the estimate of the API server's clock may be wrong then.
const maxAnswer = 20 * time.Second

// trail is what a replica has written into its audit log, and what the checks remember of its schedule.
type trail struct {
	*replica
	// last is the last line about each pod, and count how many there are.
	last  map[types.UID]*v1alpha1.EvictionRecord
	count map[types.UID]int
	// term is since when the replica led at the last check, and scheduled what it had scheduled then, with the number of lines about it. owed are pods
	// that are not scheduled any more without a line, since when.
	term      time.Time
	scheduled map[types.UID]int
	owed      map[types.UID]time.Time
}

func newTrail(r *replica) *trail {
	return &trail{replica: r, last: map[types.UID]*v1alpha1.EvictionRecord{}, count: map[types.UID]int{}}
}

// Write takes in a line when it is written.
func (t *trail) Write(data []byte) (int, error) {
	line := &v1alpha1.EvictionRecord{}
	t.sim.must(json.Unmarshal(data, line))
	t.sim.note(t.name, "tells of %s: %s, %s", line.Pod.UID, line.Outcome, line.Reason)
	t.sim.lock.Lock()
	defer t.sim.lock.Unlock()
	t.checkLine(line)
	t.last[line.Pod.UID] = line
	t.count[line.Pod.UID]++
	return len(data), nil
}

// Close does nothing.
func (t *trail) Close() error { return nil }

// checkLine looks at what a line says.
func (t *trail) checkLine(line *v1alpha1.EvictionRecord) {
	s, uid := t.sim, line.Pod.UID
	pod := s.history.lastVersion(uid)
	switch {
	case pod == nil || pod.Name != line.Pod.Name || pod.Namespace != line.Pod.Namespace || pod.Spec.NodeName != line.Node:
		s.fail(line.Pod.Name, "a line is about a pod that there is: %s tells of %+v", t.name, line)
		return
	case !s.plan.elects && t.leadsSince.IsZero() && time.Since(t.ledUntil) > 0:
		s.fail(pod.Name, "who does not act writes nothing into its audit log: %s tells of %s", t.name, uid)
	}
	if before := t.last[uid]; before != nil && before.Outcome == v1alpha1.OutcomeEvicted {
		s.fail(pod.Name, "an eviction has one line: %s tells of %s again: %s, %s", t.name, uid, line.Outcome, line.Reason)
	}
	e := s.history.evictions[uid]
	switch {
	case line.Outcome == v1alpha1.OutcomeEvicted:
		t.checkEvicted(line, pod, e)
	case slices.Contains([]v1alpha1.Reason{v1alpha1.ReasonTerminating, v1alpha1.ReasonGone, v1alpha1.ReasonNameReused}, line.Reason):
		if live := s.history.pod(uid); live != nil && live.DeletionTimestamp == nil {
			s.fail(pod.Name, "a line says what became of a pod: %s tells that %s goes, and it does not: %s", t.name, uid, line.Reason)
		}
		if e != nil && e.by == t.replica && !e.answered && !line.AnswerLost {
			s.fail(pod.Name, "a line says where an answer was lost: %s has deleted %s", t.name, uid)
		}
	}
}

// checkEvicted looks at a line about a pod that was evicted.
func (t *trail) checkEvicted(line *v1alpha1.EvictionRecord, pod *v1.Pod, e *eviction) {
	s := t.sim
	wrong := func(what string, args ...any) {
		s.fail(pod.Name, "a line says why and how a pod was evicted: %s tells of %s "+what, append([]any{t.name, line.Pod.UID}, args...)...)
	}
	if e == nil || e.again == 0 && (e.by != t.replica || !e.answered) {
		wrong("and has not been told that it was")
		return
	}
	if e.by != t.replica {
		return // it did so once more
	}
	version := e.version
	if (line.Mode == v1alpha1.ModeEvict) != (e.way == evicted) {
		wrong("and of mode %s: it was %s", line.Mode, e.way)
	}
	if owner := metav1.GetControllerOf(version); (owner == nil) != (line.Owner == nil) || owner != nil && owner.UID != line.Owner.UID {
		wrong("and of another owner: %+v", line.Owner)
	}
	if e.way == deleted && line.ConditionWritten != isMarked(version) {
		wrong("and that its condition was written: %t", line.ConditionWritten)
	}
	if ptr.Deref(line.GracePeriodSeconds, -1) != ptr.Deref(e.grace, -1) {
		wrong("and of another grace period: %v", line.GracePeriodSeconds)
	}
	if line.Attempts < 1 || line.Deadline.After(line.Time.Time) || line.Time.Sub(e.at.Add(s.plan.apiSkew)).Abs() > maxAnswer {
		wrong("and of its times: %+v", line)
	}
	t.checkCause(line, version, wrong)
}

// checkCause looks at the taint and the toleration that a line names.
func (t *trail) checkCause(line *v1alpha1.EvictionRecord, pod *v1.Pod, wrong func(string, ...any)) {
	taint := v1.Taint{Key: line.Taint.Key, Value: line.Taint.Value, Effect: line.Taint.Effect}
	var on, dated bool
	for _, version := range t.sim.history.nodes[line.Node] {
		if version.node == nil || find(version.node, taint) == nil {
			continue
		}
		on = true
		switch start := line.Taint.Start.Time; line.Taint.StartFrom {
		case v1alpha1.SourceTimeAdded:
			dated = dated || secondEnd(addedAt(version.node, taint)).Equal(start)
		case v1alpha1.SourceManagedFields:
			dated = dated || secondEnd(changedAt(version.node)).Equal(start)
		default: // what an earlier process knew, and what this one saw
			dated = true
		}
	}
	if !on || !dated {
		wrong("for a taint that was never there, or dated so: %+v", line.Taint)
	}
	if line.Unversioned {
		return // what it was decided on may be another version
	}
	var tolerating *v1.Toleration
	for i := range pod.Spec.Tolerations {
		if tolerating == nil && tolerates(pod.Spec.Tolerations[i], taint) {
			tolerating = &pod.Spec.Tolerations[i]
		}
	}
	if !reflect.DeepEqual(line.Toleration, tolerating) {
		wrong("by the toleration %+v: it is %+v", line.Toleration, tolerating)
	}
	if reason := map[bool]v1alpha1.Reason{false: v1alpha1.ReasonUntolerated, true: v1alpha1.ReasonTolerationEnds}[tolerating != nil]; reason != line.Reason {
		wrong("for the reason %s: it is %s", line.Reason, reason)
	}
}

// checkTrails looks whether what is not scheduled any more has a line, of replicas that have led all the time since the check before. Where an
// attempt was under way, its end has the line.
func (s *sim) checkTrails() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.replicas {
		t := r.trail
		if r.ended || r.leadsSince.IsZero() || !t.term.Equal(r.leadsSince) {
			t.term, t.scheduled, t.owed = r.leadsSince, map[types.UID]int{}, map[types.UID]time.Time{}
		}
		for uid := range s.history.pods {
			if _, scheduled := r.deadline(uid); scheduled {
				t.scheduled[uid] = t.count[uid]
				delete(t.owed, uid)
				continue
			}
			counted, was := t.scheduled[uid]
			last := t.last[uid]
			told := t.count[uid] > counted || last != nil && (last.Outcome == v1alpha1.OutcomeEvicted || last.Outcome == v1alpha1.OutcomeSpared)
			switch since, owed := t.owed[uid]; {
			case !was:
			case told:
				delete(t.scheduled, uid)
				delete(t.owed, uid)
			case !owed:
				t.owed[uid] = time.Now()
			case time.Since(since) > s.mayOwe():
				s.fail(podName(s, uid), "what becomes of an eviction has a line: %s has not told of %s", r.name, uid)
			}
		}
	}
}

// mayOwe is how long an attempt may take.
func (s *sim) mayOwe() time.Duration {
	if s.plan.calm {
		return onTime
	}
	return 5 * time.Minute
}

// checkLines looks whether each eviction has a line that a replica has been told of which goes on.
func (s *sim) checkLines() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for uid, e := range s.history.evictions {
		if last := e.by.trail.last[uid]; e.answered && !e.by.ended && (last == nil || last.Outcome != v1alpha1.OutcomeEvicted) {
			s.fail(podName(s, uid), "an eviction has one line: %s has none about %s", e.by.name, uid)
		}
	}
}
