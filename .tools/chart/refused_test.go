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
	"io"
	"log"
	"os"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// refusal is values that are not accepted, and what is said then.
type refusal struct{ set, message string }

func refusals() []refusal {
	return []refusal{
		// A name that is not there, on each level.
		{"replicas: 3", "at '': additional properties 'replicas' not allowed"},
		{"image: {name: tm}", "at '/image': additional properties 'name' not allowed"},
		{"imagePullSecrets: [{secret: registry}]", "at '/imagePullSecrets/0': missing property 'name'"},
		{"imagePullSecrets: [registry]", "at '/imagePullSecrets/0': got string, want object"},
		{"tolerations: [{key: a, tolerationSecond: 5}]", "at '/tolerations/0': additional properties 'tolerationSecond' not allowed"},
		{"affinity: {podAntiaffinity: {}}", "at '/affinity': additional properties 'podAntiaffinity' not allowed"},
		{"resources: {limit: {memory: 1Gi}}", "at '/resources': additional properties 'limit' not allowed"},
		{"crd: {install: true}", "at '/crd': additional properties 'install' not allowed"},
		{"podDisruptionBudget: {minAvailable: 1}", "at '/podDisruptionBudget': additional properties 'minAvailable' not allowed"},
		{"serviceMonitor: {interval: 30s}", "at '/serviceMonitor': additional properties 'interval' not allowed"},
		{"test: {enabled: false}", "at '/test': additional properties 'enabled' not allowed"},
		{"test: {image: {name: tm}}", "at '/test/image': additional properties 'name' not allowed"},
		{"config: {evictionBrakes: {}}", "at '/config': additional properties 'evictionBrakes' not allowed"},
		{"config: {evictionBrake: {maxNode: 3}}", "at '/config/evictionBrake': additional properties 'maxNode' not allowed"},

		// A value that is not one of those that there are, or too small or too large.
		{"replicaCount: 0", "at '/replicaCount': minimum: got 0, want 1"},
		{"enabled: 'yes'", "at '/enabled': got string, want boolean"},
		{"replicaCount: 1.5", "at '/replicaCount': got number, want integer"},
		{"image: {pullPolicy: always}", "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"},
		{"image: {repository: ''}", "at '/image/repository': minLength: got 0, want 1"},
		{"image: {tag: 1.0}", "at '/image/tag': got number, want string"},
		{"image: {digest: 0123}", "at '/image/digest': got number, want string"},
		{"image: {digest: sha256:0123}", "at '/image/digest': 'sha256:0123' does not match pattern '^(sha256:[0-9a-f]{64})?$'"},
		{"logVerbosity: 11", "at '/logVerbosity': maximum: got 11, want 10"},
		{"logVerbosity: -1", "at '/logVerbosity': minimum: got -1, want 0"},
		{"tolerations: [{key: a, operator: Exist}]", "at '/tolerations/0/operator': value must be one of 'Exists', 'Equal', 'Gt', 'Lt'"},
		{"tolerations: [{key: a, effect: NoExec}]", "at '/tolerations/0/effect': value must be one of 'NoSchedule', 'PreferNoSchedule', 'NoExecute'"},
		{"tolerations: [{key: a, value: true}]", "at '/tolerations/0/value': got boolean, want string"},
		{"tolerations: [{key: a, tolerationSeconds: 5m}]", "at '/tolerations/0/tolerationSeconds': got string, want integer"},
		{"nodeSelector: {edge: true}", "at '/nodeSelector/edge': got boolean, want string"},
		{"podDisruptionBudget: {maxUnavailable: 0}", "at '/podDisruptionBudget/maxUnavailable': minimum: got 0, want 1"},
		{"podDisruptionBudget: {maxUnavailable: half}", "at '/podDisruptionBudget/maxUnavailable': 'half' does not match pattern '^[0-9]+%$'"},
		{"test: {failOn: error}", "at '/test/failOn': value must be one of 'Error', 'Warning'"},

		// A value with another one, or with the chart.
		{"enabled: false", "enabled is false, and the chart is installed: it is for a chart that this one is a part of, which names it in the condition of the dependency"},
		{"extraArgs: [max-concurrent-evictions=100]", `extraArgs has "max-concurrent-evictions=100": write a flag as one string, such as --max-concurrent-evictions=100`},
		{"extraArgs: [--max-concurrent-evictions, '100']", `extraArgs has "100": write a flag as one string, such as --max-concurrent-evictions=100`},
		{"extraArgs: [--v=4]", "extraArgs has --v: set logVerbosity"},
		{"extraArgs: [-v=4]", `extraArgs has "-v=4": write a flag as one string, such as --max-concurrent-evictions=100`},
		{"extraArgs: [--dry-run]", "extraArgs has --dry-run: set dryRun"},
		{"extraArgs: [--config=/a]", "extraArgs has --config: set config"},
		{"extraArgs: [--leader-elect-resource-namespace=a]", "extraArgs has --leader-elect-resource-namespace: install into that namespace, with helm's flag --namespace"},
		{"extraArgs: [--leader-elect-resource-name=a]", "extraArgs has --leader-elect-resource-name: leave it out: the permissions and the plugin go by the default"},
		{"extraArgs: [--taint-start-configmap=a]", "extraArgs has --taint-start-configmap: leave it out: the permissions and the plugin go by the default"},
		{"extraArgs: [--secure-port=443]", "extraArgs has --secure-port: leave it out: the Service and the probes go by the default"},
		{"extraArgs: [--kubeconfig=/a]", "extraArgs has --kubeconfig: leave it out: the service account is used"},
		{"extraArgs: [--tls-cert-file=/a]", "extraArgs has --tls-cert-file: leave it out: the chart mounts no certificate"},
		{"extraArgs: [--tls-private-key-file=/a]", "extraArgs has --tls-private-key-file: leave it out: the chart mounts no certificate"},
		{"extraArgs: [--audit-log-path=/a]", "extraArgs has --audit-log-path: set config.auditLog.path"},
		{"config: {auditLog: {path: /a}}",
			`config.auditLog.path is "/a", and the file system of the container is read-only: write to standard output, by "-"`},
		{"extraArgs: [--audit-log-maxsize=10]", "extraArgs has --audit-log-maxsize: leave it out: standard output is not rotated"},
		{"extraArgs: [--audit-log-maxbackup=1]", "extraArgs has --audit-log-maxbackup: leave it out: standard output is not rotated"},
		{"extraArgs: [--audit-log-maxage=1]", "extraArgs has --audit-log-maxage: leave it out: standard output is not rotated"},
		{"config: {auditLog: {path: '-', maxSizeMegabytes: 10}}",
			"config.auditLog.maxSizeMegabytes is 10, and must be 100 or left out: standard output is not rotated"},
		{"config: {auditLog: {maxBackups: 1}}", "config.auditLog.maxBackups is 1, and must be 10 or left out: standard output is not rotated"},
		{"config: {auditLog: {maxAgeDays: 1}}", "config.auditLog.maxAgeDays is 1, and must be 0 or left out: standard output is not rotated"},
		{"extraArgs: [--bind-address=127.0.0.1]", "extraArgs has --bind-address: set config.serving.bindAddress"},
		{"config: {serving: {bindAddress: 127.0.0.1}}", notThePodAddress("127.0.0.1")},
		{"config: {serving: {bindAddress: '::1'}}", notThePodAddress("::1")},
		{"config: {serving: {bindAddress: 10.0.0.7}}", notThePodAddress("10.0.0.7")},
		{"extraArgs: ['--authorization-always-allow-paths=/metrics']",
			"extraArgs has --authorization-always-allow-paths: set config.serving.authorizationAlwaysAllowPaths"},
		{"config: {serving: {authorizationAlwaysAllowPaths: [/metrics]}}", lacksPath("/livez")},
		{"config: {serving: {authorizationAlwaysAllowPaths: []}}", lacksPath("/livez")},
		{"config: {serving: {authorizationAlwaysAllowPaths: [/healthz, /livez]}}", lacksPath("/readyz")},
		{"config: {serving: {authorizationAlwaysAllowPaths: [/livez/ping, /readyz]}}", lacksPath("/livez")},
		{"extraArgs: [--leader-elect=false]", "extraArgs has --leader-elect: leave it out: all replicas would evict"},
		{"config: {logging: {verbosity: 4}}", "config.logging.verbosity is 4, and must be 2 or left out: set logVerbosity, whose flag wins"},
		{"config: {eviction: {dryRun: true}}", "config.eviction.dryRun is true, and must be false or left out: set dryRun"},
		{"config: {eviction: {taintStartConfigMap: a}}",
			`config.eviction.taintStartConfigMap is "a", and must be "taint-manager-starts" or left out: the permissions and the plugin go by it`},
		{"config: {leaderElection: {resourceNamespace: a}}",
			`config.leaderElection.resourceNamespace is "a", and must be "kube-system" or left out: install into another namespace, with helm's flag --namespace`},
		{"config: {leaderElection: {resourceName: a}}",
			`config.leaderElection.resourceName is "a", and must be "taint-manager" or left out: the permissions and the plugin go by it`},
		{"config: {leaderElection: {leaderElect: false}}", "config.leaderElection.leaderElect is false, and must be true or left out: without it all replicas evict"},
		{"config: {serving: {securePort: 443}}", "config.serving.securePort is 443, and must be 10290 or left out: the Service and the probes go by it"},
		{"config: {serving: {tlsCertFile: /a}}", `config.serving.tlsCertFile is "/a", and must be "" or left out: the chart mounts no certificate`},
		{"config: {serving: {tlsPrivateKeyFile: /a}}", `config.serving.tlsPrivateKeyFile is "/a", and must be "" or left out: the chart mounts no certificate`},
		{"config: {evictionBrake: {maxNodes: '30'}}",
			`config.evictionBrake.maxNodes is "30": write a number of nodes, such as 30, or a share from 0% to 100%, such as 30%`},
		{"config: {evictionBrake: {maxNodes: 101%}}",
			`config.evictionBrake.maxNodes is "101%": write a number of nodes, such as 30, or a share from 0% to 100%, such as 30%`},
	}
}

