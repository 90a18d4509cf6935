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

package policy

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// compiled is a policy as the rules read it, and where it stands among others.
type compiled struct {
	deadline.Policy
	precedence int32
}

// retime makes the local times of a policy of its API times.
func (p *compiled) retime(clock *serverclock.Clock) {
	p.Expires = clock.Local(p.ExpireTime)
	if !p.Written.IsZero() {
		p.Since = clock.Local(p.Written)
	}
}

// state is what is known of one policy.
type state struct {
	uid types.UID
	// generation is that of the last version that was seen.
	generation int64
	// applies is what applies: the last version that was accepted, or, if none was, a policy that keeps pods. source is what it was made of.
	applies compiled
	source  remembered
	// accepted says that a version was accepted.
	accepted bool
	// err says why the last version was not accepted, or is nil.
	err error
	// conditions are those in the status of the object.
	conditions []metav1.Condition
	// createdBy is the user who made the policy, if the object says so.
	createdBy string
}

// set holds the policies of the cluster. It is safe for concurrent use.
type set struct {
	compile func(*unstructured.Unstructured) (compiled, error)

	lock     sync.Mutex
	policies map[string]state // by name
	// read is true after all policies were read that the API server serves, and held while one that keeps all pods stands for them.
	read, held bool
	// ordered are the policies that apply, in the order in which they do. text is what another process makes them of.
	ordered atomic.Pointer[[]deadline.Policy]
	text    atomic.Pointer[string]
}

func newSet(compile func(*unstructured.Unstructured) (compiled, error)) *set {
	s := &set{compile: compile, policies: map[string]state{}}
	s.order()
	return s
}

// put takes the next version of a policy. It returns the state of the policy, and whether there was something new.
func (s *set) put(object *unstructured.Unstructured) (state, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	now, isNew := s.next(object)
	if s.policies[object.GetName()] = now; isNew {
		s.order()
	}
	return now, isNew
}

// remove drops a policy, and reports whether there was one.
func (s *set) remove(name string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	_, existed := s.policies[name]
	delete(s.policies, name)
	s.order()
	return existed
}

// replace takes all policies of the cluster. It returns the states of those that are new, and whether anything changed.
func (s *set) replace(objects []*unstructured.Unstructured) (news []state, changed bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	all := map[string]state{}
	for _, object := range objects {
		now, isNew := s.next(object)
		if all[object.GetName()] = now; isNew {
			news = append(news, now)
		}
	}
	changed = len(news) > 0 || len(all) != len(s.policies)
	s.policies, s.read, s.held = all, true, false
	s.order()
	return news, changed
}

// forget notes that the API server serves no policies: if it does again, nothing is known of them.
func (s *set) forget() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.read = false
}

// wasRead reports whether all policies have been read that the API server serves.
func (s *set) wasRead() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.read
}

// hold has a policy without a name apply, which keeps all pods, until the policies are read that the API server serves. It does nothing if
// they have been. It reports whether anything changed.
func (s *set) hold() (changed bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.read || s.held {
		return false
	}
	s.held = true
	s.ordered.Store(&[]deadline.Policy{{Mode: deadline.ModeKeep}})
	return true
}

// retime makes the local times of all policies anew, by what is known of the API server's clock now.
func (s *set) retime(clock *serverclock.Clock) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.held {
		return
	}
	for name, policy := range s.policies {
		policy.applies.retime(clock)
		s.policies[name] = policy
	}
	s.order()
}

// next returns the state of a policy after another version of it, and whether that differs. A version that is not accepted does not
// take the place of one that was.
func (s *set) next(object *unstructured.Unstructured) (state, bool) {
	before, known := s.policies[object.GetName()]
	if before.uid != object.GetUID() {
		before, known = state{}, false
	}
	before.conditions, before.createdBy = conditionsOf(object), object.GetAnnotations()[v1alpha1.CreatedByAnnotation]
	if known && before.generation == object.GetGeneration() {
		return before, false // only its status or its metadata changed
	}
	policy, err := s.compile(object)
	now := state{
		uid: object.GetUID(), generation: object.GetGeneration(), conditions: before.conditions, createdBy: before.createdBy,
		applies: policy, source: rememberedOf(object), accepted: err == nil, err: err,
	}
	switch {
	case err == nil:
	case before.accepted:
		now.applies, now.source, now.accepted = before.applies, before.source, true
	default:
		now.applies.Mode = deadline.ModeKeep
	}
	return now, true
}

// order sets the policies that apply: the lowest precedence first, at equal precedence Keep first, then by name.
func (s *set) order() {
	all := slices.SortedFunc(maps.Values(s.policies), func(a, b state) int {
		return cmp.Or(cmp.Compare(a.applies.precedence, b.applies.precedence), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.applies.Name, b.applies.Name))
	})
	ordered, sources := make([]deadline.Policy, 0, len(all)), make([]remembered, 0, len(all))
	for _, one := range all {
		ordered, sources = append(ordered, one.applies.Policy), append(sources, one.source)
	}
	text := encodeRemembered(sources)
	s.text.Store(&text)
	s.ordered.Store(&ordered)
}

func rank(s state) int {
	if s.applies.Mode == deadline.ModeKeep {
		return 0
	}
	return 1
}

// states returns what is known of each policy, by name.
func (s *set) states() map[string]state {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.policies)
}

// conditionsOf returns the conditions in the status of an object, or none if they cannot be read.
func conditionsOf(object *unstructured.Unstructured) []metav1.Condition {
	var status struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	fields, _, err := unstructured.NestedMap(object.Object, "status")
	if err != nil || runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &status) != nil {
		return nil
	}
	return status.Conditions
}
