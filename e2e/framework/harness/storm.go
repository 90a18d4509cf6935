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
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const (
	// stormTaint is the key of the taint by which a storm's pods have to go.
	stormTaint = "storm"
	// sparedSeconds is how long the pods of the spared node tolerate it: long enough for Spare to come in time, and so short
	// that they would have to go during a fault.
	sparedSeconds = 10
	// bystanders is how many pods of each kind have to stay.
	bystanders = 20

	// When a fault has ended, all that is left has to be gone within recovery and the time that so many take at recoveryPace
	// for each second.
	recovery     = 15 * time.Second
	recoveryPace = 50
)

// Storm is many pods that fall due at the same moment, and beside them pods that have to stay: they tolerate the taint, are on
// another node, or are on a node whose taint is removed in time.
type Storm struct {
	scene  *Scene
	nodes  []string
	spared string
	due    []*corev1.Pod
	stay   []*corev1.Pod
	began  timing.Moment
}

// Storm makes the nodes and the pods of one, and waits until these run.
func (s *Scene) Storm(pods, nodes int) *Storm {
	s.T.Helper()
	st := &Storm{scene: s, nodes: s.Nodes(nodes), spared: s.Node()}
	elsewhere := s.Node()
	st.due = s.Many(pods, func(i int) *corev1.Pod {
		return builders.Pod(st.nodes[i%nodes], builders.Named(fmt.Sprintf("due-%d", i)))
	})
	st.stay = s.Many(4*bystanders, func(i int) *corev1.Pod {
		node, kind := st.nodes[i%nodes], i%4
		return []func() *corev1.Pod{
			func() *corev1.Pod {
				return builders.Pod(node, builders.Named(fmt.Sprintf("forever-%d", i)), builders.ToleratesForever(stormTaint))
			},
			func() *corev1.Pod {
				return builders.Pod(node, builders.Named(fmt.Sprintf("long-%d", i)), builders.Tolerates(stormTaint, 600))
			},
			func() *corev1.Pod { return builders.Pod(elsewhere, builders.Named(fmt.Sprintf("elsewhere-%d", i))) },
			func() *corev1.Pod {
				return builders.Pod(st.spared, builders.Named(fmt.Sprintf("spared-%d", i)), builders.Tolerates(stormTaint, sparedSeconds))
			},
		}[kind]()
	})
	return st
}

// Begin taints the nodes.
func (st *Storm) Begin() {
	st.scene.T.Helper()
	m := st.scene.Taint(st.spared, builders.NoExecute(stormTaint))
	for _, node := range st.nodes {
		m.After = st.scene.Taint(node, builders.NoExecute(stormTaint)).After
	}
	st.began = m
}

// Spare removes the taint of the node whose pods do not have to go yet.
func (st *Storm) Spare() {
	st.scene.T.Helper()
	if m := st.scene.Untaint(st.spared); m.After.Sub(st.began.Before) > sparedSeconds*time.Second-time.Second {
		st.scene.T.Fatalf("the machine is too slow: the taint was removed %s after the beginning", m.After.Sub(st.began.Before))
	}
}

// AwaitGone waits until such a part of the pods is going, and fails the test if all are: then a fault comes too late.
func (st *Storm) AwaitGone(part float64) {
	st.scene.T.Helper()
	want := int(part * float64(len(st.due)))
	st.scene.Eventually(fmt.Sprintf("%d pods gone", want), time.Minute, func(context.Context) error {
		if left := st.Left(); left > len(st.due)-want {
			return fmt.Errorf("%d of %d are left", left, len(st.due))
		}
		return nil
	})
	st.Unfinished()
}

// Unfinished fails the test if the storm is over.
func (st *Storm) Unfinished() {
	st.scene.T.Helper()
	if st.Left() == 0 {
		st.scene.T.Fatal("the storm was over before the fault began")
	}
}

// Calm watches until the moment, and fails the test if a pod that has to stay begins to go before.
func (st *Storm) Calm(until time.Time) {
	st.scene.T.Helper()
	st.scene.watch.Await(st.scene.Context(), until, func(seen *podwatch.Sightings) bool { return seen.Left(st.stay) < len(st.stay) })
	if st.scene.deleted(st.stay) > 0 {
		st.scene.T.FailNow()
	}
}

// Left counts the pods that have to go and do not yet.
func (st *Storm) Left() int { return st.scene.left(st.due) }

// Gone is when those pods began to go that had to and do, by name, as the watch has it.
func (st *Storm) Gone() map[string]time.Time {
	gone := map[string]time.Time{}
	for i, at := range st.scene.Going(st.due) {
		if !at.IsZero() {
			gone[st.due[i].Name] = at
		}
	}
	return gone
}

// Recovers waits until all pods that have to go do so, and until those that were spared would have gone. It prints how many
// that are, and how many went that should not have, and fails the test where the figures are not right or come too late. The
// moment is when the fault ended.
func (st *Storm) Recovers(over timing.Moment) {
	s := st.scene
	s.T.Helper()
	left := st.Left()
	within := recovery + time.Duration(left)*time.Second/recoveryPace
	s.until(over.After.Add(2*within), func() bool { return st.Left() == 0 }) // later than it has to be, to say how late it was
	s.until(st.began.After.Add(sparedSeconds*time.Second+2*time.Second), func() bool { return false })

	gone, wrong, last := 0, 0, over.After
	for i, at := range s.Going(st.due) {
		switch {
		case at.IsZero():
		case at.Before(st.began.Before):
			wrong++
			s.T.Errorf("pod %s was evicted EARLY", st.due[i].Name)
		default:
			gone++
			last = timing.Later(last, at)
		}
	}
	wrong += s.deleted(st.stay)
	took := last.Sub(over.After)
	s.Saw("%d pods had to go, %d are gone; %d had to stay; %d were deleted in error; %d were left when the fault was over, "+
		"the last of which went %.1f s later, %.1f s after it was due",
		len(st.due), gone, len(st.stay), wrong, left, took.Seconds(), last.Sub(st.began.After).Seconds())
	if gone != len(st.due) {
		s.T.Errorf("%d of %d are gone", gone, len(st.due))
	}
	if took > within {
		s.T.Errorf("the last went %s after the end of the fault, expected within %s", timing.Round(took), timing.Round(within))
	}
}
