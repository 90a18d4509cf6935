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
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// policiesAreRefused has policies be refused for a while, or what else is read because of them.
func (s *sim) policiesAreRefused() {
	resource := one(s, policies, policies, budgets, namespaces, policyStatus)
	s.note("replica-all", "may not read or write %s", resource)
	s.lock.Lock()
	defer s.lock.Unlock()
	s.kindFaults = append(s.kindFaults, kindFault{resource: resource, refusal: apierrors.NewForbidden(v1.Resource(resource), "", errReset)})
}

// policyWatchFails has watches of policies, or of what else is read because of them, lag or end.
func (s *sim) policyWatchFails() {
	resource := one(s, policies, policies, budgets, namespaces)
	if s.chance.IntN(2) == 0 {
		forget := s.chance.IntN(3) > 0
		s.note("replica-all", "have their watches of %s cut, history lost: %t", resource, forget)
		s.api.CutWatches(resource, forget)
		return
	}
	for _, r := range s.alive() {
		lag := one(s, 0, 300*time.Millisecond, 3*time.Second, maxLag)
		s.note(r.name, "sees %s %s late", resource, lag)
		s.api.LagOf(r.name, resource, lag)
	}
}

// endPolicies ends what goes wrong with policies, and removes some of them and of the budgets.
func (s *sim) endPolicies() {
	if !s.plan.policies.on {
		return
	}
	for _, r := range s.replicas {
		for _, resource := range []string{policies, budgets, namespaces} {
			s.api.LagOf(r.name, resource, 0)
		}
	}
	if s.chance.IntN(2) == 0 {
		for _, name := range s.policyNames() {
			s.removePolicy(name)
		}
	}
	if s.chance.IntN(2) == 0 {
		s.removeBudgets()
	}
}
