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
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/manifests"
)

// fieldTests are the tests of what a field does, and of what happens where it is left out. Where it may not be left out, that is TestPolicyAPI,
// which is told so. A value of an enum has a test of its effect alone: that of another value is its absence.
type fieldTests struct{ effect, absence func(*testing.T) }

// testedFields returns the tests of each field of a policy.
func testedFields() map[string]fieldTests {
	all := map[string]fieldTests{
		"spec.matchingPrecedence":       {TestPolicyWhichApplies, TestPolicyAPI},
		"spec.taints[].key":             {TestPolicyTaints, TestPolicyAPI},
		"spec.taints[].value":           {TestPolicyTaints, TestPolicyTaints},
		"spec.taints[].effect":          {TestPolicyNoScheduleTaint, TestPolicyTaints},
		"spec.minTaintAgeSeconds":       {TestPolicyMinTaintAge, TestPolicyMinTaintAge},
		"spec.mode":                     {TestPolicyRollout, TestPolicyAPI},
		"spec.evict.deleteAfter":        {TestPolicyEvictIsBlocked, TestPolicyAPI},
		"spec.evict.deleteAfterSeconds": {TestPolicyEvictIsBlocked, TestPolicyEvictIsBlocked},
		"spec.gracePeriodSeconds":       {TestPolicyGracePeriod, TestPolicyGracePeriod},
		"spec.noticeSeconds":            {TestPolicyNotice, TestPolicyNotice},
		"spec.expireTime":               {TestPolicyExpires, TestPolicyExpires},

		"spec.taints[].effect=NoExecute":         {effect: TestPolicyTaints},
		"spec.taints[].effect=NoSchedule":        {effect: TestPolicyNoScheduleTaint},
		"spec.mode=Delete":                       {effect: TestPolicyRollout},
		"spec.mode=Evict":                        {effect: TestPolicyRollout},
		"spec.mode=Preview":                      {effect: TestPolicyPreview},
		"spec.mode=Keep":                         {effect: TestPolicyKeep},
		"spec.evict.deleteAfter=AfterSeconds":    {effect: TestPolicyEvictIsBlocked},
		"spec.evict.deleteAfter=Never":           {effect: TestPolicyEvictIsBlocked},
		"status.conditions[].status=True":        {effect: TestPolicyStatus},
		"status.conditions[].status=False":       {effect: TestPolicyStatus},
		"status.conditions[].status=Unknown":     {effect: TestPolicyAPI}, // of all conditions; ours are never that
		"status.observedGeneration":              {TestPolicyStatus, TestPolicyStatus},
		"status.scheduledPods":                   {TestPolicyStatus, TestPolicyStatus},
		"status.nodes":                           {TestPolicyStatus, TestPolicyStatus},
		"status.blockedPods":                     {TestPolicyEvictIsBlocked, TestPolicyStatus},
		"status.previewPods":                     {TestPolicyPreview, TestPolicyStatus},
		"status.keptPods":                        {TestPolicyKeep, TestPolicyStatus},
		"status.conditions[].type":               {TestPolicyStatus, TestPolicyAPI},
		"status.conditions[].status":             {TestPolicyStatus, TestPolicyAPI},
		"status.conditions[].reason":             {TestPolicyStatus, TestPolicyAPI},
		"status.conditions[].message":            {TestPolicyStatus, TestPolicyAPI},
		"status.conditions[].lastTransitionTime": {TestPolicyStatus, TestPolicyAPI},
		"status.conditions[].observedGeneration": {TestPolicyStatus, TestPolicyAPI},
	}
	for field, test := range map[string]func(*testing.T){
		"spec.nodeSelector": TestPolicySelectsNodes, "spec.namespaceSelector": TestPolicySelectsNamespaces, "spec.podSelector": TestPolicySelectsPods,
	} {
		all[field+".matchLabels{}"] = fieldTests{test, test}
		all[field+".matchExpressions[].key"] = fieldTests{test, TestPolicyAPI}
		all[field+".matchExpressions[].operator"] = fieldTests{test, TestPolicyAPI}
		all[field+".matchExpressions[].values[]"] = fieldTests{test, test}
		for _, operator := range []string{"In", "NotIn", "Exists", "DoesNotExist"} {
			all[field+".matchExpressions[].operator="+operator] = fieldTests{effect: test}
		}
	}
	return all
}

// TestPolicyFieldsAreTested fails for a field of the CustomResourceDefinition, or a value of an enum, for which no test is named, and for a
// test of a field that there is not.
func TestPolicyFieldsAreTested(t *testing.T) {
	tested, fields := testedFields(), policyFields(t)
	for _, field := range sets.List(fields.Difference(sets.KeySet(tested))) {
		t.Errorf("%s is not tested: write a test of its effect and one of its absence, and name them in testedFields", field)
	}
	for _, field := range sets.List(sets.KeySet(tested).Difference(fields)) {
		t.Errorf("tests are named for %s, which a policy does not have", field)
	}
}

// policyFields returns the fields of a policy that have no fields themselves, and the values of those that are enums.
func policyFields(t *testing.T) sets.Set[string] {
	t.Helper()
	crd, err := manifests.PolicyCRD()
	if err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions: %v", len(versions), err)
	}
	schema, found, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties")
	if err != nil || !found {
		t.Fatalf("no schema: %v", err)
	}
	fields := sets.New[string]()
	for _, part := range []string{"spec", "status"} {
		collect(fields, part, schema[part].(map[string]any))
	}
	return fields
}

// collect adds the fields below a path.
func collect(fields sets.Set[string], path string, schema map[string]any) {
	if properties, has := schema["properties"].(map[string]any); has {
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			collect(fields, path+"."+name, properties[name].(map[string]any))
		}
		return
	}
	if items, has := schema["items"].(map[string]any); has {
		collect(fields, path+"[]", items)
		return
	}
	if _, has := schema["additionalProperties"]; has {
		path += "{}"
	}
	fields.Insert(path)
	values, _ := schema["enum"].([]any)
	for _, value := range values {
		fields.Insert(fmt.Sprintf("%s=%v", path, value))
	}
}
