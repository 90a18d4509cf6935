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

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// PausedBy returns the name of the policy that holds all evictions for NoExecute taints at a time, or "" if none does: a policy of mode Keep
// and precedence 0 that selects nothing. Of several, it is the first by name.
func (s *Source) PausedBy(at time.Time) string { return s.set.pausedBy(at) }

func (s *set) pausedBy(at time.Time) (name string) {
	for _, policy := range s.states() {
		if p := &policy.applies; pauses(p) && (p.Expires.IsZero() || at.Before(p.Expires)) && (name == "" || p.Name < name) {
			name = p.Name
		}
	}
	return name
}

func pauses(p *compiled) bool {
	return p.Mode == deadline.ModeKeep && p.precedence == 0 && len(p.Taints) == 0 && p.Node == nil && p.Namespace == nil && p.Pod == nil
}
