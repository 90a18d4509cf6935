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

package app

import (
	"encoding/json"
	"go/ast"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

const (
	auditTypes  = "../../../pkg/apis/audit/v1alpha1"
	auditSchema = auditTypes + "/evictionrecord.schema.json"
)

// value is a constant of a type, with what the comment on it says.
type value struct{ name, meaning string }

// auditReference makes documents of the types of the audit log.
type auditReference struct {
	*testing.T
	// values are the constants of each type that has some, by its name.
	values map[string][]value
	// comments are those on fields, by package and then by Type.Field.
	comments map[string]map[string]string
}

func newAuditReference(t *testing.T) *auditReference {
	t.Helper()
	r := &auditReference{T: t, values: map[string][]value{}, comments: map[string]map[string]string{}}
	sources(t, auditTypes, func(_ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type == nil {
				return true
			}
			name, of := spec.Names[0].Name, spec.Type.(*ast.Ident).Name
			comment := strings.Join(strings.Fields(spec.Doc.Text()), " ")
			meaning, found := strings.CutPrefix(comment, name+" says that ")
			if !found {
				meaning, found = strings.CutPrefix(comment, name+" is ")
			}
			if !found {
				t.Errorf(`the comment on %s does not begin with its name and "says that" or "is"`, name)
				return true
			}
			r.values[of] = append(r.values[of], value{stringOf(spec.Values[0]), strings.ToUpper(meaning[:1]) + meaning[1:]})
			return true
		})
	})
	return r
}

// field is a field of a struct as it is in JSON.
type auditField struct {
	name, comment string
	of            reflect.Type
	required      bool
}

// fields returns the fields of a struct, in the order of a line.
func (r *auditReference) fields(of reflect.Type) (fields []auditField) {
	r.Helper()
	if r.comments[of.PkgPath()] == nil {
		r.comments[of.PkgPath()] = fieldComments(r.T, of.PkgPath())
	}
	for i := range of.NumField() {
		declared := of.Field(i)
		if declared.Type == reflect.TypeFor[metav1.TypeMeta]() {
			fields = append(fields,
				auditField{"kind", "kind is " + v1alpha1.Kind + ".", reflect.TypeFor[string](), true},
				auditField{"apiVersion", "apiVersion is " + v1alpha1.APIVersion + ".", reflect.TypeFor[string](), true})
			continue
		}
		name, options, _ := strings.Cut(declared.Tag.Get("json"), ",")
		comment := r.comments[of.PkgPath()][of.Name()+"."+declared.Name]
		if comment, _, _ = strings.Cut(comment, " +"); comment == "" { // markers of the API of Kubernetes
			r.Errorf("there is no comment on field %s of %s", declared.Name, of)
		}
		fields = append(fields, auditField{name, comment, declared.Type, options == ""})
	}
	return fields
}

// kind returns the type of a field for people.
func (r *auditReference) kind(of reflect.Type) string {
	switch {
	case of.Kind() == reflect.Pointer:
		return r.kind(of.Elem())
	case of == reflect.TypeFor[v1alpha1.Time]():
		return "time"
	case of.Kind() == reflect.Slice:
		return "list"
	case of.Kind() == reflect.Struct:
		return "object"
	case r.values[of.Name()] != nil && of.PkgPath() != "":
		return "one of these: " + strings.ToLower(of.Name())
	default:
		return kindOf(r.T, of)
	}
}

// auditTable returns the fields of a line, and then the values that some of them have.
func (r *auditReference) table() string {
	r.Helper()
	rows := [][]string{{"field", "type", "meaning"}}
	var add func(of reflect.Type, path string)
	add = func(of reflect.Type, path string) {
		for _, f := range r.fields(of) {
			rows = append(rows, []string{code(path + f.name), strings.Replace(r.kind(f.of), "one of these: ", "", 1), f.comment})
			elem, below := f.of, path+f.name+"."
			for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
				if elem.Kind() == reflect.Slice {
					below = path + f.name + "[]."
				}
				elem = elem.Elem()
			}
			if elem.Kind() == reflect.Struct && elem.PkgPath() == reflect.TypeFor[v1alpha1.EvictionRecord]().PkgPath() && elem != reflect.TypeFor[v1alpha1.Time]() {
				add(elem, below)
			}
		}
	}
	add(reflect.TypeFor[v1alpha1.EvictionRecord](), "")
	text := "\n" + tableOf(rows...)
	for _, of := range []string{"Outcome", "Reason", "Mode", "Source", "Delay"} {
		rows := [][]string{{strings.ToLower(of), "meaning"}}
		for _, v := range r.values[of] {
			rows = append(rows, []string{code(v.name), v.meaning})
		}
		text += "\n" + tableOf(rows...)
	}
	return text + "\n"
}

