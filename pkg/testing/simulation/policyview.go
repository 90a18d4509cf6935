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
	"cmp"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// ruling is what policies are in force from a moment on, by what a replica was shown, in the order in which they apply.
type ruling struct {
	at    time.Time
	rules []rule
	// labels are those of namespaces; no entry for one whose labels are not known.
	labels map[string]map[string]string
}

// rule is a policy that is in force: the last version of it that is valid, or, if there was none, one that keeps the pods of its taints.
type rule struct {
	v1alpha1.TaintEvictionPolicySpec
	name string
	uid  types.UID
	// generation is the last one that was shown, valid or not, and inForce the one that is in force.
	generation, inForce int64
	valid               bool
	// stamped is when the API server says that it was written, zero where it does not; shown is when it reached the replica, and doubt by how
	// much later than in truth the replica may date times of the API in it.
	stamped, shown time.Time
	doubt          time.Duration
}

// doubts are how the ends of policies may be dated: in truth, and where one expires, as late as a replica may date that.
func (r ruling) doubts() []bool {
	if slices.ContainsFunc(r.rules, func(r rule) bool { return r.ExpireTime != nil }) {
		return []bool{false, true}
	}
	return []bool{false}
}

// rulingsAt are the rulings that a replica may have decided by at a moment: the one in force, and those that came at that same moment.
func (v *view) rulingsAt(t time.Time) (rulings []ruling) {
	for i, r := range v.rulings {
		over := i+1 < len(v.rulings) && v.rulings[i+1].at.Before(t)
		if !over && !r.at.After(t) {
			rulings = append(rulings, r)
		}
	}
	return rulings
}

// ruling is the one in force.
func (v *view) ruling() ruling {
	if len(v.rulings) == 0 {
		return ruling{}
	}
	return v.rulings[len(v.rulings)-1]
}

// otherResource is the resource of what is no pod and no node, or nothing if the view does not follow it.
func otherResource(o any) string {
	switch o.(type) {
	case *v1alpha1.TaintEvictionPolicy:
		return policies
	case *policyv1.PodDisruptionBudget:
		return budgets
	case *v1.Namespace:
		return namespaces
	default:
		return ""
	}
}

// seeOther takes in a version of a policy, a budget or a namespace.
func (v *view) seeOther(a arrival, gone bool) {
	resource := otherResource(a.Object)
	if resource == "" {
		return
	}
	v.show(resource, a)
	if gone {
		delete(v.shown[resource], nameOf(a))
	}
	v.rule(resource)
}

// show takes in a version, which has been shown since that of the same generation.
func (v *view) show(resource string, a arrival) {
	if was, known := v.shown[resource][nameOf(a)]; known && was.GetUID() == a.GetUID() && was.GetGeneration() == a.GetGeneration() {
		a.at = was.at
	}
	v.shown[resource][nameOf(a)] = a
}

// listOthers takes in all policies, budgets or namespaces.
func (v *view) listOthers(resource string, objects []arrival) {
	before := v.shown[resource]
	v.shown[resource] = map[types.NamespacedName]arrival{}
	for _, a := range objects {
		if was, known := before[nameOf(a)]; known {
			v.shown[resource][nameOf(a)] = was
		}
		v.show(resource, a)
	}
	if resource == policies {
		v.read, v.held = true, false
	}
	v.rule(resource)
}

// noneServed takes in that discovery knows no policies. What comes after that is not known before it has been read.
func (v *view) noneServed() {
	clear(v.shown[policies])
	v.read, v.held = false, false
	v.rule(policies)
}

// unread takes in that policies cannot be listed, or may not be. That is not "none": those that were read last go on, and where there are none of those, all
// pods are kept. A replica that has never read policies does nothing at all.
func (v *view) unread() {
	if v.held = !v.read && len(v.rulings) > 0; v.held {
		v.rule(policies)
	}
}

// rule puts in force what follows of what was shown of a resource.
func (v *view) rule(resource string) {
	was := v.ruling()
	if resource == budgets || resource == namespaces && len(v.rulings) == 0 {
		return
	}
	next := ruling{at: time.Now(), labels: map[string]map[string]string{}}
	for name, a := range v.shown[namespaces] {
		next.labels[name.Name] = a.GetLabels()
	}
	for _, a := range v.shown[policies] {
		before := rule{}
		if i := slices.IndexFunc(was.rules, func(r rule) bool { return r.uid == a.GetUID() }); i >= 0 {
			before = was.rules[i]
		}
		next.rules = append(next.rules, v.nextRule(before, a.Object.(*v1alpha1.TaintEvictionPolicy)))
	}
	if v.held {
		next.rules = []rule{{TaintEvictionPolicySpec: v1alpha1.TaintEvictionPolicySpec{MatchingPrecedence: ptr.To[int32](0), Mode: v1alpha1.ModeKeep}}}
	}
	slices.SortFunc(next.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(*a.MatchingPrecedence, *b.MatchingPrecedence), cmp.Compare(keepsFirst(a), keepsFirst(b)), cmp.Compare(a.name, b.name))
	})
	same := slices.EqualFunc(was.rules, next.rules, func(a, b rule) bool { return a.uid == b.uid && a.inForce == b.inForce })
	sameLabels := maps.EqualFunc(was.labels, next.labels, maps.Equal)
	if len(v.rulings) == 0 || !same || !sameLabels {
		v.rulings = append(v.rulings, next)
	}
}

// keepsFirst is what sorts rules of equal precedence: those of mode Keep first.
func keepsFirst(r rule) int {
	if r.Mode == v1alpha1.ModeKeep {
		return 0
	}
	return 1
}

// nextRule is what is in force of a policy after another version of it.
func (v *view) nextRule(before rule, policy *v1alpha1.TaintEvictionPolicy) rule {
	if before.generation == policy.Generation {
		return before
	}
	now := time.Now()
	next := rule{
		TaintEvictionPolicySpec: policy.Spec, name: policy.Name, uid: policy.UID, generation: policy.Generation, inForce: policy.Generation,
		valid: isValid(policy), shown: now, doubt: v.apiClock.doubt(now),
	}
	for _, entry := range policy.ManagedFields {
		next.stamped = last(next.stamped, entry.Time.Time)
	}
	switch {
	case next.valid:
	case before.valid:
		before.generation = policy.Generation
		return before
	default:
		next.Mode, next.NodeSelector, next.NamespaceSelector, next.PodSelector, next.ExpireTime = v1alpha1.ModeKeep, nil, nil, nil, nil
	}
	return next
}

// isValid says whether a policy is one that this version can apply. The steps make no others that it cannot.
func isValid(policy *v1alpha1.TaintEvictionPolicy) bool {
	return slices.Contains([]v1alpha1.Mode{v1alpha1.ModeDelete, v1alpha1.ModeEvict, v1alpha1.ModePreview, v1alpha1.ModeKeep}, policy.Spec.Mode)
}
