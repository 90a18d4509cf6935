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

import (
	"net"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/sets"
	cliflag "k8s.io/component-base/cli/flag"
	componentconfig "k8s.io/component-base/config"
	"k8s.io/component-base/config/options"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/audit"
)

// TaintTolerationComparisonOperators enables the toleration operators Gt and Lt (KEP-5471). Name and default are those
// of Kubernetes 1.36. The gate of the API server decides whether such tolerations can be written.
const TaintTolerationComparisonOperators featuregate.Feature = "TaintTolerationComparisonOperators"

// Options are the values of the flags and of the configuration file. To add one, see "A flag" in CONTRIBUTING.md.
type Options struct {
	// ConfigFile is the path of a configuration file. Empty is none.
	ConfigFile string
	// Kubeconfig is the path of a kubeconfig. If empty, the in-cluster configuration is used.
	Kubeconfig string
	// KubeAPIQPS and KubeAPIBurst limit the rate of requests for evictions and for Events. 0 is no limit.
	KubeAPIQPS   float32
	KubeAPIBurst int
	// MaxConcurrentEvictions bounds the number of pods that are evicted at the same time.
	MaxConcurrentEvictions int
	// EvictFinishedPods makes pods that succeeded or failed subject to taints.
	EvictFinishedPods bool
	// DryRun evicts nothing, and shows what would be evicted.
	DryRun bool
	// TaintStartConfigMap is the name of the ConfigMap for starts of taints, in the namespace of the Lease. Empty is none.
	TaintStartConfigMap string
	// LeaderElection configures leader election.
	LeaderElection componentconfig.LeaderElectionConfiguration
	// Serving configures the server for health, metrics and debugging.
	Serving ServingOptions
	// AuditLog is where the audit log is written. An empty path is no audit log.
	AuditLog audit.File
	// EvictionBrake and NodePace are set by a configuration file only.
	EvictionBrake v1alpha1.EvictionBrakeConfiguration
	NodePace      v1alpha1.NodePaceConfiguration
	// Logging and FeatureGate are those of component-base.
	Logging     *logsapi.LoggingConfiguration
	FeatureGate featuregate.MutableVersionedFeatureGate

	// file is the configuration file that the options have values of, or nil. given are the names of the flags that were on the
	// command line; without a file nothing reads them.
	file  *configFile
	given sets.Set[string]
}

// ServingOptions configure the server for health, metrics and debugging.
type ServingOptions struct {
	// BindAddress and SecurePort are the address to listen on. Port 0 disables the server.
	BindAddress net.IP
	SecurePort  int
	// CertFile and KeyFile are PEM files, which are reloaded when they change. Without them a self-signed certificate is
	// used.
	CertFile, KeyFile string
	// AlwaysAllowPaths are served to anyone.
	AlwaysAllowPaths []string
	// Profiling has profiles of this process be served.
	Profiling bool
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	o := &Options{Logging: logsapi.NewLoggingConfiguration(), FeatureGate: newFeatureGate()}
	if err := o.apply(v1alpha1.Default()); err != nil {
		panic(err) // defaults that are not valid: a bug
	}
	return o
}

// newFeatureGate returns our feature gates and those of component-base.
func newFeatureGate() featuregate.MutableVersionedFeatureGate {
	gate := featuregate.NewFeatureGate()
	for _, err := range []error{
		gate.Add(map[featuregate.Feature]featuregate.FeatureSpec{
			TaintTolerationComparisonOperators: {Default: false, PreRelease: featuregate.Alpha},
		}),
		logsapi.AddFeatureGates(gate),
	} {
		if err != nil {
			panic(err) // two gates with one name: a bug
		}
	}
	return gate
}

// Flags returns the flags in groups.
func (o *Options) Flags() (groups cliflag.NamedFlagSets) {
	groups.FlagSet("configuration").StringVar(&o.ConfigFile, "config", o.ConfigFile,
		"Path of a configuration file: see taint-manager config --help. Flags win over the file. If empty, there is none.")
	o.addClusterFlags(groups.FlagSet("cluster"))
	o.addEvictionFlags(groups.FlagSet("eviction"))
	o.addAuditFlags(groups.FlagSet("audit"))
	options.BindLeaderElectionFlags(&o.LeaderElection, groups.FlagSet("leader election"))
	o.addServingFlags(groups.FlagSet("serving"))
	o.FeatureGate.AddFlag(groups.FlagSet("features"))
	logsapi.AddFlags(o.Logging, groups.FlagSet("logging"))
	return groups
}

