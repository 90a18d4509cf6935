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
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/manifests"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// policyKind is the kind of policies.
const policyKind = "TaintEvictionPolicy"

// TestPolicyAPI checks what the API server makes of the CustomResourceDefinition: which policies it accepts, and what it says of those
// that it refuses. No controller runs meanwhile.
func TestPolicyAPI(t *testing.T) {
	suite.OursOnly(t, "it knows no policies")
	s := suite.Alone(t)
	policies := s.Policies()
	refused, accepted := refusedPolicies(), acceptedPolicies()
	for _, c := range refused {
		t.Run("refused/"+c.name, func(t *testing.T) { refuses(t, policies, c) })
	}
	for _, c := range accepted {
		t.Run("accepted/"+c.name, func(t *testing.T) { accepts(t, policies, c) })
	}
	t.Run("examples", func(t *testing.T) { appliesExamples(t, policies) })
	t.Run("status", func(t *testing.T) { keepsStatus(t, policies) })
	t.Run("columns", func(t *testing.T) { showsColumns(t, s) })
	t.Run("discovery", func(t *testing.T) { isDiscovered(t, s) })
	s.Saw("%d policies are refused, %d are accepted", len(refused), len(accepted))
}

// policyOf returns a policy with a spec in YAML, or with none.
func policyOf(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	policy := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "case"}}}
	policy.SetGroupVersionKind(policyv1alpha1.GroupVersion.WithKind(policyKind))
	if spec == "" {
		return policy
	}
	var content map[string]any
	if err := yaml.Unmarshal([]byte("{"+spec+"}"), &content); err != nil {
		t.Fatal(err)
	}
	policy.Object["spec"] = content
	return policy
}

// try has the API server validate a policy without storing it.
func try(t *testing.T, policies dynamic.ResourceInterface, spec string) (*unstructured.Unstructured, error) {
	t.Helper()
	return policies.Create(t.Context(), policyOf(t, spec), metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

func refuses(t *testing.T, policies dynamic.ResourceInterface, c policyCase) {
	t.Helper()
	_, err := try(t, policies, c.spec)
	switch {
	case err == nil:
		t.Errorf("accepted: {%s}", c.spec)
	case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
		t.Errorf("another error: %v", err)
	case !strings.Contains(err.Error(), c.want):
		t.Errorf("{%s}: got %q, want %q in it", c.spec, err, c.want)
	}
}

// accepts checks that the API server accepts a policy, and that the Go types hold all of what it has stored.
func accepts(t *testing.T, policies dynamic.ResourceInterface, c policyCase) {
	t.Helper()
	stored, err := try(t, policies, c.spec)
	if err != nil {
		t.Fatalf("{%s}: %v", c.spec, err)
	}
	policy := &policyv1alpha1.TaintEvictionPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(stored.Object, policy, true); err != nil {
		t.Fatal(err)
	}
	again, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(stored.Object, "spec", "expireTime") // Go writes times in another way
	unstructured.RemoveNestedField(again, "spec", "expireTime")
	if !equality.Semantic.DeepEqual(again["spec"], stored.Object["spec"]) {
		t.Errorf("got %v from Go, want %v", again["spec"], stored.Object["spec"])
	}
	if got := fmt.Sprint(stored.Object["spec"]); c.want != "" && !strings.Contains(got, c.want) {
		t.Errorf("stored is %s, want %s in it", got, c.want)
	}
}

// appliesExamples checks that the examples are accepted as they are in the repository.
func appliesExamples(t *testing.T, policies dynamic.ResourceInterface) {
	t.Helper()
	examples, err := manifests.PolicyExamples()
	if err != nil {
		t.Fatal(err)
	}
	var modes []string
	for _, example := range examples {
		applied, err := policies.Apply(t.Context(), example.GetName(), example, metav1.ApplyOptions{FieldManager: "e2e"})
		if err != nil {
			t.Fatalf("%s: %v", example.GetName(), err)
		}
		mode, _, err := unstructured.NestedString(applied.Object, "spec", "mode")
		if err != nil {
			t.Fatal(err)
		}
		modes = append(modes, example.GetName()+" "+mode)
	}
	if want := []string{"edge-nodes Keep", "maintenance Evict", "preview Preview"}; !slices.Equal(modes, want) {
		t.Errorf("got %q, want %q", modes, want)
	}
}

// keepsStatus writes a status as the controller does, and checks that it is all there, and that nothing else changed.
func keepsStatus(t *testing.T, policies dynamic.ResourceInterface) {
	t.Helper()
	want := policyv1alpha1.TaintEvictionPolicyStatus{
		Conditions: []metav1.Condition{{
			Type: policyv1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Valid", ObservedGeneration: 1,
			LastTransitionTime: metav1.NewTime(time.Unix(1800000000, 0)),
		}},
		ObservedGeneration: 1, ScheduledPods: ptr.To[int32](3), BlockedPods: ptr.To[int32](0), Nodes: ptr.To[int32](2),
	}
	before, err := policies.Get(t.Context(), "maintenance", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after := before.DeepCopy()
	if after.Object["status"], err = runtime.DefaultUnstructuredConverter.ToUnstructured(&want); err != nil {
		t.Fatal(err)
	}
	after.Object["spec"] = map[string]any{}
	if after, err = policies.UpdateStatus(t.Context(), after, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	policy := &policyv1alpha1.TaintEvictionPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(after.Object, policy, true); err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(policy.Status, want) {
		t.Errorf("status is %+v, want %+v", policy.Status, want)
	}
	if !equality.Semantic.DeepEqual(after.Object["spec"], before.Object["spec"]) || after.GetGeneration() != 1 {
		t.Errorf("generation %d, spec %v: a status changed more than the status", after.GetGeneration(), after.Object["spec"])
	}
}

// showsColumns checks what kubectl get prints.
func showsColumns(t *testing.T, s *harness.Scene) {
	t.Helper()
	data, err := s.Client.Discovery().RESTClient().Get().
		AbsPath("/apis/policy.taint-manager.io/v1alpha1/taintevictionpolicies/maintenance").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	table := metav1.Table{}
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 {
		t.Fatalf("%d rows", len(table.Rows))
	}
	var got []string
	for i, column := range table.ColumnDefinitions {
		if column.Name != "Age" {
			got = append(got, fmt.Sprintf("%s/%d: %v", column.Name, column.Priority, table.Rows[0].Cells[i]))
		}
	}
	want := []string{
		"Name/0: maintenance", "Precedence/0: 100", "Mode/0: Evict", "Accepted/0: True", "Scheduled/0: 3", "Blocked/0: 0", "Preview/0: <nil>",
		"Kept/0: <nil>", "Nodes/1: 2", "Expires/1: <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// isDiscovered checks what discovery says: the names, the scope, and that there is a status.
func isDiscovered(t *testing.T, s *harness.Scene) {
	t.Helper()
	list, err := s.Client.Discovery().ServerResourcesForGroupVersion("policy.taint-manager.io/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list.APIResources {
		got = append(got, fmt.Sprintf("%s %s %q %s namespaced=%t", r.Name, r.SingularName, r.ShortNames, r.Kind, r.Namespaced))
	}
	want := []string{
		`taintevictionpolicies taintevictionpolicy ["tep"] TaintEvictionPolicy namespaced=false`,
		`taintevictionpolicies/status  [] TaintEvictionPolicy namespaced=false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
