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
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func TestTolerations(t *testing.T) {
	pods := func(tolerations ...v1.Toleration) func(*scene) {
		return func(s *scene) {
			s.pods = []*v1.Pod{pod("a", "n1", tolerations...), pod("b", "n1", tolerations...), pod("c", "n1")}
		}
	}
	secs := func(n int64) *int64 { return &n }
	everything := v1.Toleration{Operator: v1.TolerationOpExists}
	equal := func(value string, seconds *int64) v1.Toleration {
		return v1.Toleration{Key: "a", Value: value, Effect: v1.TaintEffectNoExecute, TolerationSeconds: seconds}
	}
	const fine = "OK: Each toleration of 3 pods can have an effect."
	examineAll(t, "Tolerations", []fault{
		{"a longer one after it", pods(tolerates("a", secs(60)), tolerates("a", nil)), []string{
			`Warning: 2 pods have a toleration without effect on NoExecute taints: "a:NoExecute for ever", because "a:NoExecute for 60s" before it tolerates the same. [shop/a, shop/b]`}},
		{"a shorter one after it", pods(everything, tolerates("a", secs(60))), []string{
			`Warning: 2 pods have a toleration without effect on NoExecute taints: "a:NoExecute for 60s", because "everything for ever" before it tolerates the same. [shop/a, shop/b]`}},
		{"one value after all", pods(tolerates("a", secs(5)), equal("x", secs(6))), []string{
			`Warning: 2 pods have a toleration without effect on NoExecute taints: "a=x:NoExecute for 6s", because "a:NoExecute for 5s" before it tolerates the same. [shop/a, shop/b]`}},
		{"of all effects, as for NoExecute", pods(tolerates("a", secs(5)), v1.Toleration{Key: "a", Operator: v1.TolerationOpExists}), []string{
			`Warning: 2 pods have a toleration without effect on NoExecute taints: "a for ever", because "a:NoExecute for 5s" before it tolerates the same. [shop/a, shop/b]`}},
		{"the same once more", pods(tolerates("a", secs(5)), tolerates("a", secs(5))), []string{fine}},
		{"none and less than none", pods(tolerates("a", secs(0)), tolerates("a", secs(-5))), []string{fine}},
		{"everything after one key", pods(tolerates("a", secs(5)), everything), []string{fine}},
		{"all values after one", pods(equal("x", secs(5)), tolerates("a", secs(6))), []string{fine}},
		{"another value", pods(equal("x", secs(5)), equal("y", secs(6))), []string{fine}},
		{"another key", pods(tolerates("a", secs(5)), tolerates("b", secs(6))), []string{fine}},
		{"another effect before it", pods(v1.Toleration{Key: "a", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoSchedule}, tolerates("a", secs(6))), []string{fine}},
		{"numbers", pods(v1.Toleration{Key: "a", Operator: v1.TolerationOpGt, Value: "5"}), []string{
			"Warning: 2 pods have tolerations with operator Gt or Lt, which tolerate nothing without the feature gate TaintTolerationComparisonOperators. [shop/a, shop/b]"}},
	})
}

func TestPauses(t *testing.T) {
	with := func(spec string) func(*scene) {
		return func(s *scene) { s.policies = append(s.policies, policy(s.t, "stop", spec)) }
	}
	examineAll(t, "Pause", []fault{
		{"of everything", with("{matchingPrecedence: 0, mode: Keep}"), []string{
			"Warning: Policy stop pauses evictions for all NoExecute taints, also when nodes are lost and does not end by itself."}},
		{"until a time", with("{matchingPrecedence: 0, mode: Keep, taints: [{key: a}], expireTime: '2026-03-01T12:30:00Z'}"), []string{
			"Info: Policy stop pauses evictions for some taints until 2026-03-01T12:30:00Z."}},
		{"of some nodes", with("{matchingPrecedence: 0, mode: Keep, nodeSelector: {matchLabels: {pool: a}}, expireTime: '2026-03-01T12:30:00Z'}"), []string{
			"Info: Policy stop pauses evictions for all NoExecute taints, also when nodes are lost, where it selects until 2026-03-01T12:30:00Z."}},
		{"it is over", with("{matchingPrecedence: 0, mode: Keep, expireTime: '2026-03-01T11:30:00Z'}"), []string{"OK: Evictions are not paused."}},
		{"another precedence", with("{matchingPrecedence: 1, mode: Keep}"), []string{"OK: Evictions are not paused."}},
	})
}

