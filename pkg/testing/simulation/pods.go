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
)

// livePods are the pods that exist, by name.
func (s *sim) livePods() (pods []*v1.Pod) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for uid := range s.history.pods {
		if pod := s.history.pod(uid); pod != nil {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *v1.Pod) int { return compare(nameOf(a).String(), nameOf(b).String()) })
	return pods
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// anyPod is a copy of a pod, or nil where there is none.
func (s *sim) anyPod(which func(*v1.Pod) bool) *v1.Pod {
	pods := slices.DeleteFunc(s.livePods(), func(pod *v1.Pod) bool { return which != nil && !which(pod) })
	if len(pods) == 0 {
		return nil
	}
	return pods[s.rng.IntN(len(pods))].DeepCopy()
}

// newPod makes up a pod of a new name.
func (s *sim) newPod() *v1.Pod {
	return s.podNamed(s.newName([]string{"default", "default", "other"}[s.rng.IntN(3)]))
}

// newName is a name that no pod has had.
func (s *sim) newName(namespace string) types.NamespacedName {
	s.names++
	return types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("pod-%d", s.names)}
}

// podNamed makes up a pod of a name.
func (s *sim) podNamed(name types.NamespacedName) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Generation: 1, CreationTimestamp: s.stamp()},
		Status:     v1.PodStatus{Phase: v1.PodRunning},
	}
	for range s.rng.IntN(5) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, s.toleration())
	}
	if s.rng.IntN(12) == 0 { // somebody else meant to evict it
		status := []v1.ConditionStatus{v1.ConditionTrue, v1.ConditionTrue, v1.ConditionFalse}[s.rng.IntN(3)]
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{
			Type: v1.DisruptionTarget, Status: status, Reason: v1.PodReasonPreemptionByScheduler, LastTransitionTime: s.stamp(),
		})
	}
	if s.rng.IntN(20) == 0 {
		pod.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"}
	}
	s.dressUp(pod)
	return pod
}

// addPod stores a pod that is bound to a node, mostly.
func (s *sim) addPod(pod *v1.Pod) {
	if s.rng.IntN(6) > 0 {
		s.bind(pod)
	}
	s.putPod(pod, "is made")
}

// bind has a pod come to a node, which mostly exists.
func (s *sim) bind(pod *v1.Pod) {
	pod.Spec.NodeName = s.anyNode()
	if s.rng.IntN(8) > 0 {
		at := s.stamp()
		switch s.rng.IntN(12) {
		case 0:
			at = s.written()
		case 1: // by the clock of a kubelet
			at = metav1.NewTime(at.Add(-time.Hour))
		}
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: at})
	}
}

func (s *sim) putPod(pod *v1.Pod, why string) {
	s.api.Put(pod)
	tolerations := ""
	for _, t := range pod.Spec.Tolerations {
		seconds := ""
		if t.TolerationSeconds != nil {
			seconds = fmt.Sprintf(" for %ds", *t.TolerationSeconds)
		}
		tolerations += fmt.Sprintf(" [%s %s %s%s]", t.Key, t.Operator, t.Value, seconds)
	}
	s.note(pod.Name, "%s: %s on %q, bound %s, tolerates%s", why, pod.UID, pod.Spec.NodeName, s.clock(boundBy(pod)), tolerations)
}

func (s *sim) removePod(pod *v1.Pod) {
	s.note(pod.Name, "is gone: %s", pod.UID)
	s.api.Remove(pod)
}

func keys() []string {
	return []string{"a", "b", v1.TaintNodeNotReady, v1.TaintNodeUnreachable}
}

// toleration makes one up.
func (s *sim) toleration() v1.Toleration {
	t := v1.Toleration{Key: keys()[s.rng.IntN(4)], Operator: v1.TolerationOpExists, TolerationSeconds: s.seconds()}
	switch s.rng.IntN(8) {
	case 0:
		t.Operator, t.Value = v1.TolerationOpEqual, []string{"", "x"}[s.rng.IntN(2)]
	case 1:
		t.Effect = []v1.TaintEffect{v1.TaintEffectNoExecute, v1.TaintEffectNoSchedule}[s.rng.IntN(2)]
	case 2:
		t.Key = ""
	}
	return t
}

func (s *sim) seconds() *int64 {
	if s.rng.IntN(8) == 0 {
		return nil
	}
	all := []int64{-1, 0, 1, 2, 5, 10, 20, 30, 60, 90, 300, 18446744074}
	return ptr.To(all[s.rng.IntN(len(all))])
}

// reap takes away pods whose time of grace is over, as kubelets do.
func (s *sim) reap() {
	for _, pod := range s.livePods() {
		if pod.DeletionTimestamp != nil && s.rng.IntN(3) == 0 {
			s.removePod(pod)
			if s.rng.IntN(4) == 0 {
				s.addPod(s.podNamed(nameOf(pod)))
			}
		}
	}
}

// deleteByOther has somebody else delete a pod, with grace.
func (s *sim) deleteByOther(pod *v1.Pod) {
	if pod.DeletionTimestamp == nil {
		pod.DeletionTimestamp = ptr.To(metav1.NewTime(s.api.Now().Add(30 * time.Second).UTC().Truncate(time.Second)))
		s.putPod(pod, "is deleted by somebody else")
	}
}
