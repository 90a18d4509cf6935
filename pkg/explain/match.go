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
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// PolicyMatch says whether a policy applies to a taint and a pod.
type PolicyMatch struct {
	Policy     string        `json:"policy"`
	Precedence int32         `json:"matchingPrecedence"`
	Mode       deadline.Mode `json:"mode"`
	Expires    time.Time     `json:"expireTime,omitzero"`
	Applies    bool          `json:"applies"`
	// Because says why it does not apply.
	Because string `json:"because,omitempty"`
}

// policyMatches says of each policy whether it applies to a taint and a pod now. They are in the order in which they apply.
func policyMatches(s *snapshot.Snapshot, pod *podcache.Pod, taint deadline.Taint) (all []PolicyMatch) {
	policies, known, first := s.Policies.Policies(), s.Labels(pod), ""
	for i := range policies {
		policy := &policies[i]
		match := PolicyMatch{Policy: policy.Name, Precedence: s.Policies.Precedence(policy.Name), Mode: policy.Mode}
		if !policy.Expires.IsZero() {
			match.Expires = s.API(policy.Expires)
		}
		switch field := policy.Mismatch(taint, known); {
		case field == "taints":
			match.Because = "its taints do not match"
		case field != "":
			match.Because = "its " + field + " does not match"
		case !match.Expires.IsZero() && !s.At.Before(policy.Expires):
			match.Because = "it has expired"
		case first != "":
			match.Because = "policy " + first + " comes first"
		default:
			match.Applies, first = true, policy.Name
		}
		all = append(all, match)
	}
	return all
}

// TolerationMismatch says why a toleration does not tolerate a taint.
type TolerationMismatch struct {
	Toleration v1.Toleration `json:"toleration"`
	Because    string        `json:"because"`
}

// mismatches says of each toleration why it does not tolerate a taint that none tolerates.
func mismatches(tolerations []v1.Toleration, taint deadline.Taint, rules deadline.Rules) (all []TolerationMismatch) {
	for _, toleration := range tolerations {
		all = append(all, TolerationMismatch{toleration, mismatch(toleration, taint, rules)})
	}
	return all
}

// mismatch says why a toleration does not tolerate a taint. It asks the same code what a toleration would do that differs in one part.
func mismatch(toleration v1.Toleration, taint deadline.Taint, rules deadline.Rules) string {
	would := func(change func(*v1.Toleration)) bool {
		other := toleration
		change(&other)
		return deadline.Tolerating([]v1.Toleration{other}, taint, rules) != nil
	}
	comparing := rules
	comparing.ComparisonOperators = true
	switch {
	case toleration.Key != "" && toleration.Key != taint.Key:
		return "it is for another key"
	case would(func(t *v1.Toleration) { t.Effect = "" }):
		return fmt.Sprintf("it is for effect %s", toleration.Effect)
	case deadline.Tolerating([]v1.Toleration{toleration}, taint, comparing) != nil:
		return fmt.Sprintf("operator %s counts only with the feature gate TaintTolerationComparisonOperators", toleration.Operator)
	case would(func(t *v1.Toleration) { t.Operator, t.Value, t.Effect = v1.TolerationOpExists, "", "" }):
		return fmt.Sprintf("its operator and value do not match the value %q", taint.Value)
	default:
		return "it does not match"
	}
}
