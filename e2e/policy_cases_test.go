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

package e2e

import (
	"fmt"
	"slices"
	"strings"
)

// policyCase is a policy, and what the API server makes of it.
type policyCase struct {
	name string
	// spec is in YAML, without the braces around it.
	spec string
	// want is in the error, if the policy is refused, and otherwise in what is stored.
	want string
}

const (
	someTaint  = "taints: [{key: example.com/a}], "
	deletes    = "matchingPrecedence: 1, mode: Delete, "
	evicts     = "matchingPrecedence: 1, mode: Evict, " + someTaint
	previews   = "matchingPrecedence: 1, mode: Preview, "
	keeps      = "matchingPrecedence: 1, mode: Keep, "
	evictsOnly = "evict: {deleteAfter: Never}, "
	oneYear    = "31536000"
)

// taint returns the spec of a policy that deletes pods because of one taint.
func taint(fields string) string {
	return deletes + "minTaintAgeSeconds: 5, taints: [{" + fields + "}]"
}

// key returns the spec of a policy that deletes pods because of a taint with a key.
func key(name string) string { return taint(fmt.Sprintf("key: %q", name)) }

// selects returns the spec of a policy with a podSelector.
func selects(fields string) string { return keeps + "podSelector: {" + fields + "}" }

// requires returns the spec of a policy with a podSelector of one requirement.
func requires(fields string) string { return selects("matchExpressions: [{" + fields + "}]") }

// times returns an element of a list so many times.
func times(n int, element string) string { return strings.Repeat(element+", ", n) }

// labelsOf returns so many labels.
func labelsOf(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "l%d: v, ", i)
	}
	return all.String()
}

// longestPrefix has the 253 characters of a DNS subdomain, and longestName the 63 of a name.
var (
	longestPrefix = strings.Repeat(strings.Repeat("p", 63)+".", 3) + strings.Repeat("p", 61)
	longestName   = strings.Repeat("n", 63)
)

func refusedPolicies() []policyCase {
	return slices.Concat(refusedModes(), refusedTaints(), refusedSelectors(), []policyCase{
		{"no spec", "", "spec: Required value"},
		{"an unknown field", keeps + "drain: Always", `unknown field "spec.drain"`},
		{"a time in words", keeps + "expireTime: tomorrow", "spec.expireTime"},
		{"a date alone", keeps + `expireTime: "2026-12-01"`, "spec.expireTime"},
		{"a time that Go does not read", keeps + `expireTime: "2026-12-01t00:00:00z"`, "must be a time in the format of RFC 3339, such as 2026-12-01T00:00:00Z"},
		{"a time and more", keeps + `expireTime: "2026-12-01T00:00:00ZTomorrow"`, "must be a time in the format of RFC 3339"},
		{"a time zone that is none", keeps + `expireTime: "2026-12-01T00:00:00+99:99"`, "must be a time in the format of RFC 3339"},
	})
}

