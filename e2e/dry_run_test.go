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
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

// TestDryRun has a process that evicts nothing, with the Lease of its own that lets it run beside another one.
func TestDryRun(t *testing.T) {
	suite.OursOnly(t, "it has no dry run")
	s := suite.Alone(t)
	proxy := s.Proxy(0)
	proxy.RefuseStreamingLists(http.StatusUnprocessableEntity) // so that its Lease is listed, too
	controller := s.Start(harness.Options{Name: "dry", LeaderElect: true, Proxy: proxy, Args: []string{"--dry-run"}})
	node := s.Node()
	pod := s.Pod(node)
	tainted := s.Taint(node, builders.NoExecute("ill"))
	if events := s.NodeEvents(node, "TaintManagerPreview", 1, time.Now().Add(5*time.Second)); len(events) != 1 ||
		events[0].Message != "Preview by a dry run, nothing is evicted: 1 pod would be due now, 0 pods later" {
		t.Errorf("Events on the node: %v", messages(events))
	}
	s.Stays(pod, tainted.After.Add(4*time.Second), "a dry run evicts nothing")
	leases, err := s.Client.CoordinationV1().Leases(metav1.NamespaceSystem).List(s.Context(), metav1.ListOptions{})
	s.Must(err)
	held := map[string]bool{}
	for i := range leases.Items {
		held[leases.Items[i].Name] = ptr.Deref(leases.Items[i].Spec.HolderIdentity, "") != ""
	}
	if !held["taint-manager-dry-run"] || held["taint-manager"] {
		t.Errorf("Leases that are held: %v", held)
	}
	if live := s.Live(pod); builders.ConditionOf(live, corev1.DisruptionTarget) != nil {
		t.Errorf("a dry run wrote %v", live.Status.Conditions)
	}
	s.Must(controller.Stop()) // before the proxy
}

// dryRunWrites are what a dry run may write: Events, reviews of what it and its callers may do, and a Lease of its own.
func dryRunWrites() []string {
	return []string{
		"create events", "patch events",
		"create selfsubjectaccessreviews.authorization.k8s.io", "create subjectaccessreviews.authorization.k8s.io", "create tokenreviews.authentication.k8s.io",
		"create leases.coordination.k8s.io taint-manager-dry-run", "update leases.coordination.k8s.io taint-manager-dry-run",
	}
}

// TestDryRunBesideTheRealOne has policies of all modes and 20 pods that become due, and reads in the audit log what the dry run has written
// meanwhile. The real one has an account of its own.
func TestDryRunBesideTheRealOne(t *testing.T) {
	suite.OursOnly(t, "it has no dry run")
	s := policyScene{Scene: suite.Alone(t)}
	s.policies = s.Policies()
	s.Start(harness.Options{Name: "real", LeaderElect: true, Kubeconfig: s.Account("real", launcher.Rules())})
	began := time.Now()
	dry := s.Start(harness.Options{Name: "beside", LeaderElect: true, Args: []string{"--dry-run"}})
	s.create("evict", "matchingPrecedence: 100, mode: Evict, taints: [{key: evicted}], evict: {deleteAfter: Never}")
	s.create("delete", "matchingPrecedence: 100, mode: Delete, taints: [{key: deleted}], noticeSeconds: 590")
	s.create("keep", "matchingPrecedence: 100, mode: Keep, taints: [{key: kept}]")
	s.create("preview", "matchingPrecedence: 100, mode: Preview, taints: [{key: previewed}]")
	budgets := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace)
	_, err := budgets.Create(s.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "nothing"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: web()},
		},
	}, metav1.CreateOptions{})
	s.Must(err)

	nodes := s.Nodes(5)
	const each = 10
	pods := s.Many(2*each, func(i int) *corev1.Pod {
		return builders.Pod(nodes[i/each], builders.Named(fmt.Sprintf("due-%d", i)), func(pod *corev1.Pod) { pod.Labels = web() })
	})
	kept, previewed := s.Pod(nodes[3]), s.Pod(nodes[4])
	s.Pod(nodes[2], builders.Tolerates("deleted", 600))
	plain := s.Taint(nodes[0], builders.NoExecute("plain"))
	s.Taint(nodes[1], builders.NoExecute("evicted"))
	s.Taint(nodes[2], builders.NoExecute("deleted"))
	s.Taint(nodes[3], builders.NoExecute("kept"))
	last := s.Taint(nodes[4], builders.NoExecute("previewed"))
	s.CheckAll(pods[:each], s.AwaitAll(pods[:each], plain.After.Add(5*time.Second)), func(int) timing.Window { return harness.Due(plain, 0) })
	s.counts("evict", each, each, 0, 0, 1)
	s.counts("delete", 1, 0, 0, 0, 1)
	s.counts("keep", 0, 0, 0, 1, 1)
	s.counts("preview", 0, 0, 1, 0, 1)
	if events := s.NodeEvents(nodes[1], "TaintManagerPreview", 1, time.Now().Add(5*time.Second)); len(events) != 1 ||
		events[0].Message != "Preview by policy evict, nothing is evicted: 10 pods would be due now, 0 pods later" {
		t.Errorf("Events on the node: %v", messages(events))
	}
	s.Quiet(pods[each], last.After.Add(12*time.Second)) // the budget holds it; meanwhile the notice is due
	for _, pod := range []*corev1.Pod{kept, previewed} {
		s.Stays(pod, time.Now(), "a policy keeps or previews it")
	}
	s.Must(budgets.Delete(s.Context(), "nothing", metav1.DeleteOptions{}))
	s.AwaitGone(pods[each:], time.Now().Add(5*time.Second))
	s.Must(dry.Stop())

	writes, reads := map[string]int{}, 0
	for _, request := range s.Requests(began) {
		if slices.Contains([]string{"get", "list", "watch"}, request.Verb) {
			reads++
		} else {
			writes[describe(request)]++
		}
	}
	for write, n := range writes {
		if !slices.Contains(dryRunWrites(), write) {
			t.Errorf("a dry run has sent %d times: %s", n, write)
		}
	}
	for _, needed := range []string{"create events", "create selfsubjectaccessreviews.authorization.k8s.io", "update leases.coordination.k8s.io taint-manager-dry-run"} {
		if writes[needed] == 0 {
			t.Errorf("not in the audit log, of which nothing follows then: %s", needed)
		}
	}
	s.Saw("%d reads, and these writes: %v", reads, writes)
}

// describe names a request: its verb and what it is about, of Leases the name too.
func describe(request *auditv1.Event) string {
	ref := request.ObjectRef
	if ref == nil {
		return request.Verb + " " + request.RequestURI
	}
	text := request.Verb + " " + ref.Resource
	if ref.Subresource != "" {
		text += "/" + ref.Subresource
	}
	if ref.APIGroup != "" && ref.APIGroup != corev1.GroupName && ref.Resource != "events" {
		text += "." + ref.APIGroup
	}
	if ref.Resource == "leases" {
		text += " " + ref.Name
	}
	return text
}
