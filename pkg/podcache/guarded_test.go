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

package podcache

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

func TestWhatBudgetsReadOfAPod(t *testing.T) {
	for name, test := range map[string]struct {
		change         func(*v1.Pod)
		ready, guarded bool
	}{
		"ready":       {func(*v1.Pod) {}, true, true},
		"not ready":   {func(pod *v1.Pod) { pod.Status.Conditions[0].Status = v1.ConditionFalse }, false, true},
		"unknown":     {func(pod *v1.Pod) { pod.Status.Conditions[0].Status = v1.ConditionUnknown }, false, true},
		"pending":     {func(pod *v1.Pod) { pod.Status.Phase = v1.PodPending }, true, false},
		"succeeded":   {func(pod *v1.Pod) { pod.Status.Phase = v1.PodSucceeded }, true, false},
		"failed":      {func(pod *v1.Pod) { pod.Status.Phase = v1.PodFailed }, true, false},
		"terminating": {func(pod *v1.Pod) { pod.DeletionTimestamp = ptr.To(metav1.Now()) }, true, false},
	} {
		pod := &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web", "empty": ""}},
			Status:     v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}},
		}
		test.change(pod)
		kept := NewPod(pod, noon)
		if kept.Ready() != test.ready || kept.Guarded() != test.guarded {
			t.Errorf("%s: ready %v, guarded %v", name, kept.Ready(), kept.Guarded())
		}
		for selector, want := range map[string]bool{"app=web": true, "empty=": true, "!other": true, "app=other": false, "other": false} {
			if parsed, err := labels.Parse(selector); err != nil || parsed.Matches(kept.Labels()) != want {
				t.Errorf("%s selects: %v, error %v", selector, !want, err)
			}
		}
	}
}