func TestPolicies(t *testing.T) {
	// The policy maintenance, of precedence 100, is about taints maintenance.example.com/* and pods with app=web.
	with := func(spec string) func(*scene) {
		return func(s *scene) { s.policies = append(s.policies, policy(s.t, "next", spec)) }
	}
	const hidden = "Warning: Policy next never applies: policy maintenance comes first and matches all that it does."
	const hides = "Warning: Policy maintenance never applies: policy next comes first and matches all that it does."
	const fine = "OK: Each of 2 policies is valid and can apply."
	examineAll(t, "Policies", []fault{
		{"none", func(s *scene) { s.policies = nil }, []string{"OK: There is no policy."}},
		{"not valid", with("{matchingPrecedence: 200, mode: Drain, taints: [{key: a}]}"), []string{
			`Error: Policy next is not valid: spec.mode: Unsupported value: "Drain": supported values: "Delete", "Evict", "Preview", "Keep". ` +
				"The version before applies, or it keeps the pods that it may be about."}},
		{"not valid, before another", with("{matchingPrecedence: 99, mode: Drain}"), []string{
			`Error: Policy next is not valid: spec.mode: Unsupported value: "Drain": supported values: "Delete", "Evict", "Preview", "Keep". ` +
				"The version before applies, or it keeps the pods that it may be about."}},
		{"expired", with("{matchingPrecedence: 50, mode: Keep, expireTime: '2026-03-01T11:00:00Z'}"), []string{"Info: Policy next expired at 2026-03-01T11:00:00Z."}},
		{"no node", with("{matchingPrecedence: 200, mode: Keep, nodeSelector: {matchLabels: {pool: b}}}"), []string{"Warning: Policy next selects no node."}},
		{"no pod", with("{matchingPrecedence: 200, mode: Keep, podSelector: {matchLabels: {app: db}}}"), []string{"Warning: Policy next selects no pod that is bound to a node."}},
		{"no namespace", with("{matchingPrecedence: 200, mode: Keep, namespaceSelector: {matchLabels: {team: z}}}"), []string{"Warning: Policy next selects no pod that is bound to a node."}},
		{"a namespace", with("{matchingPrecedence: 200, mode: Keep, namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: web}}}"), []string{fine}},

		{"the same taints and pods", with("{matchingPrecedence: 200, mode: Keep, taints: [{key: maintenance.example.com/*}], podSelector: {matchLabels: {app: web}}}"), []string{hidden}},
		{"fewer taints and pods", with("{matchingPrecedence: 200, mode: Keep, taints: [{key: maintenance.example.com/a, value: x}], " +
			"podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: DoesNotExist}]}}"), []string{hidden}},
		{"one taint more", with("{matchingPrecedence: 200, mode: Keep, taints: [{key: maintenance.example.com/a}, {key: a}], podSelector: {matchLabels: {app: web}}}"), []string{fine}},
		{"all taints", with("{matchingPrecedence: 200, mode: Keep, podSelector: {matchLabels: {app: web}}}"), []string{fine}},
		{"more pods", with("{matchingPrecedence: 200, mode: Keep, taints: [{key: maintenance.example.com/a}]}"), []string{fine}},
		{"before it", with("{matchingPrecedence: 99, mode: Keep, taints: [{key: maintenance.example.com/*}]}"), []string{hides}},
		{"all taints before it", with("{matchingPrecedence: 99, mode: Preview}"), []string{hides}},
		{"all taints before it, for a while", with("{matchingPrecedence: 99, mode: Keep, expireTime: '2026-03-02T00:00:00Z'}"), []string{fine}},
		{"one value before it", with("{matchingPrecedence: 99, mode: Keep, taints: [{key: maintenance.example.com/*, value: x}]}"), []string{fine}},
		{"some nodes before it", with("{matchingPrecedence: 99, mode: Keep, nodeSelector: {matchLabels: {pool: a}}}"), []string{fine}},
		{"a pause before it", with("{matchingPrecedence: 0, mode: Keep}"), []string{fine}},
		{"for less time", func(s *scene) {
			with("{matchingPrecedence: 99, mode: Keep, expireTime: '2026-03-03T00:00:00Z'}")(s)
			s.policies[0] = policy(s.t, "maintenance", "{matchingPrecedence: 100, mode: Keep, expireTime: '2026-03-02T00:00:00Z'}")
		}, []string{hides}},
		{"for more time", func(s *scene) {
			with("{matchingPrecedence: 99, mode: Keep, expireTime: '2026-03-02T00:00:00Z'}")(s)
			s.policies[0] = policy(s.t, "maintenance", "{matchingPrecedence: 100, mode: Keep, expireTime: '2026-03-03T00:00:00Z'}")
		}, []string{fine}},
		{"NoSchedule after all", func(s *scene) {
			with("{matchingPrecedence: 99, mode: Preview}")(s)
			s.policies[0] = policy(s.t, "maintenance", "{matchingPrecedence: 100, mode: Delete, minTaintAgeSeconds: 5, taints: [{key: a, effect: NoSchedule}]}")
		}, []string{fine}},
		{"a prefix and a taint of nodes", func(s *scene) {
			with("{matchingPrecedence: 99, mode: Keep, taints: [{key: node.kubernetes.io/unreachable}]}")(s)
			s.policies[0] = policy(s.t, "maintenance", "{matchingPrecedence: 100, mode: Keep, taints: [{key: node.kubernetes.io/unreachable}]}")
		}, []string{hides}},
	})
}

