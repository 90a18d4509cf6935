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

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// TestPolicyNotice has a policy that announces evictions 4 s before, and one that does not.
func TestPolicyNotice(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(3)
	s.create("notice", "matchingPrecedence: 100, mode: Delete, taints: [{key: ill}], noticeSeconds: 4")
	s.create("silent", "matchingPrecedence: 100, mode: Delete, taints: [{key: silent}]")
	named := func(name, key string, seconds int64) builders.Change {
		return func(pod *corev1.Pod) {
			pod.Name = name
			builders.Tolerates(key, seconds)(pod)
		}
	}
	told := s.Pod(nodes[0], named("told", "ill", 7))
	now, soon := s.Pod(nodes[0], builders.Named("now")), s.Pod(nodes[0], named("soon", "ill", 3))
	longer, saved := s.Pod(nodes[0], named("longer", "ill", 7)), s.Pod(nodes[1], named("saved", "ill", 7))
	silent := s.Pod(nodes[2], named("silent", "silent", 7))
	tainted := s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Taint(nodes[1], builders.NoExecute("ill"))
	last := s.Taint(nodes[2], builders.NoExecute("silent"))
	s.Evicted(now, harness.Due(tainted, 0))
	s.expectEvents("TaintManagerNotice", tainted.Before.Add(2400*time.Millisecond)) // none is due before 3 s
	s.Evicted(soon, harness.Due(tainted, 3))
	s.expectEvents("TaintManagerNotice", last.After.Add(5*time.Second), "longer", "saved", "told")
	notice := s.Events("TaintManagerNotice", 3, time.Now())[0]
	if !strings.HasPrefix(notice.Message, "Will be evicted from node "+nodes[0]+" at ") && !strings.HasPrefix(notice.Message, "Will be evicted from node "+nodes[1]+" at ") ||
		!strings.HasSuffix(notice.Message, " for taint ill:NoExecute, by policy notice") {
		t.Errorf("message %q", notice.Message)
	}

	s.SetTolerationSeconds(longer, "ill", 600)
	s.Untaint(nodes[1])
	s.expectEvents("TaintManagerNoticeWithdrawn", time.Now().Add(3*time.Second), "longer", "saved")
	s.Evicted(told, harness.Due(tainted, 7))
	s.Evicted(silent, harness.Due(last, 7))
	s.Stays(saved, last.After.Add(9*time.Second), "the taint is gone")
	s.Stays(longer, last.After.Add(9*time.Second), "it tolerates the taint for longer")
	s.expectEvents("TaintManagerNotice", time.Now(), "longer", "saved", "told")
	s.expectEvents("TaintManagerNoticeWithdrawn", time.Now(), "longer", "saved")
}

