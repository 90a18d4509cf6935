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
	"errors"
	"math"
	"net"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/sets"
	componentv1alpha1 "k8s.io/component-base/config/v1alpha1"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/audit"
)

// apply sets the options to the values of a configuration. Feature gates that do not exist are left out, since the gate would keep them and
// fail for ever: validate names them.
func (o *Options) apply(c *v1alpha1.TaintManagerConfiguration) error {
	o.KubeAPIQPS, o.KubeAPIBurst = c.ClientConnection.QPS, int(c.ClientConnection.Burst)
	o.MaxConcurrentEvictions = int(c.Eviction.MaxConcurrentEvictions)
	o.EvictFinishedPods, o.DryRun = c.Eviction.EvictFinishedPods, c.Eviction.DryRun
	o.TaintStartConfigMap = c.Eviction.TaintStartConfigMap
	o.EvictionBrake, o.NodePace = c.EvictionBrake, c.NodePace
	o.AuditLog = audit.File{
		Path: c.AuditLog.Path, MaxSize: int(c.AuditLog.MaxSizeMegabytes), MaxBackups: int(c.AuditLog.MaxBackups), MaxAge: int(c.AuditLog.MaxAgeDays),
	}
	o.Serving = ServingOptions{
		BindAddress:      net.ParseIP(c.Serving.BindAddress),
		SecurePort:       int(c.Serving.SecurePort),
		CertFile:         c.Serving.TLSCertFile,
		KeyFile:          c.Serving.TLSPrivateKeyFile,
		AlwaysAllowPaths: c.Serving.AuthorizationAlwaysAllowPaths,
		Profiling:        c.Serving.Profiling,
	}
	*o.Logging = *c.Logging.DeepCopy() // the flags point into it
	err := componentv1alpha1.Convert_v1alpha1_LeaderElectionConfiguration_To_config_LeaderElectionConfiguration(&c.LeaderElection, &o.LeaderElection, nil)
	return errors.Join(err, setGates(o.FeatureGate, c.FeatureGates))
}

// configuration returns the configuration that the options are the values of.
func (o *Options) configuration() (*v1alpha1.TaintManagerConfiguration, error) {
	c := v1alpha1.Default()
	c.ClientConnection = v1alpha1.ClientConnectionConfiguration{QPS: o.KubeAPIQPS, Burst: toInt32(o.KubeAPIBurst)}
	c.Eviction = v1alpha1.EvictionConfiguration{
		MaxConcurrentEvictions: toInt32(o.MaxConcurrentEvictions),
		EvictFinishedPods:      o.EvictFinishedPods,
		DryRun:                 o.DryRun,
		TaintStartConfigMap:    o.TaintStartConfigMap,
	}
	c.EvictionBrake, c.NodePace = o.EvictionBrake, o.NodePace
	c.AuditLog = v1alpha1.AuditLogConfiguration{
		Path: o.AuditLog.Path, MaxSizeMegabytes: toInt32(o.AuditLog.MaxSize), MaxBackups: toInt32(o.AuditLog.MaxBackups), MaxAgeDays: toInt32(o.AuditLog.MaxAge),
	}
	for name := range o.FeatureGate.GetAll() {
		if o.FeatureGate.ExplicitlySet(name) {
			c.FeatureGates[string(name)] = o.FeatureGate.Enabled(name)
		}
	}
	c.Logging = *o.Logging.DeepCopy()
	c.Serving = v1alpha1.ServingConfiguration{
		BindAddress:                   o.Serving.BindAddress.String(),
		SecurePort:                    toInt32(o.Serving.SecurePort),
		TLSCertFile:                   o.Serving.CertFile,
		TLSPrivateKeyFile:             o.Serving.KeyFile,
		AuthorizationAlwaysAllowPaths: o.Serving.AlwaysAllowPaths,
		Profiling:                     o.Serving.Profiling,
	}
	return c, componentv1alpha1.Convert_config_LeaderElectionConfiguration_To_v1alpha1_LeaderElectionConfiguration(&o.LeaderElection, &c.LeaderElection, nil)
}

// toInt32 returns a number, or the nearest one that fits. The limits of the configuration are far below.
func toInt32(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// complete returns the effective options: the defaults, over them the configuration file that --config names, and over that the flags that
// were given. flags are those of these options, and have been parsed. The error has all that is wrong, one thing in each line.
func (o *Options) complete(flags *pflag.FlagSet) (*Options, error) {
	if o.ConfigFile == "" {
		return o, errors.Join(o.Validate()...)
	}
	file, errs := readConfig(o.ConfigFile)
	if file == nil {
		return nil, errors.Join(append(errs, o.Validate()...)...)
	}
	effective := NewOptions()
	own := effective.allFlags() // before apply, because making a flag sets its value
	effective.file, effective.given = file, sets.New[string]()
	if err := effective.apply(file.config); err != nil {
		return nil, err
	}
	if err := effective.override(own, flags); err != nil {
		return nil, err
	}
	return effective, errors.Join(append(errs, effective.Validate()...)...)
}

// allFlags returns the flags of all groups in one set.
func (o *Options) allFlags() *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	groups := o.Flags()
	for _, set := range groups.FlagSets {
		all.AddFlagSet(set)
	}
	return all
}

// override sets the flags of these options to the values that were given for others. A list replaces that of the file; of feature gates,
// those that are not named keep what the file says.
func (o *Options) override(own, given *pflag.FlagSet) (err error) {
	given.Visit(func(flag *pflag.Flag) {
		target := own.Lookup(flag.Name)
		if target == nil {
			return // --help and the like
		}
		o.given.Insert(flag.Name)
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			err = errors.Join(err, target.Value.(pflag.SliceValue).Replace(list.GetSlice()))
			return
		}
		if flag.Name == "vmodule" {
			o.Logging.VModule = nil // setting the flag appends
		}
		err = errors.Join(err, target.Value.Set(flag.Value.String()))
	})
	return err
}
