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
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

const (
	// observedWithin is how long the disruption controller may take to see a change, and disruptedFor how long it may leave a pod in the status
	// of a budget that has been evicted. It takes those out after two minutes.
	observedWithin, disruptedFor = time.Minute, 5 * time.Minute
)

// evicts reports whether a policy has pods evicted, so that budgets count.
func (c *Cluster) evicts() bool { return len(c.evicting()) > 0 }

// evicting returns the policies of mode Evict, each with a taint that it matches.
func (c *Cluster) evicting() (all []evictPolicy) {
	policies := c.Policies.Policies()
	for i := range policies {
		if policies[i].Mode == deadline.ModeEvict && !over(&policies[i], c.At) {
			all = append(all, evictPolicy{&policies[i], matchedTaint(policies[i].Taints)})
		}
	}
	return all
}

// evictPolicy is a policy of mode Evict, and a taint that it matches.
type evictPolicy struct {
	policy *deadline.Policy
	taint  deadline.Taint
}

// matchedTaint returns a taint that the first of some patterns matches. Without patterns it is any NoExecute taint.
func matchedTaint(patterns []deadline.TaintPattern) deadline.Taint {
	if len(patterns) == 0 {
		return deadline.Taint{Key: "any"}
	}
	first := patterns[0]
	taint := deadline.Taint{Key: first.Key, Value: ptr.Deref(first.Value, ""), Effect: first.Effect}
	if first.Prefix {
		taint.Key += "any"
	}
	return taint
}

// hindrance is something that holds evictions up. With evicted set, a policy of mode Evict may select a pod that it is about.
type hindrance struct {
	name    string
	evicted bool
}

// checkBudgets looks for budgets that never allow an eviction, or allow none of pods that are not ready.
func checkBudgets(c *Cluster) []Finding {
	const check = "Budgets"
	if blind := c.blind(check, "disruption budgets", "pods"); blind != nil {
		return blind
	}
	evicted, several := c.covered()
	var never, unhealthy []hindrance
	for _, budget := range c.Budgets {
		name := budget.Namespace + "/" + budget.Name
		if why := neverAllows(budget); why != "" {
			never = append(never, hindrance{name + " (" + why + ")", evicted[name]})
		}
		if ptr.Deref(budget.Spec.UnhealthyPodEvictionPolicy, policyv1.IfHealthyBudget) != policyv1.AlwaysAllow {
			unhealthy = append(unhealthy, hindrance{name, evicted[name]})
		}
	}
	findings := c.hinder(check, never, func(n int) string { return allows(n) + " an eviction." },
		"Allow one pod at least, with maxUnavailable: 1, and run one more replica.")
	findings = append(findings, c.hinder(check, several, func(n int) string {
		return fmt.Sprintf("Several budgets cover %s: the eviction API refuses these always.", count(n, "pod"))
	}, "Change the selectors so that one budget covers a pod.")...)
	findings = append(findings, c.hinder(check, unhealthy, func(n int) string {
		return has(n) + " no unhealthyPodEvictionPolicy: AlwaysAllow: pods that are not ready cannot be evicted while too few are."
	}, "Set it, unless a pod that is not ready must not lose its data.")...)
	return orOK(findings, check, fmt.Sprintf("%s can allow an eviction.", count(len(c.Budgets), "disruption budget")))
}

// covered returns the names of the budgets that cover a pod that a policy of mode Evict selects, and the pods that several budgets cover.
func (c *Cluster) covered() (evicted map[string]bool, several []hindrance) {
	evicting := c.evicting()
	evicted = map[string]bool{}
	for _, pod := range c.Pods {
		covering := c.CoveringBudgets(pod)
		if len(covering) == 0 {
			continue
		}
		known := c.Labels(pod)
		selected := slices.ContainsFunc(evicting, func(e evictPolicy) bool { return e.policy.Mismatch(e.taint, known) == "" })
		if len(covering) > 1 {
			several = append(several, hindrance{pod.Namespace() + "/" + pod.Name, selected})
		}
		for _, budget := range covering {
			evicted[budget.Namespace+"/"+budget.Name] = evicted[budget.Namespace+"/"+budget.Name] || selected
		}
	}
	return evicted, several
}

// hinder returns findings about what holds evictions up: a warning where policies wait for it, and information where nothing of ours does. seen says
// what so many of them are.
func (c *Cluster) hinder(check string, all []hindrance, seen func(n int) string, do string) (findings []Finding) {
	var waited, others []string
	for _, one := range all {
		if one.evicted {
			waited = append(waited, one.name)
		} else {
			others = append(others, one.name)
		}
	}
	if len(waited) > 0 {
		findings = append(findings, Finding{Warning, check, seen(len(waited)) + " Policies of mode Evict wait for it: until deleteAfterSeconds, or for ever.", do, waited})
	}
	if len(others) > 0 {
		findings = append(findings, Finding{Info, check, seen(len(others)) + " " + c.withoutEvict(), do, others})
	}
	return findings
}

