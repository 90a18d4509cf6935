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

package main

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	deployment = "Deployment/kube-system/taint-manager"
	podSpec    = deployment + ":spec.template.spec"
	container  = podSpec + ".containers.0"
	testPod    = "Pod/kube-system/taint-manager-test"
	testSpec   = testPod + ":spec"
	absent     = "absent"
)

// effect is what a value does: with it, a field has a value that it has not without it.
type effect struct {
	// value is its path, and set what is set, in YAML.
	value, set string
	// given is set with it and without it.
	given string
	// namespace is that of the release, which is kube-system by default.
	namespace string
	// field is an object, a colon, and the path of a field of it; without a colon, it is whether there is that object.
	field string
	// want is what is there then, in YAML, or absent.
	want string
}

func effects() []effect {
	return slices.Concat(podEffects(), imageEffects(), configEffects(), objectEffects(), testEffects())
}

// podEffects are those on where and how replicas run.
func podEffects() []effect {
	const tolerations = "{key: maintenance, operator: Exists, effect: NoExecute}"
	return []effect{
		{value: "replicaCount", set: "replicaCount: 3", field: deployment + ":spec.replicas", want: "3"},
		{value: "hostNetwork", set: "hostNetwork: true", field: podSpec + ".hostNetwork", want: "true"},
		{value: "hostNetwork", set: "hostNetwork: true", field: podSpec + ".dnsPolicy", want: "Default"},
		{value: "nodeSelector", set: "nodeSelector: {node-role.kubernetes.io/control-plane: ''}", field: podSpec + ".nodeSelector",
			want: "{kubernetes.io/os: linux, node-role.kubernetes.io/control-plane: ''}"},
		{value: "nodeSelector", set: "nodeSelector: {kubernetes.io/os: null}", field: podSpec + ".nodeSelector", want: absent},
		{value: "tolerations", set: "tolerations: [" + tolerations + "]", field: podSpec + ".tolerations", want: "[" + tolerations + "]"},
		{value: "tolerations", set: "tolerations: []", field: podSpec + ".tolerations", want: absent},
		{value: "tolerations", set: "tolerations: [" + tolerations + "]", field: testSpec + ".tolerations", want: "[" + tolerations + "]"},
		{value: "affinity", set: "affinity: {podAntiAffinity: null, nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
			field: podSpec + ".affinity", want: "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}"},
		{value: "affinity", set: "affinity: {podAntiAffinity: null}", field: podSpec + ".affinity", want: absent},
		{value: "priorityClassName", set: "priorityClassName: ours", field: podSpec + ".priorityClassName", want: "ours"},
		{value: "priorityClassName", set: "priorityClassName: ''", field: podSpec + ".priorityClassName", want: absent},
		{value: "priorityClassName", set: "priorityClassName: ours", namespace: "elsewhere", field: "ResourceQuota/elsewhere/taint-manager", want: absent},
		{value: "priorityClassName", set: "priorityClassName: system-node-critical", namespace: "elsewhere",
			field: "ResourceQuota/elsewhere/taint-manager:spec.scopeSelector.matchExpressions.0.values", want: "[system-node-critical]"},
		{value: "resources", set: "resources: {limits: {memory: 256Mi, cpu: 2}}", field: container + ".resources",
			want: "{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi, cpu: 2}}"},
		{value: "resources", set: "resources: {requests: null, limits: null}", field: container + ".resources", want: absent},
	}
}

// imageEffects are those on the image of the controller.
func imageEffects() []effect {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const secrets = "[{name: registry}]"
	return []effect{
		{value: "image.repository", set: "image: {repository: registry.example.com:5000/tm}", field: container + ".image", want: "registry.example.com:5000/tm:dev"},
		{value: "image.tag", set: "image: {tag: v1.2.3}", field: container + ".image", want: "ghcr.io/taint-manager/taint-manager:v1.2.3"},
		{value: "image.digest", set: "image: {tag: v1.2.3, digest: '" + digest + "'}", field: container + ".image",
			want: "ghcr.io/taint-manager/taint-manager:v1.2.3@" + digest},
		{value: "image.pullPolicy", set: "image: {pullPolicy: Always}", field: container + ".imagePullPolicy", want: "Always"},
		{value: "imagePullSecrets", set: "imagePullSecrets: " + secrets, field: podSpec + ".imagePullSecrets", want: secrets},
		{value: "imagePullSecrets", set: "imagePullSecrets: " + secrets, field: testSpec + ".imagePullSecrets", want: secrets},
	}
}

