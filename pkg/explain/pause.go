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
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// PauseAction is what was done about a pause.
type PauseAction string

const (
	// PauseCreated begins a pause.
	PauseCreated PauseAction = "Created"
	// PauseReplaced begins one in place of another.
	PauseReplaced PauseAction = "Replaced"
	// PauseDeleted ends one.
	PauseDeleted PauseAction = "Deleted"
)

// PauseResult is what a pause or its end does.
type PauseResult struct {
	Header `json:",inline"`
	// Policy is the name of the policy, and Action what was done with it. DryRun is client or server if it was not done.
	Policy string      `json:"policy"`
	Action PauseAction `json:"action"`
	DryRun string      `json:"dryRun,omitempty"`
	// Acknowledged says that the controller has reported that it follows the policy.
	Acknowledged bool `json:"acknowledged,omitempty"`
	// Before is the pause that there was, and Pause the one that there is now.
	Before *Pause `json:"before,omitempty"`
	Pause  *Pause `json:"pause,omitempty"`
	// Held is what the pause holds, or held. With HeldUnknown set, nodes or pods could not be read.
	Held        HeldPods `json:"held"`
	HeldUnknown bool     `json:"heldUnknown,omitempty"`
}

// DeepCopyObject returns the result itself: nobody changes it.
func (r *PauseResult) DeepCopyObject() runtime.Object { return r }

// Names returns the policy.
func (r *PauseResult) Names() []string {
	return []string{"taintevictionpolicy." + v1alpha1.GroupVersion.Group + "/" + r.Policy}
}

// Pause is a policy of mode Keep and precedence 0: it comes before all others.
type Pause struct {
	CreatedBy string `json:"createdBy,omitempty"`
	// Until is when it ends by itself. Zero is never.
	Until time.Time `json:"until,omitzero"`
	// Taints are what it holds. None is every NoExecute taint.
	Taints []string `json:"taints,omitempty"`
	// Selectors are what else limits it, by the name of the field.
	Selectors map[string]string `json:"selectors,omitempty"`
}

// PauseOf returns a policy as a pause, and false if it is none.
func PauseOf(policy *v1alpha1.TaintEvictionPolicy) (*Pause, bool) {
	spec := &policy.Spec
	if spec.Mode != v1alpha1.ModeKeep || ptr.Deref(spec.MatchingPrecedence, -1) != 0 {
		return nil, false
	}
	p := &Pause{CreatedBy: policy.Annotations[v1alpha1.CreatedByAnnotation]}
	if spec.ExpireTime != nil {
		p.Until = spec.ExpireTime.UTC()
	}
	for _, taint := range spec.Taints {
		text := taint.Key
		if taint.Value != nil {
			text += "=" + string(*taint.Value)
		}
		if taint.Effect != "" && taint.Effect != v1.TaintEffectNoExecute {
			text += ":" + string(taint.Effect)
		}
		p.Taints = append(p.Taints, text)
	}
	for name, selector := range map[string]*v1alpha1.LabelSelector{
		"nodeSelector": spec.NodeSelector, "namespaceSelector": spec.NamespaceSelector, "podSelector": spec.PodSelector,
	} {
		if selector != nil {
			p.Selectors = setAt(p.Selectors, name, describeSelector(selector))
		}
	}
	return p, true
}

