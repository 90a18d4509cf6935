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

package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/podcache"
)

// over reports whether a policy has expired.
func over(p *deadline.Policy, at time.Time) bool { return !p.Expires.IsZero() && !at.Before(p.Expires) }

// checkPause looks for pauses that are on.
func checkPause(c *Cluster) []Finding {
	const check = "Pause"
	if blind := c.blind(check, "policies"); blind != nil {
		return blind
	}
	var findings []Finding
	policies := c.Policies.Policies()
	for i := range policies {
		p := &policies[i]
		if !c.Policies.IsPause(p.Name, c.At) {
			continue
		}
		severity, ends := Info, "until "+c.API(p.Expires).Format(time.RFC3339)
		if p.Expires.IsZero() {
			severity, ends = Warning, "and does not end by itself"
		}
		what := "all NoExecute taints, also when nodes are lost,"
		if len(p.Taints) > 0 {
			what = "some taints"
		}
		if p.Node != nil || p.Namespace != nil || p.Pod != nil {
			what += " where it selects"
		}
		findings = append(findings, Finding{severity, check, fmt.Sprintf("Policy %s pauses evictions for %s %s.", p.Name, strings.TrimSuffix(what, ","), ends),
			"When it is not wanted any more: kubectl taint-manager resume --name " + p.Name, nil})
	}
	return orOK(findings, check, "Evictions are not paused.")
}

// checkPolicies looks for policies that are not valid, have expired, match nothing, or never apply because another one comes first.
func checkPolicies(c *Cluster) []Finding {
	const check = "Policies"
	if blind := c.blind(check, "policies", "nodes", "pods"); blind != nil {
		return blind
	}
	var findings []Finding
	policies := c.Policies.Policies()
	for i := range policies {
		p := &policies[i]
		switch err := c.Policies.Err(p.Name); {
		case err != nil:
			findings = append(findings, Finding{Error, check, fmt.Sprintf("Policy %s is not valid: %s. The version before applies, or it keeps the pods that it may be about.", p.Name, err),
				"Correct it: kubectl edit tep " + p.Name, nil})
			continue
		case over(p, c.At):
			findings = append(findings, Finding{Info, check, fmt.Sprintf("Policy %s expired at %s.", p.Name, c.API(p.Expires).Format(time.RFC3339)),
				"If it is not wanted any more: kubectl delete tep " + p.Name, nil})
			continue
		}
		if nothing := c.selectsNothing(p); nothing != "" {
			findings = append(findings, Finding{Warning, check, fmt.Sprintf("Policy %s selects %s.", p.Name, nothing),
				"Compare its selectors with the labels that there are, or delete it.", nil})
		}
		k := slices.IndexFunc(policies[:i], func(first deadline.Policy) bool {
			return c.Policies.Err(first.Name) == nil && !c.Policies.IsPause(first.Name, c.At) && !over(&first, c.At) && shadows(&first, p)
		})
		if k >= 0 {
			findings = append(findings, Finding{Warning, check, fmt.Sprintf("Policy %s never applies: policy %s comes first and matches all that it does.", p.Name, policies[k].Name),
				fmt.Sprintf("Give it a lower matchingPrecedence than %d, or delete it.", c.Policies.Precedence(policies[k].Name)), nil})
		}
	}
	valid := fmt.Sprintf("Each of %d policies is valid and can apply.", len(policies))
	switch len(policies) {
	case 0:
		valid = "There is no policy."
	case 1:
		valid = "The one policy is valid and can apply."
	}
	return orOK(findings, check, valid)
}

// selectsNothing says what a policy does not find, or "".
func (c *Cluster) selectsNothing(p *deadline.Policy) string {
	if p.Node != nil {
		found := false
		for name := range c.Nodes {
			found = found || p.Node.Matches(c.NodeLabels(name))
		}
		if !found {
			return "no node"
		}
	}
	if p.Namespace == nil && p.Pod == nil {
		return ""
	}
	if !slices.ContainsFunc(c.Pods, func(pod *podcache.Pod) bool { return c.selectsPod(p, c.Labels(pod)) }) {
		return "no pod that is bound to a node"
	}
	return ""
}

// selectsPod reports whether a policy selects a pod by its labels, or by those of its namespace. Labels that are not known match.
func (c *Cluster) selectsPod(p *deadline.Policy, known deadline.Labels) bool {
	return (p.Namespace == nil || known.Namespace == nil || p.Namespace.Matches(known.Namespace)) && (p.Pod == nil || p.Pod.Matches(known.Pod))
}

// shadows reports whether a policy that comes first matches all that another one does, for as long as that one applies.
func shadows(first, p *deadline.Policy) bool {
	if !first.Expires.IsZero() && (p.Expires.IsZero() || p.Expires.After(first.Expires)) {
		return false
	}
	return coversTaints(first.Taints, p.Taints) && coversSelector(first.Node, p.Node) && coversSelector(first.Namespace, p.Namespace) &&
		coversSelector(first.Pod, p.Pod)
}

// coversTaints reports whether some patterns match every taint that others do. No patterns match every NoExecute taint.
func coversTaints(first, others []deadline.TaintPattern) bool {
	if len(first) == 0 {
		return !slices.ContainsFunc(others, func(p deadline.TaintPattern) bool { return p.Effect == v1.TaintEffectNoSchedule })
	}
	if len(others) == 0 {
		return false
	}
	for _, other := range others {
		if !slices.ContainsFunc(first, func(p deadline.TaintPattern) bool { return coversPattern(p, other) }) {
			return false
		}
	}
	return true
}

func coversPattern(first, other deadline.TaintPattern) bool {
	if first.Effect != other.Effect || first.Value != nil && (other.Value == nil || *first.Value != *other.Value) {
		return false
	}
	if !first.Prefix {
		return !other.Prefix && first.Key == other.Key
	}
	return strings.HasPrefix(other.Key, first.Key) && !strings.HasPrefix(other.Key, "node.kubernetes.io/") // which prefixes do not match
}

// coversSelector reports whether a selector selects all that another one does: everything, or by some of the same requirements.
func coversSelector(first, other labels.Selector) bool {
	if first == nil {
		return true
	}
	if other == nil {
		return false
	}
	requirements, _ := first.Requirements()
	others, _ := other.Requirements()
	for i := range requirements {
		if !slices.ContainsFunc(others, func(r labels.Requirement) bool { return r.Equal(requirements[i]) }) {
			return false
		}
	}
	return true
}
