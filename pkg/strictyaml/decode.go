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
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Error is what is wrong at one place of a document.
type Error struct {
	// Line is the number of the line, from 1. It is 0 if it is not known.
	Line int
	// Path is the path of the field, as package field writes it. It is empty for the document as a whole.
	Path string
	// Message says what is wrong.
	Message string
}

// Error returns the path and what is wrong with it, without the line.
func (e Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Lines has the line of each field of a document, by its path.
type Lines map[string]int

// Of returns the line of a field, or of the nearest one around it if the document does not have it.
func (l Lines) Of(path string) int {
	for path != "" {
		if line, known := l[path]; known {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return l[""]
}

// Decode decodes a document into the value that a pointer points to.
func Decode(document []byte, into any) (Lines, []Error) {
	d := &decoder{lines: Lines{"": 1}}
	if root := d.parse(document); root != nil {
		d.value(root, reflect.ValueOf(into).Elem(), nil)
	}
	slices.SortStableFunc(d.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return d.lines, d.errs
}

type decoder struct {
	lines Lines
	errs  []Error
}

// syntaxError matches an error of the parser. The line that it names is not always the right one, and often there is none.
var syntaxError = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)$`)

// parse returns the root of the document, or nil if there is none.
func (d *decoder) parse(document []byte) *yaml.Node {
	documents, err := parse(document)
	if err != nil {
		d.errs = append(d.errs, Error{Line: brokenAt(document), Message: "is not YAML: " + syntaxError.ReplaceAllString(err.Error(), "$1")})
	}
	if len(documents) == 0 {
		return nil
	}
	if len(documents) > 1 {
		d.errs = append(d.errs, Error{Line: documents[1].Line, Message: "must be one document, and here begins another"})
	}
	return documents[0].Content[0]
}

// parse returns the documents up to the first that is not YAML, and the error of that one.
func parse(data []byte) (documents []*yaml.Node, err error) {
	parser := yaml.NewDecoder(bytes.NewReader(data))
	for {
		document := &yaml.Node{}
		if err := parser.Decode(document); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return documents, err
		}
		documents = append(documents, document)
	}
}

// maxSearched is how many lines a document may have for the line of a syntax error to be searched for.
const maxSearched = 2000

// brokenAt returns the line from which on a document is not YAML: up to the line before it is. It returns 0 for a document that is too long
// to search in.
func brokenAt(document []byte) int {
	lines := bytes.SplitAfter(document, []byte("\n"))
	if len(lines) > maxSearched {
		return 0
	}
	for n := len(lines) - 1; n > 0; n-- {
		if _, err := parse(bytes.Join(lines[:n], nil)); err == nil {
			return n + 1
		}
	}
	return 1
}

// fail adds an error at a node.
func (d *decoder) fail(node *yaml.Node, path *field.Path, message string) {
	d.errs = append(d.errs, Error{Line: node.Line, Path: text(path), Message: message})
}

// failValue adds an error for a value that is not what it must be.
func (d *decoder) failValue(node *yaml.Node, path *field.Path, must string) {
	switch node.Kind {
	case yaml.MappingNode:
		d.fail(node, path, must+", is a mapping")
	case yaml.SequenceNode:
		d.fail(node, path, must+", is a list")
	default:
		d.fail(node, path, field.Invalid(path, node.Value, must).ErrorBody())
	}
}

func text(path *field.Path) string {
	if path == nil {
		return ""
	}
	return path.String()
}

// value decodes a node.
func (d *decoder) value(node *yaml.Node, into reflect.Value, path *field.Path) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	_, decodesItself := into.Addr().Interface().(json.Unmarshaler)
	switch {
	case isNull(node):
	case decodesItself:
		d.scalar(node, into, path)
	case into.Kind() == reflect.Pointer:
		d.pointer(node, into, path)
	case into.Kind() == reflect.Struct:
		d.structure(node, into, path)
	case into.Kind() == reflect.Map:
		d.mapping(node, into, path)
	case into.Kind() == reflect.Slice:
		d.list(node, into, path)
	default:
		d.scalar(node, into, path)
	}
}

// pointer decodes a node into what a pointer points to, and makes that if there is none.
func (d *decoder) pointer(node *yaml.Node, into reflect.Value, path *field.Path) {
	before := len(d.errs)
	pointed := reflect.New(into.Type().Elem())
	if !into.IsNil() {
		pointed.Elem().Set(into.Elem())
	}
	d.value(node, pointed.Elem(), path)
	if !into.IsNil() || len(d.errs) == before {
		into.Set(pointed)
	}
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// structure decodes a mapping into a struct.
func (d *decoder) structure(node *yaml.Node, into reflect.Value, path *field.Path) {
	fields := map[string]reflect.Value{}
	addFields(fields, into)
	d.pairs(node, path, func(name string) *field.Path { return path.Child(name) }, func(key, value *yaml.Node, at *field.Path) {
		target, known := fields[key.Value]
		if !known {
			d.fail(key, at, "unknown field"+similar(key.Value, fields))
			return
		}
		d.value(value, target, at)
	})
}

// addFields adds the fields of a struct by their names in JSON. Fields of embedded structs without a name are fields of the struct.
func addFields(fields map[string]reflect.Value, of reflect.Value) {
	for i := range of.NumField() {
		declared := of.Type().Field(i)
		name, _, _ := strings.Cut(declared.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && declared.Anonymous && declared.Type.Kind() == reflect.Struct:
			addFields(fields, of.Field(i))
		case declared.IsExported():
			fields[cmp.Or(name, declared.Name)] = of.Field(i)
		}
	}
}

// similar names a field that differs from an unknown one in case only.
func similar(unknown string, fields map[string]reflect.Value) string {
	for name := range fields {
		if strings.EqualFold(name, unknown) {
			return ", it is " + name
		}
	}
	return ""
}

// mapping decodes a mapping into a map with keys of kind string.
func (d *decoder) mapping(node *yaml.Node, into reflect.Value, path *field.Path) {
	made := reflect.MakeMap(into.Type())
	d.pairs(node, path, path.Key, func(key, value *yaml.Node, at *field.Path) {
		element := reflect.New(into.Type().Elem()).Elem()
		if isNull(value) {
			d.failValue(value, at, "must have a value")
			return
		}
		d.value(value, element, at)
		made.SetMapIndex(reflect.ValueOf(key.Value).Convert(into.Type().Key()), element)
	})
	into.Set(made)
}

// pairs calls a function with each key and value of a mapping, and the path of the value.
func (d *decoder) pairs(node *yaml.Node, path *field.Path, child func(string) *field.Path, do func(key, value *yaml.Node, at *field.Path)) {
	if node.Kind != yaml.MappingNode {
		d.failValue(node, path, "must be a mapping")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.fail(key, path, "must have names as keys")
			continue
		}
		at := child(key.Value)
		if line, duplicate := seen[key.Value]; duplicate {
			d.fail(key, at, fmt.Sprintf("duplicate field, it is also in line %d", line))
			continue
		}
		seen[key.Value] = key.Line
		d.lines[text(at)] = key.Line
		do(key, value, at)
	}
}

// list decodes a sequence into a slice.
func (d *decoder) list(node *yaml.Node, into reflect.Value, path *field.Path) {
	if node.Kind != yaml.SequenceNode {
		d.failValue(node, path, "must be a list")
		return
	}
	made := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, element := range node.Content {
		at := path.Index(i)
		d.lines[text(at)] = element.Line
		if isNull(element) {
			d.failValue(element, at, "must have a value")
			continue
		}
		d.value(element, made.Index(i), at)
	}
	into.Set(made)
}