func notThePodAddress(address string) string {
	return `config.serving.bindAddress is "` + address + `", and must be "0.0.0.0" or "::" or left out: the Service and the probes go to the address of the pod`
}

func lacksPath(path string) string {
	return "config.serving.authorizationAlwaysAllowPaths lacks " + path + ", which the probes ask for without credentials: " +
		"what is set replaces the default, so add /livez and /readyz"
}

// TestServingValues has those that the probes can do with.
func TestServingValues(t *testing.T) {
	for _, set := range []string{
		"{bindAddress: 0.0.0.0}", "{bindAddress: '::'}",
		"{authorizationAlwaysAllowPaths: [/livez, /readyz]}", "{authorizationAlwaysAllowPaths: [/readyz, /metrics, /livez]}",
	} {
		mustRender(t, kubeSystem, "config: {serving: "+set+"}")
	}
}

// TestBadValuesAreRefused sees that Helm refuses each, and says what to change.
func TestBadValuesAreRefused(t *testing.T) {
	for _, r := range refusals() {
		t.Run(r.set, func(t *testing.T) {
			_, err := render(kubeSystem, r.set)
			if err == nil || !strings.Contains(err.Error(), r.message) {
				t.Errorf("got %v\nwant an error with\n%s", err, r.message)
			}
		})
	}
}

