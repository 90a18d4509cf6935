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

package manifests

import (
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// checkedElsewhere are fields that the API server itself checks in all objects.
var checkedElsewhere = []string{".apiVersion", ".kind", ".metadata"}

// TestPolicyCRDIsBounded checks that no field of a policy can be as large as a request: each string, list, map and number has a bound.
// The API server estimates the costs of CEL rules by these.
func TestPolicyCRDIsBounded(t *testing.T) {
	schemas := 0
	walk(policySchema(t), "", func(path string, schema map[string]any) {
		schemas++
		for _, missing := range missingBounds(schema) {
			t.Errorf("%s has no %s", path, missing)
		}
	})
	if schemas < 40 {
		t.Errorf("%d schemas were found, which is not all", schemas)
	}
}

// TestPolicyCRDIsExplained checks that kubectl explain has something to say of each field.
func TestPolicyCRDIsExplained(t *testing.T) {
	walk(policySchema(t), "", func(path string, schema map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(mapIn(schema, "properties"))) {
			if mapIn(schema, "properties", name)["description"] == nil && !slices.Contains(checkedElsewhere, path+"."+name) {
				t.Errorf("%s.%s has no description", path, name)
			}
		}
	})
}

// TestPolicyCRDOutlivesHelm checks that helm uninstall leaves the policies: without them, pods that are kept would go.
func TestPolicyCRDOutlivesHelm(t *testing.T) {
	crd, err := PolicyCRD()
	if err != nil {
		t.Fatal(err)
	}
	if got := crd.GetAnnotations()["helm.sh/resource-policy"]; got != "keep" {
		t.Errorf("helm.sh/resource-policy is %q", got)
	}
}

func TestMissingBoundsAreFound(t *testing.T) {
	for want, schema := range map[string]map[string]any{
		"maxLength":     {"type": "string"},
		"maxItems":      {"type": "array"},
		"maxProperties": {"type": "object", "additionalProperties": map[string]any{}},
		"minimum":       {"type": "integer", "maximum": int64(1)},
		"":              {"type": "string", "enum": []any{"a"}},
	} {
		var got string
		for _, missing := range missingBounds(schema) {
			got += missing
		}
		if got != want {
			t.Errorf("%v lacks %q, want %q", schema, got, want)
		}
	}
}

// policySchema returns the schema of a policy.
func policySchema(t *testing.T) map[string]any {
	t.Helper()
	crd, err := PolicyCRD()
	if err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions: %v", len(versions), err)
	}
	version, ok := versions[0].(map[string]any)
	if !ok {
		t.Fatalf("a version is %T", versions[0])
	}
	return mapIn(version, "schema", "openAPIV3Schema")
}

// walk calls a function for a schema and all that it contains, but for what the API server checks itself.
func walk(schema map[string]any, path string, visit func(path string, schema map[string]any)) {
	if slices.Contains(checkedElsewhere, path) {
		return
	}
	visit(path, schema)
	properties := mapIn(schema, "properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		walk(mapIn(properties, name), path+"."+name, visit)
	}
	for suffix, field := range map[string]string{"[]": "items", "{}": "additionalProperties"} {
		if inner := mapIn(schema, field); inner != nil {
			walk(inner, path+suffix, visit)
		}
	}
}

// missingBounds returns the bounds that a schema lacks. A list of values and a time are bounds of a string.
func missingBounds(schema map[string]any) (missing []string) {
	var need []string
	switch schema["type"] {
	case "string":
		if schema["enum"] == nil && schema["format"] != "date-time" {
			need = []string{"maxLength"}
		}
	case "array":
		need = []string{"maxItems"}
	case "integer":
		need = []string{"minimum"}
	case "object":
		if schema["additionalProperties"] != nil {
			need = []string{"maxProperties"}
		}
	}
	for _, bound := range need {
		if schema[bound] == nil {
			missing = append(missing, bound)
		}
	}
	return missing
}

// mapIn returns a map that is inside of a map, or nil.
func mapIn(object map[string]any, fields ...string) map[string]any {
	for _, field := range fields {
		inner, ok := object[field].(map[string]any)
		if !ok {
			return nil
		}
		object = inner
	}
	return object
}