func refusedModes() []policyCase {
	const (
		evictOnly = "spec.evict: Forbidden: evict is for mode Evict alone: remove it, or set mode to Evict"
		zeroKeeps = "spec.matchingPrecedence: Forbidden: 0 is for mode Keep alone: use 1 to 10000"
		needTaint = "spec.taints: Required value: modes Delete and Evict need taints: only Keep and Preview may leave them out"
	)
	noPodGoes := func(field string) string {
		return fmt.Sprintf("spec.%[1]s: Forbidden: with mode Keep or Preview no pod goes: remove %[1]s, or set mode to Delete or Evict", field)
	}
	return []policyCase{
		{"no precedence", "mode: Keep", "spec.matchingPrecedence: Required value"},
		{"a negative precedence", "matchingPrecedence: -1, mode: Keep", "spec.matchingPrecedence in body should be greater than or equal to 0"},
		{"a precedence over the highest", "matchingPrecedence: 10001, mode: Keep", "spec.matchingPrecedence in body should be less than or equal to 10000"},
		{"precedence 0 with Delete", "matchingPrecedence: 0, mode: Delete, " + someTaint, zeroKeeps},
		{"precedence 0 with Evict", "matchingPrecedence: 0, mode: Evict, " + someTaint + evictsOnly, zeroKeeps},
		{"precedence 0 with Preview", "matchingPrecedence: 0, mode: Preview", zeroKeeps},
		{"no mode", "matchingPrecedence: 1", "spec.mode: Required value"},
		{"an unknown mode", "matchingPrecedence: 1, mode: Drain", `spec.mode: Unsupported value: "Drain"`},
		{"Delete without taints", deletes, needTaint},
		{"Evict without taints", "matchingPrecedence: 1, mode: Evict, " + evictsOnly, needTaint},
		{"Evict without evict", evicts, "spec.evict: Required value: mode Evict needs evict: choose evict.deleteAfter, AfterSeconds or Never"},
		{"Delete with evict", deletes + someTaint + evictsOnly, evictOnly},
		{"Preview with evict", previews + evictsOnly, evictOnly},
		{"Keep with evict", keeps + evictsOnly, evictOnly},
		{"an empty evict", evicts + "evict: {}", "spec.evict.deleteAfter: Required value"},
		{"an unknown deleteAfter", evicts + "evict: {deleteAfter: Soon}", `spec.evict.deleteAfter: Unsupported value: "Soon"`},
		{"AfterSeconds without seconds", evicts + "evict: {deleteAfter: AfterSeconds}",
			"spec.evict.deleteAfterSeconds: Required value: deleteAfter AfterSeconds needs deleteAfterSeconds"},
		{"Never with seconds", evicts + "evict: {deleteAfter: Never, deleteAfterSeconds: 5}",
			"spec.evict.deleteAfterSeconds: Forbidden: with deleteAfter Never no pod is deleted: remove deleteAfterSeconds, or set deleteAfter to AfterSeconds"},
		{"no seconds to evict", evicts + "evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 0}",
			"spec.evict.deleteAfterSeconds in body should be greater than or equal to 1"},
		{"more than a year to evict", evicts + "evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 31536001}",
			"spec.evict.deleteAfterSeconds in body should be less than or equal to " + oneYear},
		{"Keep with a grace period", keeps + "gracePeriodSeconds: 30", noPodGoes("gracePeriodSeconds")},
		{"Preview with a grace period", previews + "gracePeriodSeconds: 30", noPodGoes("gracePeriodSeconds")},
		{"Keep with a notice", keeps + "noticeSeconds: 30", noPodGoes("noticeSeconds")},
		{"Preview with a notice", previews + "noticeSeconds: 30", noPodGoes("noticeSeconds")},
		{"Keep with an age of the taint", keeps + "minTaintAgeSeconds: 5",
			"spec.minTaintAgeSeconds: Forbidden: with mode Keep no pod goes at any age of the taint: remove minTaintAgeSeconds, or set another mode"},
		{"Keep with the age 0", keeps + "minTaintAgeSeconds: 0", "spec.minTaintAgeSeconds: Forbidden"},
		{"a grace period of 0", deletes + someTaint + "gracePeriodSeconds: 0", "spec.gracePeriodSeconds in body should be greater than or equal to 1"},
		{"a notice of 0", deletes + someTaint + "noticeSeconds: 0", "spec.noticeSeconds in body should be greater than or equal to 1"},
		{"a negative age", deletes + someTaint + "minTaintAgeSeconds: -1", "spec.minTaintAgeSeconds in body should be greater than or equal to 0"},
		{"more than a year of age", deletes + someTaint + "minTaintAgeSeconds: 31536001", "spec.minTaintAgeSeconds in body should be less than or equal to " + oneYear},
		{"more than a year of grace", deletes + someTaint + "gracePeriodSeconds: 31536001", "spec.gracePeriodSeconds in body should be less than or equal to " + oneYear},
		{"more than a year of notice", deletes + someTaint + "noticeSeconds: 31536001", "spec.noticeSeconds in body should be less than or equal to " + oneYear},
	}
}

