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
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Labels returns metadata.labels.
func (p *Pod) Labels() labels.Labels { return p.labels }

// Ready reports whether the condition Ready is True.
func (p *Pod) Ready() bool { return p.ready }

// Guarded reports whether disruption budgets guard the pod. The eviction API does not look at them while the phase is Pending, and when the
// pod has finished or is terminating.
func (p *Pod) Guarded() bool { return p.guarded }

// isGuarded reports whether disruption budgets guard a pod.
func isGuarded(pod *v1.Pod) bool {
	switch pod.Status.Phase {
	case v1.PodPending, v1.PodSucceeded, v1.PodFailed:
		return false
	default:
		return pod.DeletionTimestamp == nil
	}
}
