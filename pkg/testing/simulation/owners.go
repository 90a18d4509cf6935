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
	"context"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// maxReplacements is how many pods owners make, at most.
const maxReplacements = 30

// owners replace pods that go, have them be ready after a while, and count them in the status of budgets, as the controllers of a cluster do.
type owners struct {
	sim  *sim
	made int
	// wanted is how many pods there are to be with each label app; ready is how long one takes to be.
	wanted map[string]int
	ready  time.Duration
	stop   context.CancelFunc
	ended  chan struct{}
}

// startOwners makes pods that have owners, and starts these.
func (s *sim) startOwners() {
	o := &owners{
		sim: s, wanted: map[string]int{"web": 2 + s.chance.IntN(4), "db": s.chance.IntN(3)}, ready: time.Duration(s.chance.Int64N(int64(20 * time.Second))),
		ended: make(chan struct{}),
	}
	apart := 200*time.Millisecond + time.Duration(s.chance.Int64N(int64(2*time.Second)))
	ctx, stop := context.WithCancel(context.Background())
	o.stop, s.owners = stop, o
	for app, n := range o.wanted {
		for range n {
			o.replace(app, true)
		}
	}
	s.api.ReconcileBudgets()
	go func() {
		defer close(o.ended)
		ticker := time.NewTicker(apart + 137*time.Microsecond) // not at the moments at which others act
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				o.look()
			}
		}
	}()
}

// stopOwners ends them.
func (s *sim) stopOwners() {
	if s.owners != nil {
		s.owners.stop()
		<-s.owners.ended
	}
}

// look does all that owners and the disruption controller do.
func (o *owners) look() {
	count := map[string]int{}
	for _, pod := range o.sim.livePods() {
		if pod.DeletionTimestamp != nil || pod.Namespace != "default" {
			continue
		}
		count[pod.Labels["app"]]++
		if owned := metav1.GetControllerOf(pod) != nil; owned && !isReadyPod(pod) && time.Since(pod.CreationTimestamp.Add(-o.sim.plan.apiSkew)) >= o.ready {
			o.sim.note(pod.Name, "is ready")
			o.sim.api.UpdatePod(pod.Name, func(pod *v1.Pod) { pod.Status.Conditions = append(notReadyPod(pod), readyPod()) })
		}
	}
	for _, app := range []string{"web", "db"} {
		if count[app] < o.wanted[app] && o.made < maxReplacements {
			o.replace(app, false)
		}
	}
	o.sim.api.ReconcileBudgets()
}

// replace makes a pod on a node without taints, if there is one.
func (o *owners) replace(app string, ready bool) {
	for i := range o.sim.plan.nodes {
		node := o.sim.node(nodeName((i + o.made) % o.sim.plan.nodes))
		if node == nil || len(node.Spec.Taints) > 0 {
			continue
		}
		o.made++
		pod := &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: fmt.Sprintf("%s-%d", app, o.made), Labels: map[string]string{"app": app}, Generation: 1, CreationTimestamp: o.sim.stamp(),
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID(app), Controller: ptr.To(true)}},
			},
			Spec:   v1.PodSpec{NodeName: node.Name, TerminationGracePeriodSeconds: ptr.To[int64](30)},
			Status: v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: o.sim.stamp()}}},
		}
		if ready {
			pod.Status.Conditions = append(pod.Status.Conditions, readyPod())
		}
		o.sim.putPod(pod, "is made by its owner")
		return
	}
}

func readyPod() v1.PodCondition { return v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue} }

// notReadyPod are the conditions of a pod without the one that says that it is ready.
func notReadyPod(pod *v1.Pod) []v1.PodCondition {
	return slices.DeleteFunc(slices.Clone(pod.Status.Conditions), func(c v1.PodCondition) bool { return c.Type == v1.PodReady })
}

func isReadyPod(pod *v1.Pod) bool { return slices.Contains(pod.Status.Conditions, readyPod()) }

// dressUp gives a new pod labels and a grace period, and mostly has it be ready, in a run with policies.
func (s *sim) dressUp(pod *v1.Pod) {
	if !s.plan.policies.on {
		return
	}
	if s.chance.IntN(4) > 0 {
		pod.Labels = map[string]string{"app": one(s, "web", "db", "none")}
	}
	if s.chance.IntN(4) > 0 {
		pod.Status.Conditions = append(pod.Status.Conditions, readyPod())
	}
	pod.Spec.TerminationGracePeriodSeconds = ptr.To(one[int64](s, 30, 30, 30, 5, 60, 1, 0))
}