// TestEachValueHasAType sees that each value is refused as at least three of a boolean, a list, a map and a fraction.
func TestEachValueHasAType(t *testing.T) {
	log.SetOutput(io.Discard) // Helm warns of maps that are given up
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, v := range declared(t) {
		refused, path := 0, strings.Split(v.path, ".")
		for _, set := range []string{"true", "[true]", "{a: true}", "3.5"} {
			for i := range path {
				set = "{" + path[len(path)-1-i] + ": " + set + "}"
			}
			_, err := render(kubeSystem, set)
			if err == nil {
				continue
			}
			refused++
			if at := "at '/" + strings.Join(path, "/"); !strings.Contains(err.Error(), at) {
				t.Errorf("%s: got %v\nwant an error with\n%s", set, err, at)
			}
		}
		if refused < 3 {
			t.Errorf("%s may be of several types", v.path)
		}
	}
}

// TestSubchart has the chart be a part of another one, which switches it on and off. Helm gives all parts the values of "global".
func TestSubchart(t *testing.T) {
	version, err := common.ParseKubeVersion(oldest)
	if err != nil {
		t.Fatal(err)
	}
	for enabled, want := range map[string]bool{"true": true, "false": false} {
		part, err := loader.Load(chartDir)
		if err != nil {
			t.Fatal(err)
		}
		whole := &chart.Chart{Metadata: &chart.Metadata{
			APIVersion: chart.APIVersionV2, Name: "platform", Version: "1.0.0",
			Dependencies: []*chart.Dependency{{Name: part.Name(), Version: part.Metadata.Version, Condition: "taint-manager.enabled"}},
		}}
		whole.SetDependencies(part)
		r, err := renderChart(whole, version, kubeSystem, "global: {imageRegistry: registry.example.com}", "taint-manager: {enabled: "+enabled+", replicaCount: 3}")
		if err != nil {
			t.Errorf("enabled: %s: %v", enabled, err)
			continue
		}
		if got := r.objects["Deployment/kube-system/taint-manager"] != nil; got != want {
			t.Errorf("enabled: %s: there is a Deployment: %t", enabled, got)
		}
	}
}

// TestVersionsOfKubernetes sees that Helm refuses those on which the built-in controller cannot be switched off.
func TestVersionsOfKubernetes(t *testing.T) {
	for version, want := range map[string]string{
		"v1.28.15":             "chart requires kubeVersion: >=1.29.0-0 which is incompatible with Kubernetes v1.28.15",
		"v1.29.0-gke.1":        "", // as managed control planes call theirs
		"v1.37.2-eks-0123abcd": "",
	} {
		if _, err := renderOn(version, kubeSystem); err != nil && err.Error() != want || err == nil && want != "" {
			t.Errorf("%s: got %v, want %q", version, err, want)
		}
	}
}
