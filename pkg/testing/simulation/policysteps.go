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
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

const (
	// guardedKey is the key of taints of NoSchedule, and vendorKey one that a prefix matches.
	guardedKey, vendorKey = "c", "example.com/x"
	// pause is the name of the policy that holds everything.
	pause = "pause"
)

// policySteps are all kinds of steps of policies, and of what they are about.
func policySteps() []step {
	return []step{
		{weight: 10, do: (*sim).policyChanges},
		{weight: 4, do: (*sim).policyGoes},
		{weight: 2, do: (*sim).policyIsInvalid},
		{weight: 2, do: (*sim).pauseChanges},
		{weight: 5, do: (*sim).labelsChange},
		{weight: 5, do: (*sim).otherTaintChanges},
		{weight: 5, do: (*sim).budgetChanges},
		{weight: 1, do: (*sim).definitionChanges},
		{weight: 4, do: (*sim).keptUntilItGoes},
		{weight: 8, do: (*sim).evictedTogether},
		{weight: 3, do: (*sim).swapUnderPolicy},
		{weight: 4, do: (*sim).allAreTainted},
		{weight: 2, do: (*sim).standbyTakesOver},
		{weight: 3, do: (*sim).nodeIsRelabeled},
		{weight: 3, trouble: true, do: (*sim).policiesAreRefused},
		{weight: 5, trouble: true, do: (*sim).policyWatchFails},
	}
}

// nextPolicySteps does some steps of policies, in a run that has any.
func (s *sim) nextPolicySteps() {
	if !s.plan.policies.on {
		return
	}
	for range s.chance.IntN(3) {
		s.pick(s.chance, policySteps())
	}
}

// one is one of several, by chance of policies.
func one[T any](s *sim, of ...T) T { return of[s.chance.IntN(len(of))] }

// policyChanges makes a policy, or changes one.
func (s *sim) policyChanges() {
	s.putPolicy(fmt.Sprintf("p%d", s.chance.IntN(4)), s.policySpec(one(s, v1alpha1.ModeDelete, v1alpha1.ModeEvict, v1alpha1.ModeEvict, v1alpha1.ModePreview, v1alpha1.ModeKeep)))
}

// policySpec makes up a policy.
func (s *sim) policySpec(mode v1alpha1.Mode) v1alpha1.TaintEvictionPolicySpec {
	spec := v1alpha1.TaintEvictionPolicySpec{MatchingPrecedence: ptr.To(int32(1 + s.chance.IntN(4))), Mode: mode}
	evicts := mode == v1alpha1.ModeDelete || mode == v1alpha1.ModeEvict
	if evicts || s.chance.IntN(4) > 0 {
		for range 1 + s.chance.IntN(3) {
			spec.Taints = append(spec.Taints, s.pattern())
		}
	}
	guarded := slices.ContainsFunc(spec.Taints, func(p v1alpha1.TaintPattern) bool { return p.Effect == v1.TaintEffectNoSchedule })
	if mode != v1alpha1.ModeKeep && (guarded || s.chance.IntN(3) == 0) {
		spec.MinTaintAgeSeconds = ptr.To(one[int64](s, 5, 10, 30))
	}
	if s.chance.IntN(4) == 0 {
		spec.NodeSelector = s.selector("pool", "x")
	}
	if s.chance.IntN(4) == 0 {
		spec.NamespaceSelector = s.selector("team", "x")
	}
	if s.chance.IntN(4) == 0 {
		spec.PodSelector = s.selector("app", "web")
	}
	if s.chance.IntN(3) == 0 {
		until := s.api.Now().Add(time.Duration(s.chance.Int64N(int64(one(s, 5*time.Second, time.Minute, 3*time.Minute)))))
		spec.ExpireTime = ptr.To(metav1.NewTime(until.UTC().Truncate(time.Second)))
	}
	if mode == v1alpha1.ModeEvict {
		spec.Evict.DeleteAfter = v1alpha1.Never
		if s.chance.IntN(3) > 0 {
			spec.Evict = v1alpha1.EvictOptions{DeleteAfter: v1alpha1.AfterSeconds, DeleteAfterSeconds: one[int64](s, 1, 5, 20, 60)}
		}
	}
	if evicts && s.chance.IntN(4) == 0 {
		spec.GracePeriodSeconds, spec.NoticeSeconds = one[int64](s, 1, 10, 60), one[int64](s, 5, 30)
	}
	return spec
}

// pattern makes up what taints a policy is about.
func (s *sim) pattern() v1alpha1.TaintPattern {
	if s.chance.IntN(5) == 0 {
		return v1alpha1.TaintPattern{Key: guardedKey, Effect: v1.TaintEffectNoSchedule}
	}
	p := v1alpha1.TaintPattern{Key: one(s, "a", "a", "b", "b", guardedKey, "example.com/*", v1.TaintNodeNotReady, v1.TaintNodeUnreachable), Effect: v1.TaintEffectNoExecute}
	if s.chance.IntN(4) == 0 {
		p.Value = ptr.To(one[v1alpha1.LabelValue](s, "", "x"))
	}
	return p
}

// selector makes up one that selects a label of this value, or all others.
func (s *sim) selector(key string, value v1alpha1.LabelValue) *v1alpha1.LabelSelector {
	if s.chance.IntN(2) == 0 {
		return &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{key: value}}
	}
	return &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: key, Operator: v1alpha1.OpNotIn, Values: []v1alpha1.LabelValue{value}}}}
}

