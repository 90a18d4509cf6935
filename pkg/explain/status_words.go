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

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// PolicyHold is a policy that holds pods back.
type PolicyHold struct {
	// Policy is its name. Empty is a dry run.
	Policy string        `json:"policy,omitempty"`
	Mode   deadline.Mode `json:"mode"`
	// Pause says that it is a pause: of mode Keep and precedence 0. Holds says which pods such a policy holds; empty is that it holds all evictions
	// for NoExecute taints.
	Pause bool   `json:"pause,omitempty"`
	Holds string `json:"holds,omitempty"`
	// CreatedBy is who made it, if its annotation says so. CreatedWith is the client that did, by managedFields.
	CreatedBy   string    `json:"createdBy,omitempty"`
	CreatedWith string    `json:"createdWith,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	// Expires is when it ceases to hold pods. Zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// Pods is how many of the pods here it holds. They may be due now, or later.
	Pods int `json:"pods"`
}

// holdTally counts what holds pods back.
type holdTally struct {
	s    *snapshot.Snapshot
	pods map[holder]int
}

type holder struct {
	policy string
	mode   deadline.Mode
}

func newHoldTally(s *snapshot.Snapshot) *holdTally { return &holdTally{s, map[holder]int{}} }

// add counts a pod, once for each that holds it.
func (t *holdTally) add(holds []Hold) {
	counted := map[holder]bool{}
	for _, hold := range holds {
		by := holder{hold.Policy, hold.Mode}
		if !counted[by] {
			counted[by] = true
			t.pods[by]++
		}
	}
}

// list returns what holds pods back, and a pause, in the order in which policies apply.
func (t *holdTally) list() (list []PolicyHold) {
	if name := pausedUnread(t.s); name != "" {
		list = append(list, PolicyHold{Policy: name, Mode: deadline.ModeKeep, Pause: true})
	}
	for i := range t.s.Policies.Policies() {
		policy := &t.s.Policies.Policies()[i]
		pods := t.pods[holder{policy.Name, deadline.ModeKeep}] + t.pods[holder{policy.Name, deadline.ModePreview}]
		pause := t.s.Policies.IsPause(policy.Name, t.s.At)
		if pods == 0 && !pause {
			continue
		}
		hold := PolicyHold{Policy: policy.Name, Mode: policy.Mode, Pause: pause, Pods: pods, Expires: t.s.API(policy.Expires)}
		fromObject(&hold, t.s.PolicyObjects())
		list = append(list, hold)
	}
	if pods := t.pods[holder{"", deadline.ModePreview}]; pods > 0 {
		list = append(list, PolicyHold{Mode: deadline.ModePreview, Pods: pods})
	}
	return list
}

// pausedUnread returns the name of the policy that holds all evictions as the controller says, where policies could not be read.
func pausedUnread(s *snapshot.Snapshot) string {
	if !s.PoliciesUnread {
		return ""
	}
	return s.Annotation(tainteviction.PausedByAnnotation)
}

// fromObject says who made a policy, and what it holds if it is a pause.
func fromObject(hold *PolicyHold, objects []*unstructured.Unstructured) {
	i := slices.IndexFunc(objects, func(object *unstructured.Unstructured) bool { return object.GetName() == hold.Policy })
	if i < 0 {
		return
	}
	object := objects[i]
	if policy, err := DecodePolicy(object); hold.Pause && err == nil {
		if pause, _ := PauseOf(policy); len(pause.Taints)+len(pause.Selectors) > 0 {
			hold.Holds = pause.What()
		}
	}
	hold.CreatedBy, hold.Created = object.GetAnnotations()[v1alpha1.CreatedByAnnotation], object.GetCreationTimestamp().UTC()
	var first *metav1.ManagedFieldsEntry
	managed := object.GetManagedFields()
	for i := range managed {
		if entry := &managed[i]; entry.Subresource == "" && entry.Time != nil && (first == nil || entry.Time.Before(first.Time)) {
			first = entry
		}
	}
	if first != nil {
		hold.CreatedWith = first.Manager
	}
}

// heldBy says in words what holds a pod.
func heldBy(holds []Hold) string {
	var by []string
	for _, hold := range holds {
		if words := holderWords(hold); !slices.Contains(by, words) {
			by = append(by, words)
		}
	}
	return "held by " + strings.Join(by, " and ")
}

// holderWords names what holds a pod.
func holderWords(hold Hold) string {
	if hold.Policy == "" {
		return "a dry run"
	}
	return fmt.Sprintf("policy %s (%s)", hold.Policy, hold.Mode)
}

// blocked says in words which budgets do not allow an eviction, and their numbers.
func blocked(budgets []Budget, fate *Fate) string {
	if len(fate.BlockedBy) > 1 {
		return "budgets " + strings.Join(fate.BlockedBy, " and ") + " cover it, and the eviction API refuses pods of several budgets"
	}
	i := slices.IndexFunc(budgets, func(b Budget) bool { return b.Budget.Name == fate.BlockedBy[0] })
	b := &budgets[i]
	if b.Stale {
		return "budget " + b.Budget.Name + " allows nothing until the disruption controller has seen its latest version"
	}
	return fmt.Sprintf("budget %s allows %d: %d of %d healthy, %d wanted", b.Budget.Name, b.Allowed, b.Healthy, b.Expected, b.Desired)
}

// because says in words what a pod goes for.
func because(fate *Fate) string {
	taint := strings.TrimSuffix(fate.Taint, ":"+string(v1.TaintEffectNoExecute))
	if fate.Toleration == nil {
		return "does not tolerate " + taint
	}
	return fmt.Sprintf("tolerates %s for %ds", taint, *fate.Toleration.TolerationSeconds)
}

// stays says in words why a pod stays.
func stays(fate *Fate) string {
	if fate.Reason == deadline.NoTaint {
		return "its node has no taint that evicts"
	}
	return "it tolerates each taint for ever"
}

// finalizers names finalizers.
func finalizers(names []string) string {
	if len(names) == 1 {
		return "finalizer " + names[0]
	}
	return "finalizers " + strings.Join(names, ", ")
}
