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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// value is one that an operator may set.
type value struct {
	// path is its name with those of the maps around it, joined by dots.
	path string
	// comment says what it means.
	comment string
	node    *yaml.Node
}

// declared returns the values that values.yaml declares. A map with comments in it is a group of values, and any other one is a value.
func declared(t *testing.T) []value {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	all, err := valuesOf(document.Content[0], "")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 25 {
		t.Fatalf("values.yaml declares %d values, which are not all", len(all))
	}
	return all
}

// valuesOf returns the values in a map.
func valuesOf(in *yaml.Node, path string) (all []value, err error) {
	for i := 0; i+1 < len(in.Content); i += 2 {
		key, node := in.Content[i], in.Content[i+1]
		below := strings.TrimPrefix(path+"."+key.Value, ".")
		if isGroup(node) {
			inner, err := valuesOf(node, below)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			continue
		}
		// The comment of the whole file stands before the first key, and a line without text ends it.
		paragraphs := strings.Split(key.HeadComment, "\n\n")
		comment := strings.Join(strings.Fields(strings.ReplaceAll("\n"+paragraphs[len(paragraphs)-1], "\n#", " ")), " ")
		if comment == "" {
			return nil, fmt.Errorf("values.yaml has no comment before %s", below)
		}
		all = append(all, value{below, comment, node})
	}
	return all, nil
}

// isGroup reports whether a node is a map with comments in it.
func isGroup(node *yaml.Node) bool {
	return node.Kind == yaml.MappingNode && slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return n.HeadComment != "" || isGroup(n) })
}
