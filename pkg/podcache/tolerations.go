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
	"slices"
	"unique"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// tolerations are the tolerations of a pod, in order. Most pods of a cluster share a few lists, so equal lists are interned
// and compared by one pointer. The zero value is the empty list.
type tolerations struct {
	first unique.Handle[toleration]
}

// toleration is a comparable v1.Toleration, linked to the ones after it.
type toleration struct {
	key, value string
	operator   v1.TolerationOperator
	effect     v1.TaintEffect
	// seconds count only if bounded is set.
	seconds int64
	bounded bool
	rest    tolerations
}

func newTolerations(list []v1.Toleration) tolerations {
	var rest tolerations
	for _, t := range slices.Backward(list) {
		link := toleration{key: t.Key, value: t.Value, operator: t.Operator, effect: t.Effect, rest: rest}
		if t.TolerationSeconds != nil {
			link.seconds, link.bounded = *t.TolerationSeconds, true
		}
		rest = tolerations{unique.Make(link)}
	}
	return rest
}

// list returns the tolerations as API objects.
func (ts tolerations) list() []v1.Toleration {
	var list []v1.Toleration
	for none := (tolerations{}); ts != none; {
		t := ts.first.Value()
		list = append(list, v1.Toleration{Key: t.key, Operator: t.operator, Value: t.value, Effect: t.effect})
		if t.bounded {
			list[len(list)-1].TolerationSeconds = ptr.To(t.seconds)
		}
		ts = t.rest
	}
	return list
}
