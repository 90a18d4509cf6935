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

package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// maxRemembered is how long the text of all policies may be, in bytes. All annotations of an object together may have 256 KiB.
const maxRemembered = 128 << 10

// remembered is a policy as a process leaves it to the next one.
type remembered struct {
	Name string         `json:"name"`
	Spec map[string]any `json:"spec,omitempty"`
}

func rememberedOf(object *unstructured.Unstructured) remembered {
	spec, _, err := unstructured.NestedMap(object.Object, "spec")
	if err != nil {
		spec = nil // no map, which no version of the CRD accepts
	}
	return remembered{object.GetName(), spec}
}

// encodeRemembered returns policies as text, or "" for none. Where there are too many, the last ones, which match the least, are left out.
func encodeRemembered(policies []remembered) string {
	for ; len(policies) > 0; policies = policies[:len(policies)*3/4] {
		text, err := json.Marshal(policies)
		if err == nil && len(text) <= maxRemembered {
			return string(text)
		}
	}
	return ""
}

// Remembered returns the policies that apply as text, for another process to restore with [Changes.Restore]. It is "" for none.
func (s *Source) Remembered() string { return *s.set.text.Load() }

// restored returns policies that another process remembered, in the order in which they applied. Those that apply unchanged are the same
// as now. What has changed applied from the given time on, as far as that matters.
func (s *set) restored(text string, clock *serverclock.Clock, from time.Time) ([]deadline.Policy, error) {
	var policies []remembered
	if err := json.Unmarshal([]byte(text), &policies); err != nil {
		return nil, fmt.Errorf("parsing policies of an earlier process: %w", err)
	}
	now, before := s.states(), newSet(nil)
	for _, one := range policies {
		same := now[one.Name]
		if !reflect.DeepEqual(normal(same.source), one) {
			object := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": one.Name}, "spec": one.Spec}}
			policy, _ := compile(object, clock, from) // one that is not valid kept its pods
			same = state{applies: policy}
		}
		before.policies[one.Name] = same
	}
	before.order()
	return *before.ordered.Load(), nil
}

// normal returns a policy as it is after it was written as text and read again, in which all numbers are floating-point ones.
func normal(policy remembered) (same remembered) {
	if text, err := json.Marshal(policy); err != nil || json.Unmarshal(text, &same) != nil {
		return remembered{}
	}
	return same
}
