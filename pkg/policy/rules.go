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
	"k8s.io/apimachinery/pkg/labels"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// Rules decide about pods by the operator's choices and by the policies of the cluster. A nil *Rules decides by the rules alone, with API
// times as local times.
type Rules struct {
	choices  deadline.Rules
	policies policies // nil: those of the choices
	clock    *serverclock.Clock
}

// policies are what rules read of a Source, or of Fixed policies.
type policies interface {
	Policies() []deadline.Policy
	NamespaceLabels(name string) labels.Labels
	HasSynced() bool
	all() *set
}

// NewRules returns rules. The policies are those of the source; without one, those of the choices. The clock converts API times; it is nil
// if they are local times.
func NewRules(choices deadline.Rules, policies *Source, clock *serverclock.Clock) *Rules {
	rules := &Rules{choices: choices, clock: clock}
	if policies != nil {
		rules.policies = policies
	}
	return rules
}

// Rules returns rules by these policies.
func (f *Fixed) Rules(choices deadline.Rules, clock *serverclock.Clock) *Rules {
	return &Rules{choices: choices, policies: f, clock: clock}
}

// Decide decides about a pod whose node has these labels and taints.
func (r *Rules) Decide(pod *podcache.Pod, node labels.Labels, taints []deadline.Taint) deadline.Decision {
	if r == nil {
		return deadline.Decide(pod.ToDeadlinePod(nil), taints, deadline.Rules{})
	}
	return r.decideBy(r.current(), pod, node, taints)
}

// current returns the policies that apply now.
func (r *Rules) current() []deadline.Policy {
	if r.policies == nil {
		return r.choices.Policies
	}
	return r.policies.Policies()
}

// decideBy is Decide by given policies.
func (r *Rules) decideBy(policies []deadline.Policy, pod *podcache.Pod, node labels.Labels, taints []deadline.Taint) deadline.Decision {
	in, rules := pod.ToDeadlinePod(r.clock), r.choices
	in.Labels.Node = node
	if r.policies != nil {
		in.Labels.Namespace = r.policies.NamespaceLabels(pod.Namespace())
	}
	rules.Policies = policies
	return deadline.Decide(in, taints, rules)
}
