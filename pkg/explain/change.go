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

package explain

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// Change is what a client does to the taints of nodes.
type Change struct {
	// Nodes are the names of the nodes, in the order in which they are shown.
	Nodes []string
	// Remove is done first. An added taint takes the place of one with the same key and effect.
	Remove []TaintPattern
	Add    []v1.Taint
}

// TaintPattern matches taints by their key and, where they are given, by value and effect.
type TaintPattern struct {
	Key    string
	Value  *string
	Effect v1.TaintEffect
}

// String returns the pattern as it is given on a command line.
func (p TaintPattern) String() string {
	text := p.Key
	if p.Value != nil {
		text += "=" + *p.Value
	}
	if p.Effect != "" {
		text += ":" + string(p.Effect)
	}
	return text
}

// Matches reports whether the pattern matches a taint.
func (p TaintPattern) Matches(taint *v1.Taint) bool {
	return p.Key == taint.Key && (p.Value == nil || *p.Value == taint.Value) && (p.Effect == "" || p.Effect == taint.Effect)
}

// apply returns the taints of a node after the change. One that is there already is on without a break.
func (c *Change) apply(taints []v1.Taint) []v1.Taint {
	after := slices.DeleteFunc(slices.Clone(taints), func(taint v1.Taint) bool {
		return slices.ContainsFunc(c.Remove, func(p TaintPattern) bool { return p.Matches(&taint) })
	})
	for _, add := range c.Add {
		i := slices.IndexFunc(after, func(t v1.Taint) bool { return t.Key == add.Key && t.Effect == add.Effect })
		if i < 0 {
			after = append(after, add)
		} else {
			after[i] = add
		}
	}
	return after
}

// apiTaints returns the taints that may evict, as the API has them.
func apiTaints(seen []taintstart.Taint) []v1.Taint {
	taints := make([]v1.Taint, 0, len(seen))
	for _, taint := range seen {
		api := v1.Taint{Key: taint.Key, Value: taint.Value, Effect: v1.TaintEffectNoExecute}
		if taint.NoSchedule {
			api.Effect = v1.TaintEffectNoSchedule
		}
		if !taint.TimeAdded.IsZero() {
			at := metav1.NewTime(taint.TimeAdded)
			api.TimeAdded = &at
		}
		taints = append(taints, api)
	}
	return taints
}
