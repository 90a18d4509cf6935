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

package strictyaml

import (
	"encoding/json"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// scalar decodes a single value by way of JSON.
func (d *decoder) scalar(node *yaml.Node, into reflect.Value, path *field.Path) {
	encoded, err := toJSON(node)
	decoded := reflect.New(into.Type())
	if err == nil {
		err = json.Unmarshal(encoded, decoded.Interface())
	}
	switch must := describe(into.Type()); {
	case err == nil:
		into.Set(decoded.Elem())
	case must == "" && node.Kind == yaml.ScalarNode:
		d.failValue(node, path, err.Error())
	case must == "":
		d.failValue(node, path, "must be a single value")
	default:
		d.failValue(node, path, must)
	}
}

// toJSON returns a scalar in JSON, of the type that it has in YAML.
func toJSON(node *yaml.Node) ([]byte, error) {
	var value any = node.Value
	switch tag := node.ShortTag(); {
	case node.Kind != yaml.ScalarNode:
		return nil, fmt.Errorf("line %d has no single value", node.Line)
	case tag == "!!int" || tag == "!!float" || tag == "!!bool":
		if err := node.Decode(&value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(value)
}

// describe says what a value of a type must be. It is empty for a type whose own error says that.
func describe(of reflect.Type) string {
	switch of {
	case reflect.TypeFor[metav1.Duration]():
		return "must be a duration, such as 15s or 1m30s"
	case reflect.TypeFor[intstr.IntOrString]():
		return "must be a number or a string"
	}
	switch of.Kind() {
	case reflect.Bool:
		return "must be true or false"
	case reflect.String:
		return "must be a string: put it in quotes"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("must be a whole number of %d bits", of.Bits())
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("must be a whole number of %d bits that is not negative", of.Bits())
	case reflect.Float32, reflect.Float64:
		return "must be a number"
	default:
		return ""
	}
}
