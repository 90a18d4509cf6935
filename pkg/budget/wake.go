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
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
)

// observe takes a new version of a budget.
func (t *Tracker) observe(budget *policyv1.PodDisruptionBudget) {
	t.lock.Lock()
	defer t.lock.Unlock()
	s := t.get(budget.Namespace, budget.Name)
	before := s.budget
	if before != nil && before.ResourceVersion == budget.ResourceVersion {
		return // listed again
	}
	sameSelector := before != nil && equality.Semantic.DeepEqual(before.Spec.Selector, budget.Spec.Selector)
	s.show(budget, sameSelector)
	s.putOffProbe(t.clock.Now())
	if !sameSelector {
		t.rematch(budget.Namespace)
	}
	t.advance(s)
}

// remove drops a budget that was deleted.
func (t *Tracker) remove(namespace, name string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	s := t.budgets[namespace][name]
	if s == nil {
		return
	}
	t.drop(s)
	if s.called != nil {
		t.take(s.called.pod.GetUID()) // it asks again by itself
	}
	t.rematch(namespace)
}

// drop forgets a budget.
func (t *Tracker) drop(s *state) {
	delete(t.budgets[s.namespace], s.name)
	if len(t.budgets[s.namespace]) == 0 {
		delete(t.budgets, s.namespace)
	}
}

// PodChanged tells of a new version of a pod.
func (t *Tracker) PodChanged(pod Pod) {
	t.lock.Lock()
	defer t.lock.Unlock()
	w := t.waiters[pod.GetUID()]
	if w == nil {
		return
	}
	w.pod = pod
	t.reconsider(w)
}

// rematch considers all pods of a namespace again that wait, after a selector changed.
func (t *Tracker) rematch(namespace string) {
	var all []*waiter
	for _, w := range t.waiters {
		if w.pod.GetNamespace() == namespace {
			all = append(all, w)
		}
	}
	for _, w := range all {
		t.reconsider(w)
	}
}

// reconsider moves a pod that waits to where it belongs now, and wakes it if it has nothing to wait for any more.
func (t *Tracker) reconsider(w *waiter) {
	called := w.state != nil && w.element == nil
	if called || w.isReady == w.pod.Ready() && w.pod.Guarded() && t.belongs(w) {
		return
	}
	t.take(w.pod.GetUID())
	switch s := t.sole(w.pod, w); {
	case !w.pod.Guarded():
		t.queue.Wake(w.pod.GetUID())
	case s != nil:
		t.enter(w.pod, s, w.since)
	default:
		if t.enterCovering(w.pod, w.since); t.waiters[w.pod.GetUID()] == nil {
			t.queue.Wake(w.pod.GetUID())
		}
	}
	if w.state != nil {
		t.advance(w.state)
	}
}

// belongs reports whether a pod waits where it should: for the budget that covers it, or that an answer named.
func (t *Tracker) belongs(w *waiter) bool {
	if w.answered {
		return t.budgets[w.state.namespace][w.state.name] == w.state
	}
	switch covering := t.covering(w.pod); len(covering) {
	case 0:
		return false
	case 1:
		return w.state == covering[0]
	default:
		return w.state == nil
	}
}

// enterCovering has a pod wait for the budget that covers it, if there is one, or for a change if there are several.
func (t *Tracker) enterCovering(pod Pod, since time.Time) {
	switch covering := t.covering(pod); len(covering) {
	case 0:
	case 1:
		t.enter(pod, covering[0], since)
	default:
		t.waiters[pod.GetUID()] = &waiter{pod: pod, since: since, isReady: pod.Ready()}
	}
}

// sole returns the budget that an answer named when the pod waited before, or the one that covers it by the watch, if there is one.
func (t *Tracker) sole(pod Pod, before *waiter) *state {
	if before != nil && before.answered && t.belongs(before) {
		return before.state
	}
	if covering := t.covering(pod); len(covering) == 1 {
		return covering[0]
	}
	return nil
}

// covering returns the budgets that cover a pod, by the watch.
func (t *Tracker) covering(pod Pod) (covering []*state) {
	for _, s := range t.budgets[pod.GetNamespace()] {
		if s.selector.Matches(pod.Labels()) {
			covering = append(covering, s)
		}
	}
	return covering
}

// get returns the state of a budget, made if there is none.
func (t *Tracker) get(namespace, name string) *state {
	if t.budgets[namespace] == nil {
		t.budgets[namespace] = map[string]*state{}
	}
	s := t.budgets[namespace][name]
	if s == nil {
		s = newState(namespace, name)
		t.budgets[namespace][name] = s
	}
	return s
}

// enter has a pod wait for a budget.
func (t *Tracker) enter(pod Pod, s *state, since time.Time) {
	w := &waiter{pod: pod, since: since, state: s, answered: !s.selector.Matches(pod.Labels())}
	if !s.waits() {
		if now := t.clock.Now(); !s.nextProbe.After(now) {
			s.putOffProbe(now)
		}
	}
	s.add(w)
	t.waiters[pod.GetUID()] = w
	t.advance(s)
}

// take removes and returns a pod that waits, or was woken; nil if it is neither.
func (t *Tracker) take(uid types.UID) *waiter {
	w := t.waiters[uid]
	if w == nil {
		return nil
	}
	delete(t.waiters, uid)
	if s := w.state; s != nil {
		s.leave(w)
		if s.called == w {
			s.called = nil
		}
	}
	return w
}

// advance wakes the pod that may go next for a budget, if there is one, and forgets a budget that nothing is known of any more.
func (t *Tracker) advance(s *state) {
	now := t.clock.Now()
	for s.open(now) {
		w := s.next()
		if w == nil {
			break
		}
		t.call(s, w, now)
	}
	if s.unused() && t.budgets[s.namespace][s.name] == s {
		t.drop(s)
	}
}

// call wakes a pod. One that cannot be woken waits for something else, and asks again by itself.
func (t *Tracker) call(s *state, w *waiter, now time.Time) {
	s.leave(w)
	if !t.queue.Wake(w.pod.GetUID()) {
		delete(t.waiters, w.pod.GetUID())
		return
	}
	s.called, s.calledAt = w, now
}

// tick looks for what is over: an eviction that should have shown in the status, a pod that was woken and has not begun, a wait that the API
// server asked for, and a time in which a budget has shown nothing new.
func (t *Tracker) tick() {
	t.lock.Lock()
	defer t.lock.Unlock()
	now := t.clock.Now()
	for _, states := range t.budgets {
		for _, s := range states {
			if !now.Before(s.settleBy) {
				s.settle()
			}
			if s.called != nil && now.Sub(s.calledAt) >= callTimeout {
				t.take(s.called.pod.GetUID())
			}
			t.advance(s)
			if w := s.first(); w != nil && s.open(now) && !now.Before(s.nextProbe) {
				w.probe = true
				s.putOffProbe(now)
				t.call(s, w, now)
			}
		}
	}
}
