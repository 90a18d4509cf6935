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

package harness

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Reject makes a pod one that its kubelet did not admit. Its node must be silent.
func (s *Scene) Reject(pod *corev1.Pod) {
	s.T.Helper()
	s.patchStatus(pod, map[string]any{"phase": corev1.PodFailed, "reason": "NodeAffinity", "message": "Pod was rejected"})
}

// Scheduled has a pod say since when it has been on its node, as a kubelet does for a pod that was made with a node's name, by its own
// clock. Its node must be silent.
func (s *Scene) Scheduled(pod *corev1.Pod, since time.Time) {
	s.T.Helper()
	s.patchStatus(pod, map[string]any{"conditions": []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since),
	}}})
}

func (s *Scene) patchStatus(pod *corev1.Pod, status map[string]any) {
	s.T.Helper()
	patch, err := toJSON(map[string]any{"status": status})
	s.Must(err)
	_, err = s.Client.CoreV1().Pods(s.Namespace).
		Patch(s.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	s.Must(err)
}