func refusedTaints() []policyCase {
	const (
		noKey    = "must be the key of a taint, such as example.com/maintenance, or a prefix and an asterisk, such as example.com/*"
		noPrefix = "spec.taints[0].key: Forbidden: effect NoSchedule needs an exact key"
		reserved = "spec.taints[0].key: Forbidden: effect NoSchedule is not allowed for keys of kubernetes.io and its subdomains"
		needAge  = "spec.minTaintAgeSeconds: Required value: a taint with effect NoSchedule needs minTaintAgeSeconds of 5 or more"
		schedule = "effect: NoSchedule, "
	)
	cases := []policyCase{
		{"an empty list of taints", keeps + "taints: []", "spec.taints in body should have at least 1 items"},
		{"17 taints", keeps + "taints: [" + times(17, "{key: k}") + "]", "spec.taints: Too many: 17: must have at most 16 items"},
		{"a taint without a key", taint("value: a"), "spec.taints[0].key: Required value"},
		{"an empty key", key(""), "spec.taints[0].key in body should be at least 1 chars long"},
		{"a key that is too long", key(longestPrefix + "/" + longestName + "n"), "spec.taints[0].key: Too long"},
		{"a prefix of Kubernetes", key("node.kubernetes.io/*"),
			"spec.taints[0].key: Forbidden: taints of Kubernetes have to be named one by one, such as node.kubernetes.io/unreachable"},
		{"an unknown effect", taint("key: k, effect: PreferNoSchedule"), `spec.taints[0].effect: Unsupported value: "PreferNoSchedule"`},
		{"a value with a space", taint("key: k, value: a b"), "must be empty, or consist of letters, digits, '-', '_' and '.', with a letter or a digit at both ends"},
		{"a value with a dot at its end", taint("key: k, value: a."), "must be empty, or consist of letters"},
		{"a value of a taint that is too long", taint("key: k, value: " + longestName + "n"), "spec.taints[0].value: Too long"},
		{"NoSchedule with a prefix", taint(schedule + "key: example.com/*"), noPrefix},
		{"NoSchedule of kubernetes.io", taint(schedule + "key: kubernetes.io/arch"), reserved},
		{"NoSchedule of cordons", taint(schedule + "key: node.kubernetes.io/unschedulable"), reserved},
		{"NoSchedule of control planes", taint(schedule + "key: node-role.kubernetes.io/control-plane"), reserved},
		{"NoSchedule without an age", deletes + "taints: [{effect: NoSchedule, key: k}]", needAge},
		{"NoSchedule with an age of 4", deletes + "minTaintAgeSeconds: 4, taints: [{effect: NoSchedule, key: k}]", needAge},
		{"NoSchedule among others", evicts + evictsOnly + "taints: [{key: k}, {key: k, effect: NoSchedule}]", needAge},
		{"NoSchedule in a preview", previews + "taints: [{effect: NoSchedule, key: k}]", needAge},
	}
	for _, bad := range []string{
		"*", "/a", "a/", "a/b/c", "*/a", "a/b*", "a/**", "a*", "-a", "a.", "Example.com/a", "example..com/a", "-example.com/a", "a b",
		longestName + "n", "example.com/" + longestName + "n", longestPrefix + "p/a", longestPrefix + "p/*",
	} {
		cases = append(cases, policyCase{fmt.Sprintf("key %.20q of %d", bad, len(bad)), key(bad), noKey})
	}
	return cases
}

func refusedSelectors() []policyCase {
	const (
		noLabel = "must be the key of a label, such as app or example.com/app"
		needs   = "spec.podSelector.matchExpressions[0].values: Required value: operators In and NotIn need values"
		takesNo = "spec.podSelector.matchExpressions[0].values: Forbidden: operators Exists and DoesNotExist take no values: remove them, or use In or NotIn"
		empty   = "an empty selector would select everything: fill it in, or leave it out if everything is meant"
	)
	cases := []policyCase{
		{"no labels", selects("matchLabels: {}"), "spec.podSelector.matchLabels in body should have at least 1 properties"},
		{"no expressions", selects("matchExpressions: []"), "spec.podSelector.matchExpressions in body should have at least 1 items"},
		{"33 labels", selects("matchLabels: {" + labelsOf(33) + "}"), "spec.podSelector.matchLabels: Too many"},
		{"a label with a bad key", selects("matchLabels: {a: b, a/b/c: d}"), "spec.podSelector.matchLabels: Invalid value"},
		{"a label with a key that is too long", selects("matchLabels: {" + longestPrefix + "p/a: b}"), "each key must be the key of a label, such as app or example.com/app"},
		{"a label with a bad value", selects("matchLabels: {a: b c}"), "must be empty, or consist of letters, digits"},
		{"a label with a value that is too long", selects("matchLabels: {a: " + longestName + "n}"), "spec.podSelector.matchLabels.a: Too long"},
		{"17 expressions", selects("matchExpressions: [" + times(17, "{key: a, operator: Exists}") + "]"), "spec.podSelector.matchExpressions: Too many: 17: must have at most 16 items"},
		{"an expression without a key", requires("operator: Exists"), "spec.podSelector.matchExpressions[0].key: Required value"},
		{"an expression with an empty key", requires(`key: "", operator: Exists`), "spec.podSelector.matchExpressions[0].key in body should be at least 1 chars long"},
		{"an expression with a bad key", requires("key: a/b/c, operator: Exists"), noLabel},
		{"an expression with a prefix", requires("key: example.com/*, operator: Exists"), noLabel},
		{"an expression with a key that is too long", requires("key: " + longestPrefix + "p/a, operator: Exists"), noLabel},
		{"an expression with a key of 318 characters", requires("key: " + longestPrefix + "/" + longestName + "n, operator: Exists"),
			"spec.podSelector.matchExpressions[0].key: Too long"},
		{"an expression without an operator", requires("key: a"), "spec.podSelector.matchExpressions[0].operator: Required value"},
		{"an unknown operator", requires("key: a, operator: Gt, values: [b]"), `spec.podSelector.matchExpressions[0].operator: Unsupported value: "Gt"`},
		{"In without values", requires("key: a, operator: In"), needs},
		{"NotIn without values", requires("key: a, operator: NotIn"), needs},
		{"In with no values", requires("key: a, operator: In, values: []"), "spec.podSelector.matchExpressions[0].values in body should have at least 1 items"},
		{"Exists with values", requires("key: a, operator: Exists, values: [b]"), takesNo},
		{"DoesNotExist with values", requires("key: a, operator: DoesNotExist, values: [b]"), takesNo},
		{"65 values", requires("key: a, operator: In, values: [" + times(65, "b") + "]"), "spec.podSelector.matchExpressions[0].values: Too many: 65: must have at most 64 items"},
		{"a value that is too long", requires("key: a, operator: In, values: [" + longestName + "n]"), "spec.podSelector.matchExpressions[0].values[0]: Too long"},
		{"a bad value", requires("key: a, operator: In, values: [b, -c]"), "spec.podSelector.matchExpressions[0].values[1]: Invalid value"},
	}
	for _, selector := range []string{"nodeSelector", "namespaceSelector", "podSelector"} {
		cases = append(cases, policyCase{"an empty " + selector, keeps + selector + ": {}", empty})
	}
	return cases
}