func setAt(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func describeSelector(selector *v1alpha1.LabelSelector) string {
	other := &metav1.LabelSelector{}
	for key, value := range selector.MatchLabels {
		metav1.AddLabelToSelector(other, key, string(value))
	}
	for _, expression := range selector.MatchExpressions {
		requirement := metav1.LabelSelectorRequirement{Key: expression.Key, Operator: metav1.LabelSelectorOperator(expression.Operator)}
		for _, value := range expression.Values {
			requirement.Values = append(requirement.Values, string(value))
		}
		other.MatchExpressions = append(other.MatchExpressions, requirement)
	}
	return metav1.FormatLabelSelector(other)
}

// Over reports whether the pause has ended by itself at a time.
func (p *Pause) Over(at time.Time) bool { return !p.Until.IsZero() && !at.Before(p.Until) }

// What says in words what the pause holds.
func (p *Pause) What() string {
	text := "pods that would go for any NoExecute taint, also when nodes are not ready or unreachable"
	if len(p.Taints) > 0 {
		text = "pods that would go for taint " + strings.Join(p.Taints, ", ")
	}
	for _, one := range []struct{ field, words string }{
		{"nodeSelector", ", on nodes with "}, {"namespaceSelector", ", in namespaces with "}, {"podSelector", ", if they have "},
	} {
		if selector := p.Selectors[one.field]; selector != "" {
			text += one.words + selector
		}
	}
	return text
}

// HeldPods counts the pods that a policy holds, on how many nodes, and what they do without it.
type HeldPods struct {
	Pods  int `json:"pods"`
	Nodes int `json:"nodes"`
	// DueNow and Later go without the policy, and Stay do not, because another one holds them.
	DueNow int `json:"dueNow"`
	Later  int `json:"later"`
	Stay   int `json:"stay"`
	// GoAnyway go although the policy holds them for one taint: for another taint.
	GoAnyway int `json:"goAnyway,omitempty"`
}

// HeldBy counts the pods that a policy holds in one snapshot, by what they do in another one that is without it.
func HeldBy(with, without *snapshot.Snapshot, policy string) (held HeldPods) {
	nodes := map[string]bool{}
	for _, pod := range with.Pods {
		decision := with.Decide(pod)
		if !slices.ContainsFunc(decision.Held, func(step deadline.Step) bool {
			return policyName(step.Policy) == policy && (step.Policy == nil || step.Policy.Expires.IsZero() || with.At.Before(step.Policy.Expires))
		}) {
			continue
		}
		held.Pods++
		nodes[pod.Node()] = true
		if decision.Due(with.At) {
			held.GoAnyway++
		}
		switch other := without.Decide(pod); {
		case other.Due(without.At):
			held.DueNow++
		case other.Evict:
			held.Later++
		default:
			held.Stay++
		}
	}
	held.Nodes = len(nodes)
	return held
}

// NotHeld returns the NoSchedule taints that policies have evict, and that no pause of all NoExecute taints holds, with the policies.
func NotHeld(s *snapshot.Snapshot) (all []string) {
	policies := s.Policies.Policies()
	for i := range policies {
		for _, pattern := range policies[i].Taints {
			if pattern.Effect == v1.TaintEffectNoSchedule && policies[i].Mode != deadline.ModeKeep {
				all = append(all, fmt.Sprintf("%s:NoSchedule (policy %s)", pattern.Key, policies[i].Name))
			}
		}
	}
	return all
}

// EvictingTaints returns the keys of the NoExecute taints of the nodes, but for those that Kubernetes puts on nodes for their condition.
func EvictingTaints(s *snapshot.Snapshot, nodes labels.Selector) (keys []string) {
	for name, node := range s.Nodes {
		if !nodes.Matches(node.Labels()) {
			continue
		}
		for _, taint := range s.Taints(name) {
			if taint.Effect != v1.TaintEffectNoSchedule && !IsNodeCondition(taint.Key) {
				keys = append(keys, taint.Key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// IsNodeCondition reports whether a taint is one by which pods fail over from a node: it is not ready, unreachable or out of service.
func IsNodeCondition(key string) bool {
	return key == v1.TaintNodeNotReady || key == v1.TaintNodeUnreachable || key == v1.TaintNodeOutOfService
}

// DecodePolicy returns a policy that was read.
func DecodePolicy(object *unstructured.Unstructured) (*v1alpha1.TaintEvictionPolicy, error) {
	policy := &v1alpha1.TaintEvictionPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy); err != nil {
		return nil, fmt.Errorf("decoding policy %s: %w", object.GetName(), err)
	}
	return policy, nil
}
