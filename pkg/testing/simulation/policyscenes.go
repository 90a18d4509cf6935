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
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// The steps here are of several things that follow one another, as single steps seldom do.

// keptUntilItGoes has pods that are due be kept, on some nodes, until the policy that does it is deleted, changed or expires.
func (s *sim) keptUntilItGoes() {
	const name = "kept"
	spec := v1alpha1.TaintEvictionPolicySpec{
		MatchingPrecedence: ptr.To[int32](1), Mode: one(s, v1alpha1.ModeKeep, v1alpha1.ModePreview),
		Taints: []v1alpha1.TaintPattern{{Key: "a", Effect: v1.TaintEffectNoExecute}},
	}
	if s.chance.IntN(3) == 0 {
		spec.ExpireTime = ptr.To(metav1.NewTime(s.api.Now().Add(time.Duration(1+s.chance.IntN(40)) * time.Second).UTC().Truncate(time.Second)))
	}
	late := s.chance.IntN(3) == 0 // it comes when pods are scheduled already
	if !late {
		s.putPolicy(name, spec)
	}
	for i := range s.plan.nodes {
		pod := s.newPod()
		pod.Spec.NodeName, pod.Spec.Tolerations, pod.Annotations = nodeName(i), nil, nil
		if late {
			pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](5 + s.chance.Int64N(20))}}
		}
		s.putPod(pod, "is made")
		s.setTaint(nodeName(i), "a", "", nil)
	}
	s.wait(time.Duration(s.chance.Int64N(int64(one(s, time.Second, 6*time.Second, 30*time.Second)))))
	if late {
		s.putPolicy(name, spec)
		s.wait(time.Duration(s.chance.Int64N(int64(20 * time.Second))))
	}
	if spec.ExpireTime == nil && s.chance.IntN(3) > 0 && s.api.Policy(name) != nil {
		s.removePolicy(name)
	}
}

// allAreTainted has all nodes get a taint that evicts, by mistake or not.
func (s *sim) allAreTainted() {
	key := one(s, "a", "b", vendorKey)
	for i := range s.plan.nodes {
		for range 1 + s.chance.IntN(2) {
			pod := s.newPod()
			pod.Spec.NodeName, pod.Spec.Tolerations = nodeName(i), nil
			s.putPod(pod, "is made")
		}
		s.setTaint(nodeName(i), key, "", nil)
		s.wait(time.Duration(s.chance.Int64N(int64(300 * time.Millisecond))))
	}
	switch s.chance.IntN(4) {
	case 0: // a node is lost meanwhile
		s.wait(time.Second)
		name := nodeName(s.chance.IntN(s.plan.nodes))
		pod := s.newPod()
		pod.Spec.NodeName, pod.Spec.Tolerations, pod.Annotations = name, nil, nil
		s.putPod(pod, "is made")
		s.setReady(name, v1.ConditionUnknown)
		s.reconcileNotReady(name)
		s.wait(onTime + time.Second)
		s.check()
	case 1, 2:
		s.wait(time.Duration(s.chance.Int64N(int64(10 * time.Second))))
		for i := range s.plan.nodes {
			s.dropTaints(nodeName(i), func(t v1.Taint) bool { return t.Key == key })
		}
	}
}

// standbyTakesOver has the leader end while all nodes are tainted, and another replica that has run for a while lead in its place.
func (s *sim) standbyTakesOver() {
	if len(s.alive()) >= maxReplicas {
		return
	}
	leaders := s.alive()
	standby := s.start()
	s.wait(starting + time.Duration(s.chance.Int64N(int64(2*time.Second))))
	s.allAreTainted()
	s.wait(time.Duration(s.chance.Int64N(int64(10 * time.Second))))
	for _, r := range leaders {
		r.die(s.chance.IntN(2) == 0)
	}
	standby.lead()
}

// nodeIsRelabeled has a policy select a node, or not any more, by a label of that, while a pod there counts.
func (s *sim) nodeIsRelabeled() {
	name := nodeName(s.chance.IntN(s.plan.nodes))
	node := s.node(name)
	if node == nil {
		return
	}
	s.putPolicy("relabeled", v1alpha1.TaintEvictionPolicySpec{
		MatchingPrecedence: ptr.To[int32](1), Mode: one(s, v1alpha1.ModeKeep, v1alpha1.ModePreview),
		Taints: []v1alpha1.TaintPattern{{Key: "a", Effect: v1.TaintEffectNoExecute}}, NodeSelector: s.selector("pool", "x"),
	})
	pod := s.newPod()
	pod.Spec.NodeName, pod.Annotations = name, nil
	pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists, TolerationSeconds: ptr.To[int64](20 + s.chance.Int64N(60))}}
	s.putPod(pod, "is made")
	s.setTaint(name, "a", "", nil)
	for range 1 + s.chance.IntN(3) {
		s.wait(time.Duration(s.chance.Int64N(int64(5 * time.Second))))
		if node = s.node(name); node == nil {
			return
		}
		pool := "x"
		if node.Labels["pool"] == "x" {
			pool = "y"
		}
		node.Labels = map[string]string{"pool": pool}
		s.putNode(node, "labeler", ownsLabels, "gets the label "+pool)
		s.wait(ruled + time.Duration(s.chance.Int64N(int64(time.Second))))
		s.check()
	}
}

// swapUnderPolicy has the two taints of a node that is not ready take turns while budgets hold up evictions for them. Mostly that is after a pod was
// due, and it is due for the other one since the same moment.
func (s *sim) swapUnderPolicy() {
	spec := s.policySpec(v1alpha1.ModeEvict)
	spec.MatchingPrecedence, spec.MinTaintAgeSeconds, spec.ExpireTime = ptr.To[int32](1), nil, nil
	spec.NodeSelector, spec.NamespaceSelector, spec.PodSelector = nil, nil, nil
	spec.Taints = []v1alpha1.TaintPattern{{Key: v1.TaintNodeNotReady, Effect: v1.TaintEffectNoExecute}, {Key: v1.TaintNodeUnreachable, Effect: v1.TaintEffectNoExecute}}
	s.putPolicy("swap", spec)
	for _, app := range []string{"web", "db", "none"} {
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "swap-" + app}}
		budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
		budget.Spec.MinAvailable = ptr.To(intstr.FromInt(20))
		s.putBudget(budget)
	}
	s.api.ReconcileBudgets()
	if s.chance.IntN(3) == 0 {
		s.swap()
		return
	}
	node := s.notReadyNode()
	pod, tolerated := s.podNamed(s.newName("default")), 1+s.chance.Int64N(10)
	pod.Labels, pod.Annotations, pod.Spec.NodeName = map[string]string{"app": one(s, "web", "db", "none")}, nil, node
	pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists, TolerationSeconds: &tolerated}}
	s.putPod(pod, "is made")
	s.api.ReconcileBudgets()
	s.wait(time.Duration(tolerated)*time.Second + time.Duration(s.chance.Int64N(int64(20*time.Second))))
	status := v1.ConditionFalse
	if now := s.node(node); now == nil {
		return
	} else if now.Status.Conditions[0].Status == v1.ConditionFalse {
		status = v1.ConditionUnknown
	}
	s.setReady(node, status)
	s.reconcileNotReady(node)
	s.wait(time.Duration(s.chance.Int64N(int64(3 * time.Second))))
	s.check()
}