func TestBudgets(t *testing.T) {
	budget := func(change func(b *policyv1.PodDisruptionBudget)) func(*scene) {
		return func(s *scene) { change(s.budgets[0]) }
	}
	min, max := func(n intstr.IntOrString) func(*policyv1.PodDisruptionBudget) {
		return func(b *policyv1.PodDisruptionBudget) { b.Spec.MaxUnavailable, b.Spec.MinAvailable = nil, &n }
	}, func(n intstr.IntOrString) func(*policyv1.PodDisruptionBudget) {
		return func(b *policyv1.PodDisruptionBudget) { b.Spec.MaxUnavailable = &n }
	}
	never := func(why string) []string {
		return []string{"Warning: 1 disruption budget never allows an eviction. Policies of mode Evict wait for it: until deleteAfterSeconds, or for ever. [shop/web (" + why + ")]"}
	}
	const fine = "OK: 1 disruption budget can allow an eviction."
	zero := max(intstr.FromInt32(0))
	notSelected := func(name string) string {
		return "Info: 1 disruption budget never allows an eviction. No policy of mode Evict selects the pods now, so this holds up kubectl drain and autoscalers, " +
			"and not taint-manager. [" + name + " (maxUnavailable is 0)]"
	}
	evicts := func(spec string) func(*scene) {
		return func(s *scene) {
			zero(s.budgets[0])
			s.policies = []*unstructured.Unstructured{policy(s.t, "evict", "{matchingPrecedence: 100, mode: Evict, evict: "+spec+"}")}
		}
	}
	examineAll(t, "Budgets", []fault{
		{"maxUnavailable 0", budget(max(intstr.FromInt32(0))), never("maxUnavailable is 0")},
		{"maxUnavailable 0%", budget(max(intstr.FromString("0%"))), never("maxUnavailable is 0%")},
		{"minAvailable 100%", budget(min(intstr.FromString("100%"))), never("minAvailable is 100%")},
		{"minAvailable all", budget(func(b *policyv1.PodDisruptionBudget) {
			min(intstr.FromInt32(2))(b)
			b.Status.DesiredHealthy = 2
		}), never("minAvailable is 2, of 2 pods")},
		{"a share that is all", budget(func(b *policyv1.PodDisruptionBudget) {
			min(intstr.FromString("90%"))(b)
			b.Status.DesiredHealthy = 2
		}), never("minAvailable is 90%, of 2 pods")},
		{"a status of another spec", budget(func(b *policyv1.PodDisruptionBudget) {
			min(intstr.FromInt32(1))(b)
			b.Status.DesiredHealthy, b.Generation = 2, 3
		}), []string{fine}},
		{"minAvailable of no pods", budget(func(b *policyv1.PodDisruptionBudget) {
			min(intstr.FromInt32(2))(b)
			b.Status.DesiredHealthy, b.Status.ExpectedPods = 2, 0
		}), []string{fine}},
		{"without a policy that evicts", func(s *scene) {
			s.policies = nil
			s.budgets[0].Spec.MaxUnavailable = ptr.To(intstr.FromInt32(0))
		}, []string{"Info: 1 disruption budget never allows an eviction. No policy has mode Evict now, so this holds up kubectl drain and autoscalers, and not taint-manager. " +
			"[shop/web (maxUnavailable is 0)]"}},
		{"policies could not be read", func(s *scene) {
			s.policies, s.policiesUnread = nil, true
			s.budgets[0].Spec.MaxUnavailable = ptr.To(intstr.FromInt32(0))
		}, []string{"Info: 1 disruption budget never allows an eviction. Whether a policy of mode Evict waits for it is not known: policies could not be read. " +
			"[shop/web (maxUnavailable is 0)]"}},
		{"of other pods than the policy selects", func(s *scene) {
			zero(s.budgets[0])
			other := s.budgets[0].DeepCopy()
			other.Name, other.Spec.Selector.MatchLabels["app"] = "db", "db"
			db := pod("db-0", "n1")
			db.Labels["app"] = "db"
			s.budgets, s.pods = append(s.budgets, other), append(s.pods, db)
		}, []string{
			"Warning: 1 disruption budget never allows an eviction. Policies of mode Evict wait for it: until deleteAfterSeconds, or for ever. [shop/web (maxUnavailable is 0)]",
			notSelected("shop/db")}},
		{"of no pod", func(s *scene) {
			zero(s.budgets[0])
			s.pods = nil
		}, []string{notSelected("shop/web")}},
		{"on other nodes", evicts("{deleteAfter: Never}, taints: [{key: a}], nodeSelector: {matchLabels: {pool: b}}"), []string{notSelected("shop/web")}},
		{"in another namespace", evicts("{deleteAfter: Never}, taints: [{key: a}], namespaceSelector: {matchLabels: {team: z}}"), []string{notSelected("shop/web")}},
		{"all pods", evicts("{deleteAfter: Never}, taints: [{key: example.com/*}, {key: a}]"), never("maxUnavailable is 0")},
		{"of a taint with an effect and a value", evicts("{deleteAfter: Never}, minTaintAgeSeconds: 5, taints: [{key: a, value: b, effect: NoSchedule}]"), never("maxUnavailable is 0")},
		{"no AlwaysAllow", budget(func(b *policyv1.PodDisruptionBudget) { b.Spec.UnhealthyPodEvictionPolicy = nil }), []string{
			"Warning: 1 disruption budget has no unhealthyPodEvictionPolicy: AlwaysAllow: pods that are not ready cannot be evicted while too few are. " +
				"Policies of mode Evict wait for it: until deleteAfterSeconds, or for ever. [shop/web]"}},
		{"two for a pod", func(s *scene) {
			second := s.budgets[0].DeepCopy()
			second.Name = "all"
			s.budgets = append(s.budgets, second)
		}, []string{"Warning: Several budgets cover 2 pods: the eviction API refuses these always. Policies of mode Evict wait for it: until deleteAfterSeconds, or for ever. " +
			"[shop/web-7c9d8b6f5c-k2xvd, shop/web-7c9d8b6f5c-zz4wd]"}},
	})
}