// copy returns options with the same values. Making flags of options sets their values again, while others may read them.
func (o *Options) copy() *Options {
	copied := *o
	copied.Logging = o.Logging.DeepCopy()
	return &copied
}

func (o *Options) addClusterFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig,
		"Path of the kubeconfig of the cluster. If empty, the service account of the pod is used.")
	fs.Float32Var(&o.KubeAPIQPS, "kube-api-qps", o.KubeAPIQPS,
		"Maximum requests per second for evictions, and for Events. 0 for no limit: the API server's priority and fairness applies.")
	fs.IntVar(&o.KubeAPIBurst, "kube-api-burst", o.KubeAPIBurst,
		"Maximum burst of requests beyond --kube-api-qps. 0 for twice --kube-api-qps, at least 1.")
}

func (o *Options) addEvictionFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.MaxConcurrentEvictions, "max-concurrent-evictions", o.MaxConcurrentEvictions,
		"Maximum number of pods that are evicted at the same time. Up to this maximum, the limit adapts to the API server. "+
			"A single node or namespace leaves a reserve to others.")
	fs.StringVar(&o.TaintStartConfigMap, "taint-start-configmap", o.TaintStartConfigMap,
		"Name of the ConfigMap that keeps starts of taints over restarts, in the namespace of the Lease. It must exist. Empty for none.")
	fs.BoolVar(&o.EvictFinishedPods, "evict-finished-pods", o.EvictFinishedPods,
		"Also evict pods that have succeeded or failed, as the controller of kube-controller-manager does. "+
			"Failed pods of which no container started, because their kubelet rejected them, are always evicted.")
	fs.BoolVar(&o.DryRun, "dry-run", o.DryRun,
		"Evict no pod, and show in Events and in the log what would be evicted. It writes nothing else but its own Lease, whose name ends "+
			"with -dry-run, so it can run beside another taint-manager.")
}

func (o *Options) addAuditFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.AuditLog.Path, "audit-log-path", o.AuditLog.Path,
		"Path of the file that the audit log is written to, one line of JSON for each eviction, or - for standard output. If empty, there is none.")
	fs.IntVar(&o.AuditLog.MaxSize, "audit-log-maxsize", o.AuditLog.MaxSize,
		"Size in MiB at which a file of the audit log is renamed and another one begun. Standard output is not rotated.")
	fs.IntVar(&o.AuditLog.MaxBackups, "audit-log-maxbackup", o.AuditLog.MaxBackups,
		"Number of renamed files of the audit log that are kept. 0 for all.")
	fs.IntVar(&o.AuditLog.MaxAge, "audit-log-maxage", o.AuditLog.MaxAge,
		"Number of days that renamed files of the audit log are kept. 0 for ever.")
}

func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	fs.IPVar(&o.Serving.BindAddress, "bind-address", o.Serving.BindAddress,
		"IP address on which to serve health, metrics, /statusz and /flagz over TLS.")
	fs.IntVar(&o.Serving.SecurePort, "secure-port", o.Serving.SecurePort, "Port on which to serve. 0 disables serving.")
	fs.StringVar(&o.Serving.CertFile, "tls-cert-file", o.Serving.CertFile,
		"PEM file with the serving certificate, reloaded when it changes. If empty, a self-signed certificate is used.")
	fs.StringVar(&o.Serving.KeyFile, "tls-private-key-file", o.Serving.KeyFile, "PEM file with the private key for --tls-cert-file.")
	fs.StringSliceVar(&o.Serving.AlwaysAllowPaths, "authorization-always-allow-paths", o.Serving.AlwaysAllowPaths,
		"Paths that are served to anyone. For other paths the API server authenticates and authorizes the caller.")
	fs.BoolVar(&o.Serving.Profiling, "profiling", o.Serving.Profiling,
		"Serve profiles of this process, too, below /debug/pprof/, to those whom the API server authorizes.")
}

// leaseName returns the name of the Lease.
func (o *Options) leaseName() string {
	if o.DryRun {
		return o.LeaderElection.ResourceName + "-dry-run"
	}
	return o.LeaderElection.ResourceName
}