// configEffects are those on flags and the configuration file.
func configEffects() []effect {
	const brake = "config: {evictionBrake: {maxNodes: 30%, minNodes: 1000000}}"
	const file = "apiVersion: config.taint-manager.io/v1alpha1\nevictionBrake:\n  maxNodes: 30%\n  minNodes: 1000000\nkind: TaintManagerConfiguration\n"
	return []effect{
		{value: "logVerbosity", set: "logVerbosity: 4", field: container + ".args", want: "[--v=4]"},
		{value: "logVerbosity", set: "logVerbosity: 0", field: container + ".args", want: "[--v=0]"},
		{value: "dryRun", set: "dryRun: true", field: container + ".args", want: "[--v=2, --dry-run]"},
		{value: "extraArgs", set: "extraArgs: [--max-concurrent-evictions=100, --evict-finished-pods]", field: container + ".args",
			want: "[--v=2, --max-concurrent-evictions=100, --evict-finished-pods]"},
		{value: "config", set: brake, field: "ConfigMap/kube-system/taint-manager-config:data", want: "{taint-manager.yaml: " + strconv.Quote(file) + "}"},
		{value: "config", set: brake, field: container + ".args", want: "[--v=2, --config=/etc/taint-manager/taint-manager.yaml]"},
		{value: "config", set: brake, field: container + ".volumeMounts", want: "[{name: config, mountPath: /etc/taint-manager, readOnly: true}]"},
		{value: "config", set: brake, field: podSpec + ".volumes", want: "[{name: config, configMap: {name: taint-manager-config}}]"},
		{value: "config", set: brake, field: deployment + ":spec.template.metadata.annotations",
			want: "{kubectl.kubernetes.io/default-container: taint-manager, checksum/config: 60c42c81d341f75deb4bddb4292a8bd7784676d4677b8a84f73cd39d9e8cfbe6}"},
		{value: "config", set: brake, namespace: "elsewhere", field: "Deployment/elsewhere/taint-manager:spec.template.spec.containers.0.args",
			want: "[--v=2, --leader-elect-resource-namespace=elsewhere, --config=/etc/taint-manager/taint-manager.yaml]"},
	}
}

// objectEffects are those on whether there are objects.
func objectEffects() []effect {
	const monitor = "ServiceMonitor/kube-system/taint-manager"
	return []effect{
		{value: "crd.enabled", set: "crd: {enabled: false}", field: "CustomResourceDefinition/taintevictionpolicies.policy.taint-manager.io", want: absent},
		{value: "podDisruptionBudget.enabled", set: "podDisruptionBudget: {enabled: false}", field: "PodDisruptionBudget/kube-system/taint-manager", want: absent},
		{value: "podDisruptionBudget.maxUnavailable", set: "podDisruptionBudget: {maxUnavailable: 2}",
			field: "PodDisruptionBudget/kube-system/taint-manager:spec.maxUnavailable", want: "2"},
		{value: "podDisruptionBudget.maxUnavailable", set: "podDisruptionBudget: {maxUnavailable: 50%}",
			field: "PodDisruptionBudget/kube-system/taint-manager:spec.maxUnavailable", want: "50%"},
		{value: "networkPolicy.enabled", set: "networkPolicy: {enabled: false}", field: "NetworkPolicy/kube-system/taint-manager", want: absent},
		{value: "resourceQuota.enabled", set: "resourceQuota: {enabled: false}", namespace: "elsewhere", field: "ResourceQuota/elsewhere/taint-manager", want: absent},
		{value: "metricsReader.enabled", set: "metricsReader: {enabled: true}", field: "ClusterRole/taint-manager-metrics-reader:rules",
			want: "[{nonResourceURLs: [/metrics], verbs: [get]}]"},
		{value: "debugReader.enabled", set: "debugReader: {enabled: true}", field: "ClusterRole/taint-manager-debug-reader:rules",
			want: "[{nonResourceURLs: [/flagz, /statusz, /debug/pprof/, /debug/pprof/allocs, /debug/pprof/block, /debug/pprof/goroutine, " +
				"/debug/pprof/heap, /debug/pprof/mutex, /debug/pprof/profile, /debug/pprof/threadcreate, /debug/pprof/trace], verbs: [get]}]"},
		{value: "serviceMonitor.enabled", set: "serviceMonitor: {enabled: true}", field: monitor + ":kind", want: "ServiceMonitor"},
		{value: "serviceMonitor.labels", set: "serviceMonitor: {labels: {release: prometheus}}", given: "serviceMonitor: {enabled: true}",
			field: monitor + ":metadata.labels.release", want: "prometheus"},
	}
}

