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

package app

import "strings"

// flagsByField returns the flag that sets each field of the configuration file.
//
// No flag sets evictionBrake and nodePace: they are decisions about a cluster, to be reviewed as a file is. No field stands for
// --kubeconfig: which one it is depends on where the process runs, and not on what it is to do there.
func flagsByField() map[string]string {
	return map[string]string{
		"auditLog.path":                         "audit-log-path",
		"auditLog.maxSizeMegabytes":             "audit-log-maxsize",
		"auditLog.maxBackups":                   "audit-log-maxbackup",
		"auditLog.maxAgeDays":                   "audit-log-maxage",
		"clientConnection.qps":                  "kube-api-qps",
		"clientConnection.burst":                "kube-api-burst",
		"eviction.evictFinishedPods":            "evict-finished-pods",
		"eviction.dryRun":                       "dry-run",
		"eviction.maxConcurrentEvictions":       "max-concurrent-evictions",
		"eviction.taintStartConfigMap":          "taint-start-configmap",
		"featureGates":                          "feature-gates",
		"leaderElection.leaderElect":            "leader-elect",
		"leaderElection.leaseDuration":          "leader-elect-lease-duration",
		"leaderElection.renewDeadline":          "leader-elect-renew-deadline",
		"leaderElection.retryPeriod":            "leader-elect-retry-period",
		"leaderElection.resourceLock":           "leader-elect-resource-lock",
		"leaderElection.resourceName":           "leader-elect-resource-name",
		"leaderElection.resourceNamespace":      "leader-elect-resource-namespace",
		"logging.flushFrequency":                "log-flush-frequency",
		"logging.format":                        "logging-format",
		"logging.options.json.infoBufferSize":   "log-json-info-buffer-size",
		"logging.options.json.splitStream":      "log-json-split-stream",
		"logging.options.text.infoBufferSize":   "log-text-info-buffer-size",
		"logging.options.text.splitStream":      "log-text-split-stream",
		"logging.verbosity":                     "v",
		"logging.vmodule":                       "vmodule",
		"serving.authorizationAlwaysAllowPaths": "authorization-always-allow-paths",
		"serving.bindAddress":                   "bind-address",
		"serving.profiling":                     "profiling",
		"serving.securePort":                    "secure-port",
		"serving.tlsCertFile":                   "tls-cert-file",
		"serving.tlsPrivateKeyFile":             "tls-private-key-file",
	}
}

// flagOf returns the flag that sets a field, or the list or map that a field is in. It is empty if there is none.
func flagOf(path string) string {
	path, _, _ = strings.Cut(path, "[")
	return flagsByField()[path]
}
