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

package doctor

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// checkCRD compares the CustomResourceDefinition of policies with the one of this version.
func checkCRD(c *Cluster) []Finding {
	const check = "CustomResourceDefinition"
	const apply = "kubectl apply --server-side -k manifests/crd, of the version that runs."
	if c.CRD.Err != nil {
		return unread(check, "the CustomResourceDefinition of policies", c.CRD.Err)
	}
	if c.CRD.Value == nil {
		return []Finding{{Info, check, "There is none for policies: pods are deleted as soon as they must go, and pause does not work.", "If policies are wanted: " + apply, nil}}
	}
	if !established(c.CRD.Value) {
		return []Finding{{Error, check, "The CustomResourceDefinition of policies is there, and the API server does not serve it.",
			"kubectl describe crd " + c.CRD.Value.GetName(), nil}}
	}
	theirs, ours := schemas(c.CRD.Value), schemas(c.WantedCRD)
	var findings []Finding
	for _, version := range slices.Sorted(maps.Keys(ours)) {
		schema, served := theirs[version]
		if !served {
			findings = append(findings, Finding{Error, check, fmt.Sprintf("Version %s of policies is not served.", version), apply, nil})
			continue
		}
		missing, more := difference(ours[version], schema), difference(schema, ours[version])
		switch {
		case len(missing) > 0:
			findings = append(findings, Finding{Warning, check,
				"The CustomResourceDefinition of policies is older than the plugin: the API server drops fields that it does not know, or refuses them.", apply, missing})
		case len(more) > 0:
			findings = append(findings, Finding{Warning, check, "The CustomResourceDefinition of policies is newer than the plugin, which takes policies with fields that it does not know for not valid.",
				"Use the plugin of the version that runs.", more})
		case !reflect.DeepEqual(validation(ours[version]), validation(schema)):
			findings = append(findings, Finding{Warning, check, "The CustomResourceDefinition of policies has the fields of this version, but other rules for them.", apply, nil})
		}
	}
	return orOK(findings, check, "The CustomResourceDefinition of policies is that of this version.")
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
	return err == nil && slices.ContainsFunc(conditions, func(one any) bool {
		condition, is := one.(map[string]any)
		return is && condition["type"] == "Established" && condition["status"] == "True"
	})
}

// schemas returns the schemas of the versions that are served, by version.
func schemas(crd *unstructured.Unstructured) map[string]map[string]any {
	all := map[string]map[string]any{}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		return all
	}
	for _, one := range versions {
		version, _ := one.(map[string]any)
		schema, found, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
		name, _ := version["name"].(string)
		if served, _ := version["served"].(bool); served && found && err == nil {
			all[name] = schema
		}
	}
	return all
}

// difference returns the fields that one schema has and another one has not, as paths. Of those within such a field, it names none.
func difference(schema, other map[string]any) (paths []string) {
	fields, _ := schema["properties"].(map[string]any)
	others, _ := other["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, _ := fields[name].(map[string]any)
		has, found := others[name].(map[string]any)
		if !found {
			paths = append(paths, name)
			continue
		}
		for _, path := range difference(field, has) {
			paths = append(paths, name+"."+path)
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		element, _ := schema[key].(map[string]any)
		has, _ := other[key].(map[string]any)
		if element == nil || has == nil {
			continue
		}
		for _, path := range difference(element, has) {
			paths = append(paths, "[]."+path)
		}
	}
	return paths
}

// validation returns a schema without what says nothing about validity.
func validation(schema any) any {
	switch value := schema.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, one := range value {
			if _, isText := one.(string); key == "description" && isText {
				continue
			}
			kept[key] = validation(one)
		}
		return kept
	case []any:
		kept := make([]any, 0, len(value))
		for _, one := range value {
			kept = append(kept, validation(one))
		}
		return kept
	case int:
		return float64(value)
	case int64:
		return float64(value)
	default:
		return value
	}
}
