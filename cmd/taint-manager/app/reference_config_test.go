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
	"os/exec"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
)

// leaf is a field of the configuration that has no fields of its own.
type leaf struct {
	path  string
	value reflect.Value
	// in and name are the struct that declares the field, and its name there.
	in   reflect.Type
	name string
}

// leavesOf returns the fields of a struct, and of the structs in it, under their names in JSON.
func leavesOf(of reflect.Value, path string) (leaves []leaf) {
	for i := range of.NumField() {
		declared, value := of.Type().Field(i), of.Field(i)
		name, _, _ := strings.Cut(declared.Tag.Get("json"), ",")
		below := strings.TrimPrefix(path+"."+name, ".")
		switch decodes := reflect.PointerTo(declared.Type).Implements(reflect.TypeFor[json.Unmarshaler]()); {
		case declared.Type == reflect.TypeFor[metav1.TypeMeta]():
		case declared.Anonymous && name == "":
			leaves = append(leaves, leavesOf(value, path)...)
		case declared.Type.Kind() == reflect.Struct && !decodes:
			leaves = append(leaves, leavesOf(value, below)...)
		default:
			leaves = append(leaves, leaf{below, value, of.Type(), declared.Name})
		}
	}
	return leaves
}

func configurationLeaves() []leaf { return leavesOf(reflect.ValueOf(v1alpha1.Default()).Elem(), "") }

// configurationTable returns the fields of the configuration file, with what the comments on them say.
func configurationTable(t *testing.T) string {
	t.Helper()
	comments := map[string]map[string]string{}
	rows := [][]string{{"field", "type", "default", "flag", "meaning"}}
	for _, field := range configurationLeaves() {
		from := field.in.PkgPath()
		if comments[from] == nil {
			comments[from] = fieldComments(t, from)
		}
		meaning := comments[from][field.in.Name()+"."+field.name]
		if meaning == "" {
			t.Errorf("%s: there is no comment on field %s of type %s", field.path, field.name, field.in)
		}
		value, err := json.Marshal(field.value.Interface())
		if err != nil {
			t.Fatal(err)
		}
		flag := flagsByField()[field.path]
		if flag != "" {
			flag = "--" + flag
		}
		rows = append(rows, []string{code(field.path), kindOf(t, field.value.Type()), code(strings.Replace(string(value), "null", "[]", 1)), code(flag), meaning})
	}
	return tableOf(rows...)
}

// kindOf describes the values of a type.
func kindOf(t *testing.T, of reflect.Type) string {
	t.Helper()
	switch of {
	case reflect.TypeFor[metav1.Duration](), reflect.TypeFor[logsapi.TimeOrMetaDuration]():
		return "duration"
	case reflect.TypeFor[intstr.IntOrString]():
		return "number or percentage"
	}
	switch of.Kind() {
	case reflect.Pointer:
		return kindOf(t, of.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int32, reflect.Int64, reflect.Uint32:
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	}
	if of.Name() == "QuantityValue" {
		return "quantity"
	}
	t.Fatalf("name the type %s here", of)
	return ""
}

// fieldComments returns the comments on the fields of the structs of a package, by Type.Field.
func fieldComments(t *testing.T, of string) map[string]string {
	t.Helper()
	directory, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", of).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", of, err)
	}
	comments := map[string]string{}
	sources(t, strings.TrimSpace(string(directory)), func(_ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			declared, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range declared.Fields.List {
				for _, name := range field.Names {
					comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
			return true
		})
	})
	return comments
}