// testEffects are those on `helm test`.
func testEffects() []effect {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const doctor = testSpec + ".containers.0"
	return []effect{
		{value: "test.image.repository", set: "test: {image: {repository: registry.example.com/doctor}}", field: doctor + ".image", want: "registry.example.com/doctor:dev"},
		{value: "test.image.tag", set: "test: {image: {tag: v1.2.3}}", field: doctor + ".image", want: "ghcr.io/taint-manager/kubectl-taint-manager:v1.2.3"},
		{value: "test.image.digest", set: "test: {image: {digest: '" + digest + "'}}", field: doctor + ".image",
			want: "ghcr.io/taint-manager/kubectl-taint-manager:dev@" + digest},
		{value: "test.image.pullPolicy", set: "test: {image: {pullPolicy: Never}}", field: doctor + ".imagePullPolicy", want: "Never"},
		{value: "test.failOn", set: "test: {failOn: Warning}", field: doctor + ".args", want: "[doctor, --manager-namespace=kube-system, --fail-on=Warning]"},
		{value: "test.skip", set: "test: {skip: [BuiltInController, Clock]}", field: doctor + ".args",
			want: "[doctor, --manager-namespace=kube-system, --fail-on=Error, --skip=BuiltInController, --skip=Clock]"},
	}
}

// TestEachValue sets each value, and looks for what it does, and that this is not so without it.
func TestEachValue(t *testing.T) {
	tested := map[string]bool{}
	for _, e := range effects() {
		tested[e.value] = true
		t.Run(e.value+" on "+e.field, func(t *testing.T) {
			if e.namespace == "" {
				e.namespace = kubeSystem
			}
			if !sets(fromYAML(t, e.set), strings.Split(e.value, ".")) {
				t.Fatalf("%s does not set %s", e.set, e.value)
			}
			before := fieldOf(mustRender(t, e.namespace, e.given), e.field)
			after := fieldOf(mustRender(t, e.namespace, e.given, e.set), e.field)
			var want any
			if e.want != absent {
				want = fromYAML(t, e.want)
			}
			if difference := cmp.Diff(want, after); difference != "" {
				t.Errorf("with %s, want (-) and got (+) differ:\n%s", e.set, difference)
			}
			if reflect.DeepEqual(before, after) {
				t.Errorf("%s changes nothing: it is %v without it, too", e.set, before)
			}
		})
	}
	for _, v := range declared(t) {
		if !tested[v.path] {
			t.Errorf("no test sets %s, and looks for its effect", v.path)
		}
	}
}

// sets reports whether values set the one of a path.
func sets(values any, path []string) bool {
	for _, name := range path {
		inner, _ := values.(map[string]any)
		value, set := inner[name]
		if !set {
			return false
		}
		values = value
	}
	return true
}

// fieldOf returns a field of an object, or nil.
func fieldOf(r *rendering, field string) any {
	key, path, inObject := strings.Cut(field, ":")
	object, exists := r.objects[key]
	if !exists {
		object, exists = r.hooks[key]
	}
	if !exists {
		return nil
	}
	if !inObject {
		return key
	}
	var at any = object
	for name := range strings.SplitSeq(path, ".") {
		switch of := at.(type) {
		case map[string]any:
			at = of[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(of) {
				return nil
			}
			at = of[i]
		default:
			return nil
		}
	}
	return at
}
