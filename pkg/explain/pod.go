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

package explain

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Pod is the whole chain of why a pod goes, or does not.
type Pod struct {
	Header `json:",inline"`
	Pod    Ref    `json:"pod"`
	Node   string `json:"node,omitempty"`
	// Fate is what becomes of the pod.
	Fate Fate `json:"fate"`
	// Binding is when the pod came to its node: no toleration counts from before.
	Binding time.Time `json:"binding,omitzero"`
	// Taints are the taints of the node that may evict, each with what it alone does to the pod.
	Taints []Taint `json:"taints,omitempty"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (p *Pod) DeepCopyObject() runtime.Object { return p }

// Taint is a taint of a node, and what it does to a pod.
type Taint struct {
	Taint string `json:"taint"`
	// Start is since when the taint counts, and StartFrom what says so. TimeAdded, LastChange and Recorded are all that there is.
	Start      time.Time       `json:"start"`
	StartFrom  snapshot.Source `json:"startFrom"`
	TimeAdded  time.Time       `json:"timeAdded,omitzero"`
	LastChange time.Time       `json:"lastChange,omitzero"`
	Recorded   time.Time       `json:"recorded,omitzero"`
	// Period is the start of the not-ready period, for the not-ready taints, and PeriodFrom what says so.
	Period     time.Time       `json:"notReadyPeriod,omitzero"`
	PeriodFrom snapshot.Source `json:"notReadyPeriodFrom,omitempty"`
	// Toleration is the first toleration that tolerates the taint. Without one, Mismatches says of each toleration why not.
	Toleration *v1.Toleration `json:"toleration,omitempty"`
	// Fate is what the taint alone does.
	Fate Fate `json:"fate"`
}

// ExplainPod explains a pod that exists.
func ExplainPod(s *snapshot.Snapshot, pod *v1.Pod) *Pod {
	compact := podcache.NewPod(pod, s.At)
	p := &Pod{
		Header: NewHeader("PodExplanation", s),
		Pod:    Ref{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)},
		Node:   pod.Spec.NodeName,
		Fate:   FateNow(s, compact),
	}
	if pod.Spec.NodeName == "" {
		return p
	}
	p.Binding = s.API(compact.Bound(s.Server))
	for _, evidence := range s.Evidence(pod.Spec.NodeName) {
		p.Taints = append(p.Taints, explainTaint(s, compact, evidence))
	}
	return p
}

func explainTaint(s *snapshot.Snapshot, pod *podcache.Pod, evidence snapshot.Evidence) Taint {
	alone := s.DecideOn(pod, []deadline.Taint{evidence.Taint})
	tolerations := pod.ToDeadlinePod(s.Server).Tolerations
	return Taint{
		Taint: evidence.Taint.String(), Start: evidence.Start, StartFrom: evidence.By,
		TimeAdded: evidence.TimeAdded, LastChange: evidence.LastChange, Recorded: evidence.Recorded,
		Period: evidence.Period, PeriodFrom: evidence.PeriodBy,
		Toleration: deadline.Tolerating(tolerations, evidence.Taint, s.Rules()),
		Fate:       FateOf(s, alone, KnownStarts([]snapshot.Evidence{evidence})),
	}
}

// Names returns the pod.
func (p *Pod) Names() []string { return []string{"pod/" + p.Pod.Name} }
