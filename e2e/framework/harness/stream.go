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

package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const (
	// streamTaint is the key of the taint by which a stream's pods have to go, and streamSecond of one that they tolerate.
	streamTaint, streamSecond = "stream", "second"
	// StreamStep is the time between two pods that fall due.
	StreamStep = 50 * time.Millisecond
	// streamNodes are tainted one after another within a second.
	streamNodes = int(time.Second / StreamStep)
)

// Stream is pods that fall due one after another, a step apart, at moments that everybody knows exactly who saw the taints
// being added. Beside them are some that have to stay.
type Stream struct {
	scene   *Scene
	nodes   []string
	first   int // seconds that the first pod of each node tolerates the taint for
	due     []*corev1.Pod
	stay    []*corev1.Pod
	tainted []timing.Moment
}

// Stream makes the nodes and pods of one that begins so many seconds after the nodes are tainted, and goes on for as many as
// told. It waits until they run.
func (s *Scene) Stream(name string, first, seconds int) *Stream {
	s.T.Helper()
	st := &Stream{scene: s, nodes: s.Nodes(streamNodes), first: first}
	pod := func(kind string, i int, toleration builders.Change) *corev1.Pod {
		return builders.Pod(st.nodes[i%streamNodes], builders.Named(fmt.Sprintf("%s-%s-%d", name, kind, i)), toleration, builders.ToleratesForever(streamSecond))
	}
	st.due = s.Many(streamNodes*seconds, func(i int) *corev1.Pod {
		return pod("due", i, builders.Tolerates(streamTaint, int64(first+i/streamNodes)))
	})
	st.stay = s.Many(2*streamNodes, func(i int) *corev1.Pod { return pod("stay", i, builders.ToleratesForever(streamTaint)) })
	return st
}

// Begin taints the nodes, a step apart.
func (st *Stream) Begin() {
	st.scene.T.Helper()
	began := time.Now()
	for i, node := range st.nodes {
		st.scene.until(began.Add(time.Duration(i)*StreamStep), func() bool { return false })
		st.tainted = append(st.tainted, st.scene.Taint(node, builders.NoExecute(streamTaint)))
	}
}

// Second adds a taint that all pods tolerate. Whoever did not see the first being added takes it for no older than this one.
func (st *Stream) Second() {
	st.scene.T.Helper()
	for _, node := range st.nodes {
		st.scene.Taint(node, builders.NoExecute(streamTaint), builders.NoExecute(streamSecond))
	}
}

// At waits until so many seconds after the first node was tainted.
func (st *Stream) At(seconds float64) {
	st.scene.until(st.tainted[0].After.Add(time.Duration(seconds*float64(time.Second))), func() bool { return false })
}

// dueAt is when a pod was due at the earliest, and at the latest.
func (st *Stream) dueAt(i int) timing.Moment {
	m, seconds := st.tainted[i%len(st.nodes)], time.Duration(st.first+i/len(st.nodes))*time.Second
	return timing.Moment{Before: m.Before.Add(seconds), After: m.After.Add(seconds)}
}

// Misdated is by how much later than it was the Events say at most that a pod was due. They say that in whole seconds.
func (st *Stream) Misdated(events []corev1.Event) (worst time.Duration) {
	st.scene.T.Helper()
	due := map[types.UID]time.Time{}
	for i, pod := range st.due {
		due[pod.UID] = st.dueAt(i).After
	}
	for i := range events {
		_, rest, found := strings.Cut(events[i].Message, "; due at ")
		said, _, _ := strings.Cut(rest, ",")
		at, known := due[events[i].InvolvedObject.UID]
		if !found || !known {
			st.scene.T.Fatalf("an Event about %s says %q", events[i].InvolvedObject.Name, events[i].Message)
		}
		moment, err := time.Parse(time.RFC3339, said)
		st.scene.Must(err)
		worst = max(worst, moment.Sub(at))
	}
	return worst
}

// Figures are what came of a stream.
type Figures struct {
	// Late is by how much the latest pod was late, and LateFrom that of those that fell due after a moment.
	Late, LateFrom time.Duration
	// Gap is the longest time without an eviction.
	Gap time.Duration
}

// Ends waits until all pods that have to go do so, prints how many that are, and how many went in error, and fails the test
// where the figures are not right.
func (st *Stream) Ends(patience time.Duration, from time.Time) (f Figures) {
	s := st.scene
	s.T.Helper()
	last := st.dueAt(len(st.due) - 1).After
	outcomes := s.AwaitAll(st.due, last.Add(patience))
	gone, wrong, before := 0, 0, time.Time{}
	for i, outcome := range outcomes {
		due := st.dueAt(i)
		switch {
		case !outcome.Evicted:
			continue
		case outcome.At.Before(due.Before):
			wrong++
			s.T.Errorf("pod %s was evicted %s EARLY", st.due[i].Name, due.Before.Sub(outcome.At))
			continue
		}
		gone++
		late := outcome.At.Sub(due.After)
		f.Late = max(f.Late, late)
		if due.Before.After(from) {
			f.LateFrom = max(f.LateFrom, late)
		}
	}
	times := s.Going(st.due)
	slices.SortFunc(times, time.Time.Compare)
	for _, at := range times {
		if !before.IsZero() {
			f.Gap = max(f.Gap, at.Sub(before))
		}
		before = at
	}
	wrong += s.deleted(st.stay)
	s.Saw("%d pods had to go, %d are gone; %d had to stay; %d were deleted in error; worst lateness %.2f s, longest time without an eviction %.2f s",
		len(st.due), gone, len(st.stay), wrong, f.Late.Seconds(), f.Gap.Seconds())
	if gone != len(st.due) {
		s.T.Errorf("%d of %d are gone", gone, len(st.due))
	}
	return f
}