func acceptedPolicies() []policyCase {
	full := "minTaintAgeSeconds: 0, gracePeriodSeconds: 1, noticeSeconds: 1, expireTime: 2026-12-01T00:00:00Z, " +
		"nodeSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {c: \"\"}}, " +
		"podSelector: {matchLabels: {example.com/d: e}, matchExpressions: [{key: f, operator: In, values: [g, \"\"]}, " +
		"{key: example.com/h, operator: NotIn, values: [i]}, {key: j, operator: Exists}, {key: k, operator: DoesNotExist}]}, "
	longest := fmt.Sprintf("minTaintAgeSeconds: %[1]s, gracePeriodSeconds: %[1]s, noticeSeconds: %[1]s, ", oneYear)
	return []policyCase{
		{"Keep of everything", "matchingPrecedence: 0, mode: Keep", "matchingPrecedence:0"},
		{"Preview of everything", previews, ""},
		{"the highest precedence", "matchingPrecedence: 10000, mode: Keep", "matchingPrecedence:10000"},
		{"Delete with all fields", deletes + full + someTaint, ""},
		{"Evict with all fields", evicts + full + evictsOnly, ""},
		{"the longest times", evicts + longest + "evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: " + oneYear + "}", ""},
		{"the shortest times", evicts + "evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 1}", ""},
		{"Preview with an age", previews + "minTaintAgeSeconds: 30", ""},
		{"a time that is over", keeps + "expireTime: 2020-02-29T23:59:59Z", ""},
		{"a time of another zone", keeps + "expireTime: 2026-12-01T02:00:00.5+02:00", ""},
		{"the default effect", key("k"), "effect:NoExecute"},
		{"an empty value", taint(`key: k, value: ""`), "value:]"},
		{"the longest value", taint("key: k, value: " + longestName), ""},
		{"the longest key", key(longestPrefix + "/" + longestName), ""},
		{"the longest prefix", key(longestPrefix + "/*"), ""},
		{"a key of all characters", key("a-b.c-0/A_b.c-D"), ""},
		{"a prefix that is like that of Kubernetes", key("kubernetes.io/*"), ""},
		{"a taint of Kubernetes", evicts + evictsOnly + "taints: [{key: node.kubernetes.io/out-of-service}]", ""},
		{"16 taints", keeps + "taints: [" + times(16, "{key: k}") + "]", ""},
		{"NoSchedule", taint("key: maintenance, effect: NoSchedule"), "effect:NoSchedule"},
		{"NoSchedule of a domain that ends like that of Kubernetes", taint("key: notkubernetes.io/a, effect: NoSchedule"), ""},
		{"NoSchedule of a domain that begins like that of Kubernetes", taint("key: kubernetes.io.example.com/a, effect: NoSchedule"), ""},
		{"NoSchedule in a preview", previews + "minTaintAgeSeconds: 5, taints: [{key: k, effect: NoSchedule}]", ""},
		{"NoSchedule that is kept", keeps + "taints: [{key: k, effect: NoSchedule}]", ""},
		{"32 labels", selects("matchLabels: {" + labelsOf(32) + "}"), ""},
		{"a label with the longest key", selects("matchLabels: {" + longestPrefix + "/" + longestName + ": a}"), ""},
		{"16 expressions of 64 values", selects("matchExpressions: [" + times(16, "{key: a, operator: In, values: ["+times(64, longestName)+"]}") + "]"), ""},
	}
}
