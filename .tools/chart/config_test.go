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

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
)

// TestSchemaKnowsTheConfigurationFile compares the fields of the configuration file with those that the schema has.
func TestSchemaKnowsTheConfigurationFile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Ref         string             `json:"$ref"`
		Properties  map[string]*schema `json:"properties"`
		Definitions map[string]*schema `json:"definitions"`
	}
	var whole schema
	if err := json.Unmarshal(data, &whole); err != nil {
		t.Fatal(err)
	}
	var has []string
	var walk func(s *schema, path string)
	walk = func(s *schema, path string) {
		if name, isRef := strings.CutPrefix(s.Ref, "#/definitions/"); isRef {
			s = whole.Definitions[name]
		}
		if len(s.Properties) == 0 {
			has = append(has, strings.TrimPrefix(path, "."))
		}
		for name, inner := range s.Properties {
			walk(inner, path+"."+name)
		}
	}
	walk(whole.Definitions["configuration"], "")
	wants := append(fieldsOf(reflect.TypeFor[v1alpha1.TaintManagerConfiguration](), ""), "apiVersion", "kind")
	slices.Sort(has)
	slices.Sort(wants)
	for _, field := range wants {
		if !slices.Contains(has, field) {
			t.Errorf("the configuration file has %s: add it to definitions.configuration in values.schema.json", field)
		}
	}
	for _, field := range has {
		if !slices.Contains(wants, field) {
			t.Errorf("the configuration file has no %s: remove it from definitions.configuration in values.schema.json", field)
		}
	}
}

// fieldsOf returns the fields of a struct, and of those in it, under their names in JSON.
func fieldsOf(of reflect.Type, path string) (fields []string) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		below := strings.TrimPrefix(path+"."+name, ".")
		switch decodes := reflect.PointerTo(field.Type).Implements(reflect.TypeFor[json.Unmarshaler]()); {
		case field.Type == reflect.TypeFor[metav1.TypeMeta]():
		case field.Anonymous && name == "":
			fields = append(fields, fieldsOf(field.Type, path)...)
		case field.Type.Kind() == reflect.Struct && !decodes:
			fields = append(fields, fieldsOf(field.Type, below)...)
		default:
			fields = append(fields, below)
		}
	}
	return fields
}

// TestConfigurationIsCheckedAsByTheController has configurations that the controller refuses, which Helm refuses before, and its defaults.
func TestConfigurationIsCheckedAsByTheController(t *testing.T) {
	for _, bad := range []string{
		"{apiVersion: config.taint-manager.io/v1}", "{kind: Configuration}",
		"{clientConnection: {qps: -1}}", "{clientConnection: {burst: -1}}",
		"{eviction: {maxConcurrentEvictions: 0}}", "{eviction: {maxConcurrentEvictions: 1001}}",
		"{auditLog: {maxSizeMegabytes: 0}}", "{auditLog: {maxSizeMegabytes: 1000001}}", "{auditLog: {maxBackups: -1}}", "{auditLog: {maxAgeDays: -1}}",
		"{evictionBrake: {maxNodes: -1}}", "{evictionBrake: {maxNodes: 101%}}", "{evictionBrake: {maxNodes: many}}",
		"{evictionBrake: {minNodes: -1}}",
		"{evictionBrake: {windowSeconds: 0}}", "{evictionBrake: {windowSeconds: 86401}}",
		"{evictionBrake: {cooldownSeconds: -1}}", "{evictionBrake: {cooldownSeconds: 86401}}",
		"{evictionBrake: {ignoreTaints: [a, a]}}",
		"{leaderElection: {leaseDuration: 15}}", "{leaderElection: {retryPeriod: -2s}}", "{leaderElection: {resourceLock: configmaps}}",
		"{nodePace: {nodesPerMinute: -1}}", "{nodePace: {burst: -1}}",
		"{serving: {authorizationAlwaysAllowPaths: [metrics]}}",
		"{logging: {flushFrequency: soon}}", "{featureGates: {AllAlpha: maybe}}",
	} {
		c := v1alpha1.Default()
		if err := yaml.UnmarshalStrict([]byte(bad), c); err == nil && len(v1alpha1.Validate(c)) == 0 {
			t.Errorf("%s: the controller accepts it", bad)
		}
		if _, err := render(kubeSystem, "config: "+bad); err == nil {
			t.Errorf("%s: the chart accepts it", bad)
		}
	}
	defaults, err := yaml.Marshal(map[string]any{"config": v1alpha1.Default()})
	if err != nil {
		t.Fatal(err)
	}
	mustRender(t, kubeSystem, string(defaults), "logVerbosity: 0")
}
