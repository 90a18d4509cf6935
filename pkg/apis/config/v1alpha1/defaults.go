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
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	componentconfig "k8s.io/component-base/config/v1alpha1"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/utils/ptr"
)

// Default returns the configuration that applies without a file.
func Default() *TaintManagerConfiguration {
	return &TaintManagerConfiguration{
		TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		AuditLog: AuditLogConfiguration{
			MaxSizeMegabytes: 100, // as of kube-apiserver
			MaxBackups:       10,  // so that it takes 1.1 GiB at most
		},
		Eviction: EvictionConfiguration{
			MaxConcurrentEvictions: 400,
			TaintStartConfigMap:    "taint-manager-starts",
		},
		EvictionBrake: EvictionBrakeConfiguration{
			MaxNodes:        intstr.FromInt32(0),
			MinNodes:        10,
			WindowSeconds:   600,
			CooldownSeconds: 60,
			IgnoreTaints:    []string{v1.TaintNodeNotReady, v1.TaintNodeUnreachable, v1.TaintNodeOutOfService},
		},
		FeatureGates: map[string]bool{},
		LeaderElection: componentconfig.LeaderElectionConfiguration{
			LeaderElect:   ptr.To(true),
			LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
			RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
			// The default of Kubernetes' own components. A released Lease is acquired at once all the same, because we
			// watch it.
			RetryPeriod:       metav1.Duration{Duration: 2 * time.Second},
			ResourceLock:      "leases",
			ResourceName:      "taint-manager",
			ResourceNamespace: metav1.NamespaceSystem,
		},
		Logging: *logsapi.NewLoggingConfiguration(),
		Serving: ServingConfiguration{
			BindAddress:                   "0.0.0.0",
			SecurePort:                    10290,
			AuthorizationAlwaysAllowPaths: []string{"/healthz", "/livez", "/readyz"},
		},
	}
}