func TestDisruptionController(t *testing.T) {
	budget := func(change func(b *policyv1.PodDisruptionBudget)) func(*scene) {
		return func(s *scene) { change(s.budgets[0]) }
	}
	const fine = "OK: The disruption controller keeps the status of 1 disruption budget up to date."
	behind := func(b *policyv1.PodDisruptionBudget) { b.Status.ObservedGeneration = 1 }
	const isBehind = "The status of 1 disruption budget is behind its spec: the disruption controller does not work, and the API server allows no eviction. [shop/web]"
	examineAll(t, "DisruptionController", []fault{
		{"none", func(s *scene) { s.budgets = nil }, []string{"OK: There is no disruption budget."}},
		{"behind", budget(behind), []string{"Error: " + isBehind}},
		{"behind, without a policy that evicts", func(s *scene) {
			s.policies = nil
			behind(s.budgets[0])
		}, []string{"Warning: " + isBehind}},
		{"changed a moment ago", budget(func(b *policyv1.PodDisruptionBudget) {
			behind(b)
			b.ManagedFields = []metav1.ManagedFieldsEntry{{Time: ptr.To(before(30 * time.Second))}}
		}), []string{fine}},
		{"made a moment ago", budget(func(b *policyv1.PodDisruptionBudget) {
			behind(b)
			b.CreationTimestamp = before(30 * time.Second)
		}), []string{fine}},
		{"its status was written a moment ago", budget(func(b *policyv1.PodDisruptionBudget) {
			behind(b)
			b.ManagedFields = []metav1.ManagedFieldsEntry{{Time: ptr.To(before(30 * time.Second)), Subresource: "status"}}
		}), []string{"Error: " + isBehind}},
		{"pods that were evicted long ago", budget(func(b *policyv1.PodDisruptionBudget) {
			b.Status.DisruptedPods = map[string]metav1.Time{"web-1": before(6 * time.Minute)}
		}), []string{"Error: The status of 1 disruption budget names pods that were evicted over 5m0s ago: the disruption controller does not take them out. [shop/web (web-1)]"}},
		{"pods that were just evicted", budget(func(b *policyv1.PodDisruptionBudget) {
			b.Status.DisruptedPods = map[string]metav1.Time{"web-1": before(time.Minute)}
		}), []string{fine}},
		{"pods without a scale", budget(func(b *policyv1.PodDisruptionBudget) {
			b.Status.Conditions = []metav1.Condition{{Type: "DisruptionAllowed", Status: "False", Reason: "SyncFailed", Message: "found no controller ref"}}
		}), []string{"Warning: The disruption controller cannot compute how many pods may go, for 1 disruption budget. [shop/web (found no controller ref)]"}},
	})
}
