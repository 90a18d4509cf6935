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
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// Fixed are policies that were read once. They apply as those of a Source that has just read the same objects.
type Fixed struct {
	set        *set
	namespaces map[string]labels.Set
}

// NewFixed returns policies, given the labels of namespaces. seen is the local time at which they were read.
func NewFixed(objects []*unstructured.Unstructured, namespaces map[string]labels.Set, clock *serverclock.Clock, seen time.Time) *Fixed {
	f := &Fixed{namespaces: namespaces, set: newSet(func(object *unstructured.Unstructured) (compiled, error) {
		return compile(object, clock, seen)
	})}
	f.set.replace(objects)
	return f
}

// Policies returns the policies that apply, in the order in which they do. The caller does not change them.
func (f *Fixed) Policies() []deadline.Policy { return *f.set.ordered.Load() }

// NamespaceLabels returns the labels of a namespace, or nil if they are not known.
func (f *Fixed) NamespaceLabels(name string) labels.Labels {
	if set, known := f.namespaces[name]; known {
		return set
	}
	return nil
}

// HasSynced returns true.
func (f *Fixed) HasSynced() bool { return true }

func (f *Fixed) all() *set { return f.set }

// Precedence returns the matchingPrecedence of a policy.
func (f *Fixed) Precedence(name string) int32 { return f.set.policies[name].applies.precedence }

// Err returns why a policy is not valid, or nil. In place of one that is not, Policies has one that keeps the pods that it may be about; a
// Source that had accepted an earlier version goes on by that.
func (f *Fixed) Err(name string) error { return f.set.policies[name].err }

// IsPause reports whether a policy is a pause at a time, whatever it selects: a valid one of mode Keep and precedence 0. Such a policy is meant for
// a while.
func (f *Fixed) IsPause(name string, at time.Time) bool {
	policy := f.set.policies[name]
	return policy.isPause() && !expired(&policy.applies, at)
}

// NamedNoSchedule returns the keys of the NoSchedule taints that policies have evict.
func NamedNoSchedule(policies []deadline.Policy) map[string]bool {
	named := map[string]bool{}
	for i := range policies {
		for _, pattern := range policies[i].Taints {
			if pattern.Effect == v1.TaintEffectNoSchedule {
				named[pattern.Key] = true
			}
		}
	}
	return named
}
