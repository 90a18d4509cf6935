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

// TaintTolerationComparisonOperators makes the toleration operators Gt and Lt work (KEP-5471). Name and default are those
// of Kubernetes 1.36: the API server's gate decides whether such tolerations can be written at all.
const TaintTolerationComparisonOperators featuregate.Feature = "TaintTolerationComparisonOperators"

// Options are what the flags say. A new option is a field, its line in Flags and its check in Validate.
type Options struct {
	// Kubeconfig is the path of a kubeconfig; empty for the in-cluster configuration.
	Kubeconfig string
	// KubeAPIQPS and KubeAPIBurst bound the requests of evictions and Events per second; 0 for no limit.
	KubeAPIQPS   float32
	KubeAPIBurst int
	// MaxConcurrentEvictions is how many pods are being evicted at the same time, at most.
	MaxConcurrentEvictions int
	// EvictFinishedPods makes pods that succeeded or failed subject to taints.
	EvictFinishedPods bool
	// TaintStartConfigMap is the name of the ConfigMap for starts of taints, in the namespace of the Lease; empty for none.
	TaintStartConfigMap string
	// LeaderElection says how one of several replicas is chosen.
	LeaderElection componentconfig.LeaderElectionConfiguration
	// Serving says where health and metrics are served.
	Serving ServingOptions
	// Logging and FeatureGate are component-base's.
	Logging     *logsapi.LoggingConfiguration
	FeatureGate featuregate.MutableVersionedFeatureGate
}

// ServingOptions say where and how health and metrics are served.
type ServingOptions struct {
	// BindAddress and SecurePort are where to listen; port 0 turns serving off.
	BindAddress net.IP
	SecurePort  int
	// CertFile and KeyFile are PEM files, read again when they change; a self-signed certificate without them.
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
			panic(err) // two gates of one name: a bug that no input causes
		}
	}
	return &Options{
		MaxConcurrentEvictions: tainteviction.DefaultConcurrentEvictions,
		TaintStartConfigMap:    "taint-manager-starts",
		LeaderElection: componentconfig.LeaderElectionConfiguration{
			LeaderElect:   true,
			LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
			RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
			// As in Kubernetes' own components. A Lease that is released is seen at once all the same: we watch it.
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
		"Path of the kubeconfig of the cluster. Without it, the service account of the pod that this runs in.")
	fs.Float32Var(&o.KubeAPIQPS, "kube-api-qps", o.KubeAPIQPS,
		"Requests per second that evictions and Events may send, each. 0 for no limit: the API server's priority and fairness decides.")
	fs.IntVar(&o.KubeAPIBurst, "kube-api-burst", o.KubeAPIBurst,
		"Requests that may exceed --kube-api-qps for a moment. 0 for twice --kube-api-qps, at least 1.")
}

func (o *Options) addEvictionFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.MaxConcurrentEvictions, "max-concurrent-evictions", o.MaxConcurrentEvictions,
		"Pods that are being evicted at the same time, at most. How many may be adapts to the API server. "+
			"A node or namespace that is alone leaves a reserve of those to others.")
	fs.StringVar(&o.TaintStartConfigMap, "taint-start-configmap", o.TaintStartConfigMap,
		"ConfigMap, in the namespace of the Lease, that remembers since when nodes are ill, over restarts. It has to exist. Empty for none.")
	fs.BoolVar(&o.EvictFinishedPods, "evict-finished-pods", o.EvictFinishedPods,
		"Evict pods that have succeeded or failed too, as kube-controller-manager's own controller does. "+
			"Failed pods of which no container ever started, which their kubelet rejected, are evicted without it.")
}

func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	fs.IPVar(&o.Serving.BindAddress, "bind-address", o.Serving.BindAddress,
		"Address to serve /healthz, /livez, /readyz and /metrics on, over TLS.")
	fs.IntVar(&o.Serving.SecurePort, "secure-port", o.Serving.SecurePort, "Port to serve on. 0 turns serving off.")
	fs.StringVar(&o.Serving.CertFile, "tls-cert-file", o.Serving.CertFile,
		"PEM file with the certificate to serve with, read again when it changes. Without it, a self-signed one is made.")
	fs.StringVar(&o.Serving.KeyFile, "tls-private-key-file", o.Serving.KeyFile, "PEM file with the key of --tls-cert-file.")
	fs.StringSliceVar(&o.Serving.AlwaysAllowPaths, "authorization-always-allow-paths", o.Serving.AlwaysAllowPaths,
		"Paths that are served to anyone. All others ask the API server who the caller is and whether it may get the path.")
}

// Validate returns everything that is wrong with the options.
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
		// The API server refuses a Lease of 0 s, and that is what a fraction of a second becomes in it.
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