// schema returns the JSON Schema of a type.
func (r *auditReference) schema(of reflect.Type) map[string]any {
	r.Helper()
	switch {
	case of.Kind() == reflect.Pointer:
		return r.schema(of.Elem())
	case of == reflect.TypeFor[v1alpha1.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case of.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": r.schema(of.Elem())}
	case of.Kind() == reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for _, f := range r.fields(of) {
			property := r.schema(f.of)
			property["description"] = f.comment
			properties[f.name] = property
			if f.required {
				required = append(required, f.name)
			}
		}
		schema := map[string]any{"type": "object", "properties": properties}
		if len(required) > 0 {
			schema["required"] = required
		}
		return schema
	case r.values[of.Name()] != nil && of.PkgPath() != "":
		var enum []string
		for _, v := range r.values[of.Name()] {
			enum = append(enum, v.name)
		}
		return map[string]any{"type": "string", "enum": enum}
	default:
		names := map[reflect.Kind]string{
			reflect.String: "string", reflect.Bool: "boolean", reflect.Int32: "integer", reflect.Int64: "integer", reflect.Float64: "number",
		}
		if names[of.Kind()] == "" {
			r.Fatalf("name the type %s here", of)
		}
		return map[string]any{"type": names[of.Kind()]}
	}
}

// document returns the JSON Schema of a line.
func (r *auditReference) document() []byte {
	r.Helper()
	schema := r.schema(reflect.TypeFor[v1alpha1.EvictionRecord]())
	maps.Copy(schema, map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": v1alpha1.Kind + " of " + v1alpha1.APIVersion,
		"description": "A line of the audit log of taint-manager. A later release may have further fields, and further values of those that list theirs.",
	})
	properties := schema["properties"].(map[string]any)
	properties["kind"].(map[string]any)["enum"] = []string{v1alpha1.Kind}
	properties["apiVersion"].(map[string]any)["enum"] = []string{v1alpha1.APIVersion}
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		r.Fatal(err)
	}
	return append(data, '\n')
}

// TestAuditSchema compares the JSON Schema of the audit log with the types. See make generate.
func TestAuditSchema(t *testing.T) {
	want := newAuditReference(t).document()
	if *update {
		if err := os.WriteFile(auditSchema, want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(auditSchema)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not up to date: run make generate. It differs in\n%s", auditSchema, difference(string(got), string(want)))
	}
}

// TestAuditSchemaIsWhole guards against a walk that leaves something out.
func TestAuditSchemaIsWhole(t *testing.T) {
	schema := newAuditReference(t).schema(reflect.TypeFor[v1alpha1.EvictionRecord]())
	properties := schema["properties"].(map[string]any)
	want := []string{"apiVersion", "attempts", "budgetOverridden", "conditionWritten", "dryRun", "answerLost", "instance", "kind", "leader", "node",
		"outcome", "pod", "reason", "time", "unversioned"}
	slices.Sort(want)
	required := slices.Sorted(slices.Values(schema["required"].([]string)))
	if !slices.Equal(required, want) {
		t.Errorf("required: got %v, want %v", required, want)
	}
	if n := len(properties["reason"].(map[string]any)["enum"].([]string)); n != 10 {
		t.Errorf("%d reasons", n)
	}
	toleration := properties["toleration"].(map[string]any)["properties"].(map[string]any)
	if n := reflect.TypeFor[v1.Toleration]().NumField(); len(toleration) != n {
		t.Errorf("a toleration has %v, want %d fields", slices.Sorted(maps.Keys(toleration)), n)
	}
}