// expectEvents waits until there are Events of a reason about these pods, or until the time is over, and checks that there are no others.
func (s policyScene) expectEvents(reason string, until time.Time, pods ...string) {
	s.T.Helper()
	var got []string
	for _, event := range s.Events(reason, max(1, len(pods)), until) {
		got = append(got, event.InvolvedObject.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, pods) {
		s.T.Errorf("Events %s are about %v, want %v", reason, got, pods)
	}
}

// TestPolicyStatus follows the status of a policy from the first deadline to the last eviction, and over a change of its spec.
func TestPolicyStatus(t *testing.T) {
	s := withPolicies(t)
	nodes := s.Nodes(3)
	s.create("delete", "matchingPrecedence: 100, mode: Delete, taints: [{key: ill}]")
	s.create("unused", "matchingPrecedence: 200, mode: Delete, taints: [{key: ill}]")
	s.counts("delete", 0, 0, 0, 0, 0)
	s.isInProgress("delete", metav1.ConditionFalse, "NoPodScheduled", "No pod has a deadline by this policy.")
	pods := []*corev1.Pod{
		s.Pod(nodes[0], builders.Tolerates("ill", 4)), s.Pod(nodes[0], builders.Tolerates("ill", 6)), s.Pod(nodes[1], builders.Tolerates("ill", 6)),
	}
	s.Pod(nodes[0], builders.ToleratesForever("ill"))
	s.Pod(nodes[2], builders.Tolerates("other", 600))
	tainted := s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Taint(nodes[1], builders.NoExecute("ill"))
	s.Taint(nodes[2], builders.NoExecute("other"))
	s.counts("delete", 3, 0, 0, 0, 2)
	s.isInProgress("delete", metav1.ConditionTrue, "PodsScheduled", "3 pods have a deadline by this policy; disruption budgets block 0 of them.")
	s.counts("unused", 0, 0, 0, 0, 0)
	s.Evicted(pods[0], harness.Due(tainted, 4))
	s.counts("delete", 2, 0, 0, 0, 2)
	for _, pod := range pods[1:] {
		s.Evicted(pod, harness.Due(tainted, 6).Extend(time.Second))
	}
	s.counts("delete", 0, 0, 0, 0, 0)
	s.isInProgress("delete", metav1.ConditionFalse, "NoPodScheduled", "No pod has a deadline by this policy.")

	patch := []byte(`{"spec":{"mode":"Keep"}}`)
	_, err := s.policies.Patch(s.Context(), "delete", types.MergePatchType, patch, metav1.PatchOptions{})
	s.Must(err)
	s.eventually("delete", "observed", func(status policyv1alpha1.TaintEvictionPolicyStatus) bool {
		accepted := meta.FindStatusCondition(status.Conditions, policyv1alpha1.ConditionAccepted)
		return status.ObservedGeneration == 2 && accepted != nil && accepted.Status == metav1.ConditionTrue && accepted.ObservedGeneration == 2
	})
}

// isInProgress checks the condition by which kubectl wait knows that a policy has nothing left to do.
func (s policyScene) isInProgress(name string, status metav1.ConditionStatus, reason, message string) {
	s.T.Helper()
	s.eventually(name, fmt.Sprintf("has EvictionInProgress=%s", status), func(now policyv1alpha1.TaintEvictionPolicyStatus) bool {
		condition := ptr.Deref(meta.FindStatusCondition(now.Conditions, policyv1alpha1.ConditionEvictionInProgress), metav1.Condition{})
		return condition.Status == status && condition.Reason == reason && condition.Message == message
	})
}

// TestPolicyOfAnotherVersion has a CustomResourceDefinition that knows a mode which the controller does not.
func TestPolicyOfAnotherVersion(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := policyScene{Scene: suite.Alone(t)}
	s.policies = s.Policies(func(crd *unstructured.Unstructured) {
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		s.Must(err)
		schema, _ := versions[0].(map[string]any)
		s.Must(unstructured.SetNestedSlice(schema, []any{"Delete", "Request"}, "schema", "openAPIV3Schema", "properties", "spec", "properties", "mode", "enum"))
		s.Must(unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"))
	})
	s.Start(harness.Options{})
	nodes := s.Nodes(3)
	kept, other, later := s.Pod(nodes[0]), s.Pod(nodes[1]), s.Pod(nodes[2])
	s.put("next", "matchingPrecedence: 100, mode: Request, taints: [{key: ill}]")
	s.isNotAccepted("next", "the pods that the policy may be about are kept")
	tainted := s.Taint(nodes[0], builders.NoExecute("ill"))
	s.Evicted(other, harness.Due(s.Taint(nodes[1], builders.NoExecute("other")), 0))
	s.counts("next", 0, 0, 0, 1, 1)
	s.Quiet(kept, tainted.After.Add(3*time.Second))

	setMode := func(mode string) timing.Moment {
		changed, err := timing.Of(func() error {
			_, err := s.policies.Patch(s.Context(), "next", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"mode":%q}}`, mode), metav1.PatchOptions{})
			return err
		})
		s.Must(err)
		return changed
	}
	s.Evicted(kept, harness.Due(setMode("Delete"), 0))
	s.accepted("next", statusTimeout)
	setMode("Request")
	s.isNotAccepted("next", "the version that was accepted last still applies")
	s.Evicted(later, harness.Due(s.Taint(nodes[2], builders.NoExecute("ill")), 0))
}

// isNotAccepted waits until the status says that a policy is not valid, and what applies meanwhile.
func (s policyScene) isNotAccepted(name, meanwhile string) {
	s.T.Helper()
	s.eventually(name, "not accepted", func(status policyv1alpha1.TaintEvictionPolicyStatus) bool {
		accepted := ptr.Deref(meta.FindStatusCondition(status.Conditions, policyv1alpha1.ConditionAccepted), metav1.Condition{})
		return accepted.Status == metav1.ConditionFalse && accepted.Reason == "Invalid" && strings.HasPrefix(accepted.Message, "spec.mode: ") &&
			strings.HasSuffix(accepted.Message, meanwhile)
	})
}
