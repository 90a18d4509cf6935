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

// Package builders makes the pods and taints of tests.
package builders

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Change is one thing that a pod has beside what all have.
type Change func(*corev1.Pod)

// Tolerates a taint with that key for some seconds.
func Tolerates(key string, seconds int64) Change {
	return func(pod *corev1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
}

// ToleratesForever a taint with that key.
func ToleratesForever(key string) Change {
	return func(pod *corev1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
		})
	}
}

// Named gives it a name.
func Named(name string) Change { return func(pod *corev1.Pod) { pod.Name = name } }

// Annotated gives it an annotation.
func Annotated(key, value string) Change {
	return func(pod *corev1.Pod) { metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value) }
}

// Held makes a finalizer hold it.
func Held(finalizer string) Change {
	return func(pod *corev1.Pod) { pod.Finalizers = append(pod.Finalizers, finalizer) }
}

// Pod returns a pod as all pods here are, bound to a node unless that is empty.
func Pod(node string, changes ...Change) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "e2e"}},
		Spec: corev1.PodSpec{
			NodeName:                     node,
			AutomountServiceAccountToken: ptr.To(false),
			Containers:                   []corev1.Container{{Name: "main", Image: "registry.invalid/none"}},
		},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

// With gives it a toleration of any kind.
func With(toleration corev1.Toleration) Change {
	return func(pod *corev1.Pod) { pod.Spec.Tolerations = append(pod.Spec.Tolerations, toleration) }
}

// ConditionOf is the pod's condition of a type, or nil.
func ConditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// NotScheduled keeps the scheduler from a pod.
func NotScheduled(pod *corev1.Pod) { pod.Spec.SchedulerName = "nobody" }
