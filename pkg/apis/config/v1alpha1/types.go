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

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	componentconfig "k8s.io/component-base/config/v1alpha1"
	logsapi "k8s.io/component-base/logs/api/v1"
)

const (
	// APIVersion is the apiVersion of a configuration file of this version.
	APIVersion = "config.taint-manager.io/v1alpha1"
	// Kind is the kind of a configuration file.
	Kind = "TaintManagerConfiguration"
)

// TaintManagerConfiguration configures taint-manager.
type TaintManagerConfiguration struct {
	metav1.TypeMeta `json:""`

	// auditLog configures the audit log, which has a line for each eviction.
	AuditLog AuditLogConfiguration `json:"auditLog"`
	// clientConnection limits the requests to the API server.
	ClientConnection ClientConnectionConfiguration `json:"clientConnection"`
	// eviction configures the evictions.
	Eviction EvictionConfiguration `json:"eviction"`
	// evictionBrake stops evictions while too many nodes have pods to evict at the same time.
	EvictionBrake EvictionBrakeConfiguration `json:"evictionBrake"`
	// featureGates are feature gates by name. A gate that is not named has its default.
	FeatureGates map[string]bool `json:"featureGates"`
	// leaderElection configures leader election.
	LeaderElection componentconfig.LeaderElectionConfiguration `json:"leaderElection"`
	// logging configures the log.
	Logging logsapi.LoggingConfiguration `json:"logging"`
	// nodePace limits how many nodes begin to evict in a minute.
	NodePace NodePaceConfiguration `json:"nodePace"`
	// serving configures the server for health, metrics and debugging.
	Serving ServingConfiguration `json:"serving"`
}

// AuditLogConfiguration configures the audit log. Its lines are of kind EvictionRecord in audit.taint-manager.io/v1alpha1.
type AuditLogConfiguration struct {
	// path is the path of the file that the audit log is written to, or - for standard output. Empty is no audit log. The directory of a file
	// must exist and be writable, and each replica needs a file of its own.
	Path string `json:"path"`
	// maxSizeMegabytes is the size in MiB at which a file is renamed and another one begun, from 1 to 1000000. Standard output is not rotated.
	MaxSizeMegabytes int32 `json:"maxSizeMegabytes"`
	// maxBackups is how many of the files that were renamed are kept. 0 is all of them.
	MaxBackups int32 `json:"maxBackups"`
	// maxAgeDays is for how many days files that were renamed are kept. 0 is for ever.
	MaxAgeDays int32 `json:"maxAgeDays"`
}

// ClientConnectionConfiguration limits the requests to the API server.
type ClientConnectionConfiguration struct {
	// qps is the maximum number of requests per second for evictions, and for Events. 0 is no limit: the API server's priority and
	// fairness applies.
	QPS float32 `json:"qps"`
	// burst is the maximum burst of requests beyond qps. 0 is twice qps, at least 1.
	Burst int32 `json:"burst"`
}

// EvictionConfiguration configures the evictions.
type EvictionConfiguration struct {
	// maxConcurrentEvictions is the maximum number of pods that are evicted at the same time, from 1 to 1000. Up to this maximum, the
	// limit adapts to the API server. A single node or namespace leaves a reserve to others.
	MaxConcurrentEvictions int32 `json:"maxConcurrentEvictions"`
	// evictFinishedPods makes pods that have succeeded or failed subject to taints, as they are for the controller of
	// kube-controller-manager. Failed pods of which no container started, because their kubelet rejected them, are always evicted.
	EvictFinishedPods bool `json:"evictFinishedPods"`
	// dryRun evicts no pod, and shows in Events and in the log what would be evicted. It writes nothing else but its own Lease, whose
	// name ends with -dry-run, so it can run beside another taint-manager.
	DryRun bool `json:"dryRun"`
	// taintStartConfigMap is the name of the ConfigMap that keeps starts of taints over restarts, in the namespace of the Lease. It must
	// exist. Empty is none.
	TaintStartConfigMap string `json:"taintStartConfigMap"`
}

// EvictionBrakeConfiguration configures the eviction brake. It is on while more than maxNodes nodes count, and cooldownSeconds longer.
// While it is on, no pod begins to be evicted for a taint that is not in ignoreTaints.
//
// A node counts if it has pods that are due for a taint that is not in ignoreTaints, and that taint is younger than windowSeconds; or if
// its pods became due within windowSeconds because a policy changed, was deleted or expired.
type EvictionBrakeConfiguration struct {
	// maxNodes is how many nodes may count before the brake goes on: a number, or a share of all nodes in percent, rounded down. 0 is off.
	MaxNodes intstr.IntOrString `json:"maxNodes"`
	// minNodes is how many nodes must count, at least, before the brake goes on, where maxNodes is a share: in a small cluster, a share is
	// few nodes. Where maxNodes is a number, minNodes is not used.
	MinNodes int32 `json:"minNodes"`
	// windowSeconds is for how long a taint or a change of a policy counts, in seconds, from 1 to 86400. So it is how long the brake stays
	// on, at most, before cooldownSeconds, if no more taints come.
	WindowSeconds int32 `json:"windowSeconds"`
	// cooldownSeconds is for how long the brake stays on after no more than maxNodes nodes count, in seconds, from 0 to 86400.
	CooldownSeconds int32 `json:"cooldownSeconds"`
	// ignoreTaints are the keys of taints that the brake neither counts nor holds. The node lifecycle controller paces those of the default
	// itself, and pods must leave a zone that has failed.
	IgnoreTaints []string `json:"ignoreTaints"`
}

// NodePaceConfiguration limits how many nodes begin to evict in a minute. A node that has begun goes on, and taints in
// evictionBrake.ignoreTaints are not limited.
type NodePaceConfiguration struct {
	// nodesPerMinute is the number of nodes that may begin to evict in a minute. 0 is no limit.
	NodesPerMinute int32 `json:"nodesPerMinute"`
	// burst is the number of nodes that may begin at the same time, where none began for a while. 0 is 1. After a start and after another
	// replica led, there is none to spend yet.
	Burst int32 `json:"burst"`
}

// ServingConfiguration configures the server for health, metrics and debugging.
type ServingConfiguration struct {
	// bindAddress is the IP address on which health, metrics, /statusz and /flagz are served over TLS.
	BindAddress string `json:"bindAddress"`
	// securePort is the port on which they are served. 0 disables serving.
	SecurePort int32 `json:"securePort"`
	// tlsCertFile is a PEM file with the serving certificate, reloaded when it changes. If empty, a self-signed certificate is used.
	TLSCertFile string `json:"tlsCertFile"`
	// tlsPrivateKeyFile is a PEM file with the private key for tlsCertFile.
	TLSPrivateKeyFile string `json:"tlsPrivateKeyFile"`
	// authorizationAlwaysAllowPaths are paths that are served to anyone. For other paths the API server authenticates and authorizes the
	// caller.
	AuthorizationAlwaysAllowPaths []string `json:"authorizationAlwaysAllowPaths"`
	// profiling has profiles of this process be served, too, below /debug/pprof/.
	Profiling bool `json:"profiling"`
}
