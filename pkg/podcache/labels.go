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

package podcache

import (
	"maps"
	"slices"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/labels"
)

// labelSet is a set of labels. The pods of a ReplicaSet share one, so equal sets are interned and compared by one pointer. The
// zero value is the empty set.
type labelSet struct {
	// pairs holds keys and values, sorted by key, each ended by a zero byte, which no label contains.
	pairs unique.Handle[string]
}

var _ labels.Labels = labelSet{}

func newLabelSet(set map[string]string) labelSet {
	if len(set) == 0 {
		return labelSet{}
	}
	var pairs strings.Builder
	for _, key := range slices.Sorted(maps.Keys(set)) {
		pairs.WriteString(key)
		pairs.WriteByte(0)
		pairs.WriteString(set[key])
		pairs.WriteByte(0)
	}
	return labelSet{unique.Make(pairs.String())}
}

// Lookup implements labels.Labels.
func (s labelSet) Lookup(key string) (value string, exists bool) {
	if s == (labelSet{}) {
		return "", false
	}
	for rest := s.pairs.Value(); rest != ""; {
		var k, v string
		k, rest, _ = strings.Cut(rest, "\x00")
		v, rest, _ = strings.Cut(rest, "\x00")
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Has implements labels.Labels.
func (s labelSet) Has(key string) bool {
	_, exists := s.Lookup(key)
	return exists
}

// Get implements labels.Labels.
func (s labelSet) Get(key string) string {
	value, _ := s.Lookup(key)
	return value
}