// budgetChanges makes, changes or removes a disruption budget.
func (s *sim) budgetChanges() {
	name := types.NamespacedName{Namespace: one(s, "default", "default", "other"), Name: fmt.Sprintf("budget-%d", s.chance.IntN(2))}
	if s.chance.IntN(3) == 0 {
		s.removeBudget(name)
		return
	}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	s.lock.Lock()
	if before := s.history.budgets[name]; before != nil {
		budget = before.DeepCopy()
	}
	s.lock.Unlock()
	budget.Spec = policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": one(s, "web", "web", "db")}}}
	if s.chance.IntN(2) == 0 {
		budget.Spec.MaxUnavailable = ptr.To(intstr.FromInt(s.chance.IntN(2)))
	} else {
		budget.Spec.MinAvailable = ptr.To(intstr.FromInt(s.chance.IntN(4)))
	}
	if s.chance.IntN(3) == 0 {
		budget.Spec.UnhealthyPodEvictionPolicy = ptr.To(one(s, policyv1.AlwaysAllow, policyv1.IfHealthyBudget))
	}
	s.putBudget(budget)
}

func (s *sim) putBudget(budget *policyv1.PodDisruptionBudget) {
	s.note(budget.Name, "of %s is for %v: at least %s, at most %s not available", budget.Namespace, budget.Spec.Selector.MatchLabels, budget.Spec.MinAvailable, budget.Spec.MaxUnavailable)
	s.api.Put(budget)
}

func (s *sim) removeBudget(name types.NamespacedName) {
	s.note(name.Name, "of %s is removed", name.Namespace)
	s.api.Remove(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}})
}

func (s *sim) removeBudgets() {
	s.lock.Lock()
	var names []types.NamespacedName
	for name := range s.history.budgets {
		names = append(names, name)
	}
	s.lock.Unlock()
	for _, name := range names {
		s.removeBudget(name)
	}
}

// covered says whether a budget covers a pod.
func (s *sim) covered(pod *v1.Pod) bool {
	for _, budget := range s.history.budgets {
		if covers(budget, pod) {
			return true
		}
	}
	return false
}

// covers says whether a budget covers a pod. The steps give budgets matchLabels alone.
func covers(budget *policyv1.PodDisruptionBudget, pod *v1.Pod) bool {
	return budget.Namespace == pod.Namespace && labels.SelectorFromSet(budget.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels))
}

// evictedTogether has several pods of one budget be due at the same moment, by a policy that evicts them.
func (s *sim) evictedTogether() {
	spec := s.policySpec(v1alpha1.ModeEvict)
	spec.MatchingPrecedence, spec.Taints = ptr.To[int32](1), []v1alpha1.TaintPattern{{Key: "b", Effect: v1.TaintEffectNoExecute}}
	spec.NodeSelector, spec.NamespaceSelector, spec.PodSelector = nil, nil, nil
	if s.chance.IntN(4) > 0 {
		spec.MinTaintAgeSeconds, spec.ExpireTime = nil, nil
	}
	s.putPolicy("together", spec)
	n := 2 + s.chance.IntN(4)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "together"}}
	budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "together"}}
	budget.Spec.MinAvailable = ptr.To(intstr.FromInt(s.chance.IntN(n + 1)))
	s.putBudget(budget)
	for range n {
		pod := s.podNamed(s.newName("default"))
		pod.Labels, pod.Annotations, pod.Spec.Tolerations = map[string]string{"app": "together"}, nil, nil
		pod.Spec.NodeName = nodeName(s.chance.IntN(s.plan.nodes))
		s.putPod(pod, "is made")
	}
	s.api.ReconcileBudgets()
	s.wait(time.Duration(s.chance.Int64N(int64(2 * time.Second))))
	for i := range s.plan.nodes {
		s.dropTaints(nodeName(i), func(v1.Taint) bool { return true }) // else they go for these
		s.setTaint(nodeName(i), "b", "", nil)
	}
	for range 1 + s.chance.IntN(4) {
		s.wait(time.Duration(s.chance.Int64N(int64(20 * time.Second))))
		s.api.ReconcileBudgets()
	}
}
