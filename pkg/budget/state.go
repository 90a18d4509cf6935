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

package budget

import (
	"container/list"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// settleTimeout is how long the status of a budget may take to show an accepted eviction. The API server writes it before it answers.
	settleTimeout = 2 * time.Second
	// callTimeout is how long a pod that was woken may take to begin.
	callTimeout = 10 * time.Second
	// minProbe and maxProbe bound the time for which a budget shows nothing new before a probe.
	minProbe, maxProbe = 30 * time.Second, 15 * time.Minute
)

// state is what is known of one budget, and which pods wait for it.
type state struct {
	namespace, name string
	// budget is its last version by the watch, or nil if only an answer has named it, and selector selects the pods that it covers.
	budget   *policyv1.PodDisruptionBudget
	selector labels.Selector
	// versions counts the versions that the watch has shown.
	versions int
	// exhausted and refusing say that an eviction was refused that the known version allows: one that takes a place, or one that needs none.
	exhausted, refusing bool
	// notCounted says that the API server's last answer was that the budget has not been counted. It is read while the watch shows no budget.
	notCounted bool
	// notBefore is until when no eviction is to be sent.
	notBefore time.Time

	// wentAt is when an eviction was accepted last; zero if none was.
	wentAt time.Time

	// turn is the eviction in flight, or one that was accepted and has to show in the status, by settleBy.
	turn     *Turn
	settleBy time.Time
	// called is the pod that was woken last and has not begun, since calledAt.
	called   *waiter
	calledAt time.Time
	// notReady and ready are the pods that wait, by the condition Ready. The first of each goes first.
	notReady, ready list.List // of *waiter
	// probeEvery is for how long the budget shows nothing new before a probe, and nextProbe when that is.
	probeEvery time.Duration
	nextProbe  time.Time
}

// waiter is a pod that waits, or was woken and has not begun.
type waiter struct {
	pod Pod
	// since is since when it waits.
	since time.Time
	// state is the budget that it waits for, or nil if several cover it. element is its place in a line of that; nil once it was woken.
	state   *state
	element *list.Element
	isReady bool
	// answered says that only an answer has named the budget: by the watch it does not cover the pod.
	answered bool
	// probe says that it was woken as a probe.
	probe bool
}

func newState(namespace, name string) *state {
	return &state{namespace: namespace, name: name, selector: labels.Nothing(), probeEvery: minProbe}
}

// uncounted reports whether the disruption controller has not seen the last version of the budget.
func (s *state) uncounted() bool {
	if s.budget == nil {
		return s.notCounted
	}
	return s.budget.Status.ObservedGeneration < s.budget.Generation
}

// show takes the next version of the budget.
func (s *state) show(budget *policyv1.PodDisruptionBudget, sameSelector bool) {
	if !sameSelector {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil {
			selector = labels.Nothing() // as the eviction API has it
		}
		s.selector = selector
	}
	s.budget = budget
	s.versions++
	s.exhausted, s.refusing = false, false
	if s.turn != nil {
		if _, shown := budget.Status.DisruptedPods[s.turn.name]; shown {
			s.turn.shown = true
			s.settle()
		}
	}
}

// settle ends the turn if its eviction was accepted.
func (s *state) settle() {
	if s.turn != nil && !s.settleBy.IsZero() {
		s.turn, s.settleBy = nil, time.Time{}
	}
}

// need returns what the eviction of a pod needs of the budget, by all that is known.
func (s *state) need(ready bool) need {
	n := place
	if s.budget != nil {
		n = needOf(s.budget, ready)
	}
	if n == place && s.exhausted || n == nothing && s.refusing {
		return refused
	}
	return n
}

// line returns the line for pods that are ready, or those that are not.
func (s *state) line(ready bool) *list.List {
	if ready {
		return &s.ready
	}
	return &s.notReady
}

// waits reports whether pods wait for the budget.
func (s *state) waits() bool { return s.ready.Len()+s.notReady.Len() > 0 }

// open reports whether an eviction may be sent, as far as others are concerned.
func (s *state) open(now time.Time) bool {
	return s.turn == nil && s.called == nil && !now.Before(s.notBefore)
}

// unused reports whether the state can be forgotten.
func (s *state) unused() bool {
	return s.budget == nil && s.turn == nil && s.called == nil && !s.waits()
}

// next returns the pod that may go next, or nil.
func (s *state) next() *waiter {
	for _, ready := range []bool{false, true} {
		if front := s.line(ready).Front(); front != nil && s.need(ready) != refused {
			return front.Value.(*waiter)
		}
	}
	return nil
}

// first returns the pod that is first in line, or nil.
func (s *state) first() *waiter {
	for _, ready := range []bool{false, true} {
		if front := s.line(ready).Front(); front != nil {
			return front.Value.(*waiter)
		}
	}
	return nil
}

// add adds a waiter at the end of its line.
func (s *state) add(w *waiter) {
	w.isReady = w.pod.Ready()
	w.element = s.line(w.isReady).PushBack(w)
}

// leave takes a waiter out of its line.
func (s *state) leave(w *waiter) {
	if w.element != nil {
		s.line(w.isReady).Remove(w.element)
		w.element = nil
	}
}

// putOffProbe has the next probe be made after a while in which the budget shows nothing new.
func (s *state) putOffProbe(now time.Time) { s.nextProbe = now.Add(wait.Jitter(s.probeEvery, 0.5)) }

// probed adjusts the time between probes to the result of one.
func (s *state) probed(inVain bool) {
	if inVain {
		s.probeEvery = min(2*s.probeEvery, maxProbe)
	} else {
		s.probeEvery = minProbe
	}
}