// withoutEvict says what follows for budgets that no policy is known to wait for.
func (c *Cluster) withoutEvict() string {
	const others = "so this holds up kubectl drain and autoscalers, and not taint-manager."
	switch {
	case c.PoliciesUnread:
		return "Whether a policy of mode Evict waits for it is not known: policies could not be read."
	case c.evicts():
		return "No policy of mode Evict selects the pods now, " + others
	default:
		return "No policy has mode Evict now, " + others
	}
}

func allows(n int) string {
	if n == 1 {
		return "1 disruption budget never allows"
	}
	return fmt.Sprintf("%d disruption budgets never allow", n)
}

func has(n int) string {
	if n == 1 {
		return "1 disruption budget has"
	}
	return fmt.Sprintf("%d disruption budgets have", n)
}

// neverAllows says why a budget never allows an eviction, or "".
func neverAllows(budget *policyv1.PodDisruptionBudget) string {
	spec, status := &budget.Spec, &budget.Status
	observed := status.ObservedGeneration == budget.Generation && status.ExpectedPods > 0
	switch {
	case isZero(spec.MaxUnavailable):
		return "maxUnavailable is " + spec.MaxUnavailable.String()
	case spec.MinAvailable != nil && spec.MinAvailable.Type == intstr.String && spec.MinAvailable.StrVal == "100%":
		return "minAvailable is 100%"
	case observed && status.DesiredHealthy >= status.ExpectedPods && spec.MinAvailable != nil:
		return fmt.Sprintf("minAvailable is %s, of %s", spec.MinAvailable.String(), count(int(status.ExpectedPods), "pod"))
	case observed && status.DesiredHealthy >= status.ExpectedPods && spec.MaxUnavailable != nil:
		return fmt.Sprintf("maxUnavailable is %s, of %s", spec.MaxUnavailable.String(), count(int(status.ExpectedPods), "pod"))
	}
	return ""
}

func isZero(n *intstr.IntOrString) bool {
	return n != nil && (n.Type == intstr.Int && n.IntVal == 0 || n.Type == intstr.String && (n.StrVal == "0%" || n.StrVal == "0"))
}

// checkDisruptionController checks that somebody keeps the status of budgets up to date: evictions depend on it.
func checkDisruptionController(c *Cluster) []Finding {
	const check = "DisruptionController"
	if blind := c.blind(check, "disruption budgets"); blind != nil {
		return blind
	}
	if len(c.Budgets) == 0 {
		return []Finding{{OK, check, "There is no disruption budget.", "", nil}}
	}
	severity := Warning
	if c.evicts() {
		severity = Error
	}
	var behind, stale, failed []string
	for _, budget := range c.Budgets {
		name := budget.Namespace + "/" + budget.Name
		if budget.Status.ObservedGeneration != budget.Generation && c.now().Sub(writtenAt(budget)) > observedWithin {
			behind = append(behind, name)
		}
		for pod, since := range budget.Status.DisruptedPods {
			if c.now().Sub(since.Time) > disruptedFor {
				stale = append(stale, name+" ("+pod+")")
				break
			}
		}
		if condition := meta.FindStatusCondition(budget.Status.Conditions, policyv1.DisruptionAllowedCondition); condition != nil &&
			condition.Reason == policyv1.SyncFailedReason {
			failed = append(failed, name+" ("+condition.Message+")")
		}
	}
	const alive = "See whether kube-controller-manager leads and runs its disruption controller, and its log."
	var findings []Finding
	if len(behind) > 0 {
		findings = append(findings, Finding{severity, check, fmt.Sprintf("The status of %s is behind its spec: the disruption controller does not work, and the API server allows no eviction.",
			count(len(behind), "disruption budget")), alive, behind})
	}
	if len(stale) > 0 {
		findings = append(findings, Finding{severity, check, fmt.Sprintf("The status of %s names pods that were evicted over %s ago: the disruption controller does not take them out.",
			count(len(stale), "disruption budget"), disruptedFor), alive, stale})
	}
	if len(failed) > 0 {
		findings = append(findings, Finding{Warning, check, fmt.Sprintf("The disruption controller cannot compute how many pods may go, for %s.", count(len(failed), "disruption budget")),
			"Its pods need a controller with a scale subresource, or minAvailable as a number.", failed})
	}
	return orOK(findings, check, fmt.Sprintf("The disruption controller keeps the status of %s up to date.", count(len(c.Budgets), "disruption budget")))
}

// writtenAt returns when the spec of a budget was written last, as far as managedFields tell.
func writtenAt(budget *policyv1.PodDisruptionBudget) time.Time {
	at := budget.CreationTimestamp.Time
	for i := range budget.ManagedFields {
		if entry := &budget.ManagedFields[i]; entry.Subresource == "" && entry.Time != nil && entry.Time.After(at) {
			at = entry.Time.Time
		}
	}
	return at
}
