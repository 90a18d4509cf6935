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
	"testing"
	"unsafe"

	"k8s.io/apimachinery/pkg/labels"
)

func TestLabelSet(t *testing.T) {
	for _, set := range []labels.Set{nil, {}, {"a": "1"}, {"a": "", "b": "2", "example.com/c": "x-y_z.w"}} {
		interned := newLabelSet(set)
		for _, key := range []string{"", "a", "b", "c", "1", "2", "example.com/c", "example.com"} {
			value, exists := interned.Lookup(key)
			want, wanted := set[key]
			if value != want || exists != wanted || interned.Get(key) != want || interned.Has(key) != wanted {
				t.Errorf("%v: key %q: got %q, %t", set, key, value, exists)
			}
		}
	}
	if newLabelSet(labels.Set{"a": "1", "b": "2"}) != newLabelSet(labels.Set{"b": "2", "a": "1"}) {
		t.Error("equal sets differ")
	}
	if newLabelSet(labels.Set{"a": "1"}) == newLabelSet(labels.Set{"a": "2"}) {
		t.Error("different sets are equal")
	}
	if size := unsafe.Sizeof(labelSet{}); size != 8 {
		t.Errorf("a set takes %d bytes in each pod, not 8", size)
	}
}