// putPolicy stores a policy, if the API server knows any. Where it does not, at times the CustomResourceDefinition is made with it.
func (s *sim) putPolicy(name string, spec v1alpha1.TaintEvictionPolicySpec) {
	if s.plan.policies.absent && s.chance.IntN(3) == 0 {
		s.serve(true)
	}
	if s.plan.policies.absent {
		s.note("policy-"+name, "cannot be made")
		return
	}
	policy := s.api.Policy(name)
	if policy == nil {
		policy = &v1alpha1.TaintEvictionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: s.stamp()}}
	}
	policy.Spec = spec
	if !s.plan.policies.unstamped {
		policy.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: v1alpha1.GroupVersion.String(), FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:mode":{}}}`), Time: ptr.To(s.stamp()),
		}}
	}
	s.note("policy-"+name, "is %+v", describe(spec))
	s.api.Put(policy)
}

// describe says what is in a policy.
func describe(spec v1alpha1.TaintEvictionPolicySpec) string {
	text := fmt.Sprintf("%d %s", *spec.MatchingPrecedence, spec.Mode)
	for _, p := range spec.Taints {
		text += fmt.Sprintf(" %s=%s:%s", p.Key, ptr.Deref(p.Value, "*"), p.Effect)
	}
	for name, selector := range map[string]*v1alpha1.LabelSelector{"nodes": spec.NodeSelector, "namespaces": spec.NamespaceSelector, "pods": spec.PodSelector} {
		if selector != nil {
			text += fmt.Sprintf(", %s %v not %v", name, selector.MatchLabels, selector.MatchExpressions)
		}
	}
	if spec.ExpireTime != nil {
		text += ", until " + spec.ExpireTime.UTC().Format(time.TimeOnly)
	}
	return text + fmt.Sprintf(", from the age of %ds, evicted for %s %ds", ptr.Deref(spec.MinTaintAgeSeconds, 0), spec.Evict.DeleteAfter, spec.Evict.DeleteAfterSeconds)
}

// policyGoes deletes a policy.
func (s *sim) policyGoes() {
	if all := s.policyNames(); len(all) > 0 {
		s.removePolicy(one(s, all...))
	}
}

// policyNames are those of all policies, in order.
func (s *sim) policyNames() (names []string) {
	for _, name := range []string{"p0", "p1", "p2", "p3", pause, "kept", "together", "swap", "relabeled"} {
		if s.api.Policy(name) != nil {
			names = append(names, name)
		}
	}
	return names
}

func (s *sim) removePolicy(name string) {
	s.note("policy-"+name, "is deleted")
	s.api.Remove(&v1alpha1.TaintEvictionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// policyIsInvalid has a policy be changed, or made, so that no version of today can apply it.
func (s *sim) policyIsInvalid() {
	spec := s.policySpec(v1alpha1.ModeDelete)
	spec.Mode = "Sometimes"
	s.putPolicy(fmt.Sprintf("p%d", s.chance.IntN(4)), spec)
}

// pauseChanges has everything be held by a policy, or not any more.
func (s *sim) pauseChanges() {
	if s.api.Policy(pause) != nil {
		s.removePolicy(pause)
		return
	}
	s.putPolicy(pause, v1alpha1.TaintEvictionPolicySpec{MatchingPrecedence: ptr.To[int32](0), Mode: v1alpha1.ModeKeep})
}

// labelsChange has a pod, a node or a namespace get other labels.
func (s *sim) labelsChange() {
	switch s.chance.IntN(3) {
	case 0:
		pods := s.livePods()
		if len(pods) == 0 {
			return
		}
		pod := one(s, pods...).DeepCopy()
		pod.Labels = map[string]string{"app": one(s, "web", "db")}
		s.putPod(pod, "gets the label "+pod.Labels["app"])
	case 1:
		if node := s.node(nodeName(s.chance.IntN(s.plan.nodes))); node != nil {
			node.Labels = map[string]string{"pool": one(s, "x", "y")}
			s.putNode(node, "labeler", ownsLabels, "gets the label "+node.Labels["pool"])
		}
	default:
		s.putNamespace(one(s, "default", "other"))
	}
}

// putNamespace stores a namespace with some labels.
func (s *sim) putNamespace(name string) {
	namespace := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("namespace-" + name), Labels: map[string]string{"team": one(s, "x", "y")}}}
	s.note("namespace-"+name, "has the label %s", namespace.Labels["team"])
	s.api.Put(namespace)
}

// otherTaintChanges puts a taint on a node, or takes it off, that evicts nobody without a policy, or that policies match by a prefix.
func (s *sim) otherTaintChanges() {
	node := s.node(nodeName(s.chance.IntN(s.plan.nodes)))
	if node == nil {
		return
	}
	taint := v1.Taint{Key: guardedKey, Effect: v1.TaintEffectNoSchedule}
	if s.chance.IntN(3) == 0 {
		taint = v1.Taint{Key: vendorKey, Value: "x", Effect: v1.TaintEffectNoExecute}
	}
	before := len(node.Spec.Taints)
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == taint.Key })
	if len(node.Spec.Taints) == before {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	s.putNode(node, "kubectl", ownsTaints, "gets or loses the taint "+taint.ToString())
}

// definitionChanges has the CustomResourceDefinition be made, or be removed with all policies, and mostly be made again after a while.
func (s *sim) definitionChanges() {
	s.serve(s.plan.policies.absent)
	if !s.plan.policies.absent || s.chance.IntN(3) == 0 {
		return
	}
	s.wait(time.Duration(s.chance.Int64N(int64(30 * time.Second))))
	s.serve(true)
	s.policyChanges()
}

// serve has the API server know policies, or not any more.
func (s *sim) serve(served bool) {
	s.plan.policies.absent = !served
	s.note("replica-all", "have policies served: %t", served)
	s.api.ServePolicies(served)
}
