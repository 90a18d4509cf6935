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

	v1 "k8s.io/api/core/v1"

	"github.com/taint-manager/taint-manager/pkg/explain"
)

// maxExamples is how many pods are named of those that have the same tolerations.
const maxExamples = 3

// checkTolerations looks for tolerations that have no effect on NoExecute taints: of several that tolerate a taint, the first counts.
func checkTolerations(c *Cluster) []Finding {
	const check = "Tolerations"
	if blind := c.blind(check, "pods"); blind != nil {
		return blind
	}
	type shadow struct{ first, other string }
	var order []shadow
	pods, namespaces := map[shadow]int{}, map[shadow][]string{}
	var comparing []string
	seen := map[string][][2]v1.Toleration{} // by the tolerations of a pod: many pods have the same
	for _, pod := range c.Pods {
		tolerations := pod.ToDeadlinePod(c.Server).Tolerations
		name := pod.Namespace() + "/" + pod.Name
		if !c.Choices.ComparisonOperators && slices.ContainsFunc(tolerations, comparesNumbers) {
			comparing = append(comparing, name)
		}
		key := fmt.Sprint(len(tolerations))
		for i := range tolerations {
			key += "\n" + explain.DescribeToleration(&tolerations[i])
		}
		shadows, known := seen[key]
		if !known {
			shadows = shadowed(tolerations)
			seen[key] = shadows
		}
		for _, pair := range shadows {
			which := shadow{explain.DescribeToleration(&pair[0]), explain.DescribeToleration(&pair[1])}
			if pods[which]++; pods[which] == 1 {
				order = append(order, which)
			}
			if len(namespaces[which]) < maxExamples {
				namespaces[which] = append(namespaces[which], name)
			}
		}
	}
	var findings []Finding
	for _, which := range order {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("%s have a toleration without effect on NoExecute taints: %q, because %q before it tolerates the same.",
			count(pods[which], "pod"), which.other, which.first), "The first toleration that tolerates a taint counts: remove one of them, or put it first.", namespaces[which]})
	}
	if len(comparing) > 0 {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("%s have tolerations with operator Gt or Lt, which tolerate nothing without the feature gate TaintTolerationComparisonOperators.",
			count(len(comparing), "pod")), "Switch the feature gate on for taint-manager as it is for the API server; or tell doctor that it is on: --toleration-comparison-operators.",
			comparing[:min(len(comparing), maxExamples)]})
	}
	return orOK(findings, check, fmt.Sprintf("Each toleration of %s can have an effect.", count(len(c.Pods), "pod")))
}

func comparesNumbers(t v1.Toleration) bool {
	return t.Operator == v1.TolerationOpGt || t.Operator == v1.TolerationOpLt
}

// shadowed returns the tolerations that have no effect on NoExecute taints, after the one before that covers them. One that tolerates for just
// as long is no mistake.
func shadowed(tolerations []v1.Toleration) (pairs [][2]v1.Toleration) {
	for i := range tolerations {
		for k := range tolerations[:i] {
			if covers(&tolerations[k], &tolerations[i]) {
				if !sameSeconds(&tolerations[k], &tolerations[i]) {
					pairs = append(pairs, [2]v1.Toleration{tolerations[k], tolerations[i]})
				}
				break // of several before it, the first counts
			}
		}
	}
	return pairs
}

// covers reports whether a toleration tolerates every NoExecute taint that another one does, and that one is for such taints.
func covers(a, b *v1.Toleration) bool {
	if !forNoExecute(a) || !forNoExecute(b) {
		return false
	}
	exists := a.Operator == v1.TolerationOpExists
	switch {
	case a.Key == "" && exists:
		return true
	case a.Key != b.Key:
		return false
	case exists:
		return true
	default:
		return operator(a) == operator(b) && a.Value == b.Value
	}
}

func forNoExecute(t *v1.Toleration) bool {
	return t.Effect == "" || t.Effect == v1.TaintEffectNoExecute
}

func operator(t *v1.Toleration) v1.TolerationOperator {
	if t.Operator == "" {
		return v1.TolerationOpEqual
	}
	return t.Operator
}

func sameSeconds(a, b *v1.Toleration) bool {
	if a.TolerationSeconds == nil || b.TolerationSeconds == nil {
		return a.TolerationSeconds == b.TolerationSeconds
	}
	return max(0, *a.TolerationSeconds) == max(0, *b.TolerationSeconds)
}
