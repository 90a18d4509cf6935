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
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cliflag "k8s.io/component-base/cli/flag"
	componentconfig "k8s.io/component-base/config"
	"k8s.io/component-base/config/options"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// TaintTolerationComparisonOperators enables the toleration operators Gt and Lt (KEP-5471). Name and default are those
// of Kubernetes 1.36. The gate of the API server decides whether such tolerations can be written.
const TaintTolerationComparisonOperators featuregate.Feature = "TaintTolerationComparisonOperators"

// Options are the values of the flags. To add one, add a field, its line in Flags and its check in Validate.
type Options struct {
	// Kubeconfig is the path of a kubeconfig. If empty, the in-cluster configuration is used.
	Kubeconfig string
	// KubeAPIQPS and KubeAPIBurst limit the rate of requests for evictions and for Events. 0 is no limit.
	KubeAPIQPS   float32
	KubeAPIBurst int
	// MaxConcurrentEvictions bounds the number of pods that are evicted at the same time.
	MaxConcurrentEvictions int
	// EvictFinishedPods makes pods that succeeded or failed subject to taints.
	EvictFinishedPods bool
	// TaintStartConfigMap is the name of the ConfigMap for starts of taints, in the namespace of the Lease. Empty is none.
	TaintStartConfigMap string
	// LeaderElection configures leader election.
	LeaderElection componentconfig.LeaderElectionConfiguration
	// Serving configures the server for health and metrics.
	Serving ServingOptions
	// Logging and FeatureGate are those of component-base.
	Logging     *logsapi.LoggingConfiguration
	FeatureGate featuregate.MutableVersionedFeatureGate
}

// ServingOptions configure the server for health and metrics.
type ServingOptions struct {
	// BindAddress and SecurePort are the address to listen on. Port 0 disables the server.
	BindAddress net.IP
	SecurePort  int
	// CertFile and KeyFile are PEM files, which are reloaded when they change. Without them a self-signed certificate is
	// used.
	CertFile, KeyFile string
	// AlwaysAllowPaths are served to anyone.
	AlwaysAllowPaths []string
}

// NewOptions returns the defaults.
func NewOptions() *Options {
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
	return &Options{
		MaxConcurrentEvictions: tainteviction.DefaultConcurrentEvictions,
		TaintStartConfigMap:    "taint-manager-starts",
		LeaderElection: componentconfig.LeaderElectionConfiguration{
			LeaderElect:   true,
			LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
			RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
			// The default of Kubernetes' own components. A released Lease is acquired at once all the same, because we
			// watch it.
			RetryPeriod:       metav1.Duration{Duration: 2 * time.Second},
			ResourceLock:      "leases",
			ResourceName:      "taint-manager",
			ResourceNamespace: metav1.NamespaceSystem,
		},
		Serving: ServingOptions{
			BindAddress:      net.IPv4zero,
			SecurePort:       10290,
			AlwaysAllowPaths: []string{"/healthz", "/livez", "/readyz"},
		},
		Logging:     logsapi.NewLoggingConfiguration(),
		FeatureGate: gate,
	}
}

// Flags returns the flags in groups.
func (o *Options) Flags() (groups cliflag.NamedFlagSets) {
	o.addClusterFlags(groups.FlagSet("cluster"))
	o.addEvictionFlags(groups.FlagSet("eviction"))
	options.BindLeaderElectionFlags(&o.LeaderElection, groups.FlagSet("leader election"))
	o.addServingFlags(groups.FlagSet("serving"))
	o.FeatureGate.AddFlag(groups.FlagSet("features"))
	logsapi.AddFlags(o.Logging, groups.FlagSet("logging"))
	return groups
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
}

func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	fs.IPVar(&o.Serving.BindAddress, "bind-address", o.Serving.BindAddress,
		"IP address on which to serve /healthz, /livez, /readyz and /metrics over TLS.")
	fs.IntVar(&o.Serving.SecurePort, "secure-port", o.Serving.SecurePort, "Port on which to serve. 0 disables serving.")
	fs.StringVar(&o.Serving.CertFile, "tls-cert-file", o.Serving.CertFile,
		"PEM file with the serving certificate, reloaded when it changes. If empty, a self-signed certificate is used.")
	fs.StringVar(&o.Serving.KeyFile, "tls-private-key-file", o.Serving.KeyFile, "PEM file with the private key for --tls-cert-file.")
	fs.StringSliceVar(&o.Serving.AlwaysAllowPaths, "authorization-always-allow-paths", o.Serving.AlwaysAllowPaths,
		"Paths that are served to anyone. For other paths the API server authenticates and authorizes the caller.")
}

// Validate returns all errors in the options.
func (o *Options) Validate() (errs []error) {
	wrong := func(flag string, value any, want string) {
		errs = append(errs, fmt.Errorf("--%s=%v: %s", flag, value, want))
	}
	if o.KubeAPIQPS < 0 {
		wrong("kube-api-qps", o.KubeAPIQPS, "must be 0 (no limit) or more")
	}
	if o.KubeAPIBurst < 0 {
		wrong("kube-api-burst", o.KubeAPIBurst, "must be 0 (twice --kube-api-qps) or more")
	}
	if o.MaxConcurrentEvictions < 1 || o.MaxConcurrentEvictions > 1000 {
		wrong("max-concurrent-evictions", o.MaxConcurrentEvictions, "must be from 1 to 1000")
	}
	if o.Serving.SecurePort < 0 || o.Serving.SecurePort > 65535 {
		wrong("secure-port", o.Serving.SecurePort, "must be 0 (off) or a port up to 65535")
	}
	if (o.Serving.CertFile == "") != (o.Serving.KeyFile == "") {
		wrong("tls-cert-file", o.Serving.CertFile, "must be given together with --tls-private-key-file, or neither")
	}
	if le := &o.LeaderElection; le.LeaderElect {
		// The Lease stores whole seconds, and the API server rejects 0.
		if le.LeaseDuration.Duration < time.Second {
			wrong("leader-elect-lease-duration", le.LeaseDuration.Duration, "must be 1s or more: a Lease stores whole seconds, and a fraction is cut off")
		}
		if le.LeaseDuration.Duration <= le.RenewDeadline.Duration {
			wrong("leader-elect-lease-duration", le.LeaseDuration.Duration, "must be longer than --leader-elect-renew-deadline")
		}
		if le.RetryPeriod.Duration <= 0 || le.RenewDeadline.Seconds() <= 1.2*le.RetryPeriod.Seconds() {
			wrong("leader-elect-retry-period", le.RetryPeriod.Duration,
				"must be above 0, and --leader-elect-renew-deadline longer than 1.2 times it")
		}
		if le.ResourceLock != "leases" {
			wrong("leader-elect-resource-lock", le.ResourceLock, "only leases are supported")
		}
		if le.ResourceName == "" || le.ResourceNamespace == "" {
			wrong("leader-elect-resource-name", le.ResourceName, "must be set, and --leader-elect-resource-namespace too")
		}
	}
	return errs
}
