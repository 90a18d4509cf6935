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
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	componentconfig "k8s.io/component-base/config/v1alpha1"
)

// maxSeconds bounds the times of the brake to a day, so that a typing error is noticed.
const maxSeconds = 24 * 60 * 60

// Validate returns all that is wrong with a configuration, apart from featureGates and logging: what is right there depends on the
// gates that the process has. Where a message names another field, it gives the whole path of it.
func Validate(c *TaintManagerConfiguration) (errs field.ErrorList) {
	errs = append(errs, validateType(c)...)
	errs = append(errs, validateAuditLog(&c.AuditLog, field.NewPath("auditLog"))...)
	errs = append(errs, validateClientConnection(&c.ClientConnection, field.NewPath("clientConnection"))...)
	errs = append(errs, validateEviction(&c.Eviction, field.NewPath("eviction"))...)
	errs = append(errs, validateEvictionBrake(&c.EvictionBrake, field.NewPath("evictionBrake"))...)
	errs = append(errs, validateLeaderElection(&c.LeaderElection, field.NewPath("leaderElection"))...)
	errs = append(errs, validateNodePace(&c.NodePace, field.NewPath("nodePace"))...)
	return append(errs, validateServing(&c.Serving, field.NewPath("serving"))...)
}

func validateType(c *TaintManagerConfiguration) (errs field.ErrorList) {
	for _, of := range []struct{ field, is, must string }{{"apiVersion", c.APIVersion, APIVersion}, {"kind", c.Kind, Kind}} {
		switch path := field.NewPath(of.field); of.is {
		case of.must:
		case "":
			errs = append(errs, field.Required(path, "must be "+of.must))
		default:
			errs = append(errs, field.Invalid(path, of.is, "must be "+of.must))
		}
	}
	return errs
}

// maxMegabytes bounds the size of a file of the audit log to a terabyte, so that a size in bytes is noticed.
const maxMegabytes = 1_000_000

func validateAuditLog(c *AuditLogConfiguration, path *field.Path) (errs field.ErrorList) {
	if c.MaxSizeMegabytes < 1 || c.MaxSizeMegabytes > maxMegabytes {
		errs = append(errs, field.Invalid(path.Child("maxSizeMegabytes"), c.MaxSizeMegabytes, fmt.Sprintf("must be from 1 to %d", maxMegabytes)))
	}
	if c.MaxBackups < 0 {
		errs = append(errs, field.Invalid(path.Child("maxBackups"), c.MaxBackups, "must be 0 (no limit) or more"))
	}
	if c.MaxAgeDays < 0 {
		errs = append(errs, field.Invalid(path.Child("maxAgeDays"), c.MaxAgeDays, "must be 0 (no limit) or more"))
	}
	return errs
}

func validateClientConnection(c *ClientConnectionConfiguration, path *field.Path) (errs field.ErrorList) {
	if !(c.QPS >= 0) { // also if it is not a number
		errs = append(errs, field.Invalid(path.Child("qps"), c.QPS, "must be 0 (no limit) or more"))
	}
	if c.Burst < 0 {
		errs = append(errs, field.Invalid(path.Child("burst"), c.Burst, "must be 0 (twice clientConnection.qps) or more"))
	}
	return errs
}

func validateEviction(c *EvictionConfiguration, path *field.Path) (errs field.ErrorList) {
	if c.MaxConcurrentEvictions < 1 || c.MaxConcurrentEvictions > 1000 {
		errs = append(errs, field.Invalid(path.Child("maxConcurrentEvictions"), c.MaxConcurrentEvictions, "must be from 1 to 1000"))
	}
	if wrong := validation.IsDNS1123Subdomain(c.TaintStartConfigMap); c.TaintStartConfigMap != "" && len(wrong) > 0 {
		errs = append(errs, field.Invalid(path.Child("taintStartConfigMap"), c.TaintStartConfigMap,
			"must be the name of a ConfigMap, or empty: "+strings.Join(wrong, "; ")))
	}
	return errs
}

func validateEvictionBrake(c *EvictionBrakeConfiguration, path *field.Path) (errs field.ErrorList) {
	if !validMaxNodes(c.MaxNodes) {
		errs = append(errs, field.Invalid(path.Child("maxNodes"), c.MaxNodes.String(), "must be a number of 0 (off) or more, or a percentage from 0% to 100%"))
	}
	if c.MinNodes < 0 {
		errs = append(errs, field.Invalid(path.Child("minNodes"), c.MinNodes, "must be 0 or more"))
	}
	if c.WindowSeconds < 1 || c.WindowSeconds > maxSeconds {
		errs = append(errs, field.Invalid(path.Child("windowSeconds"), c.WindowSeconds, fmt.Sprintf("must be from 1 to %d", maxSeconds)))
	}
	if c.CooldownSeconds < 0 || c.CooldownSeconds > maxSeconds {
		errs = append(errs, field.Invalid(path.Child("cooldownSeconds"), c.CooldownSeconds, fmt.Sprintf("must be from 0 to %d", maxSeconds)))
	}
	seen := sets.New[string]()
	for i, key := range c.IgnoreTaints {
		at := path.Child("ignoreTaints").Index(i)
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			errs = append(errs, field.Invalid(at, key, "must be the key of a taint: "+strings.Join(wrong, "; ")))
		}
		if seen.Has(key) {
			errs = append(errs, field.Duplicate(at, key))
		}
		seen.Insert(key)
	}
	return errs
}

// validMaxNodes reports whether maxNodes is a number or a percentage.
func validMaxNodes(limit intstr.IntOrString) bool {
	if limit.Type == intstr.Int {
		return limit.IntVal >= 0
	}
	if len(validation.IsValidPercent(limit.StrVal)) > 0 {
		return false
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(limit.StrVal, "%"))
	return err == nil && percent <= 100
}

// Enabled reports whether the brake can go on at all. It is false for a maxNodes that is not valid.
func (c *EvictionBrakeConfiguration) Enabled() bool {
	of100, err := intstr.GetScaledValueFromIntOrPercent(&c.MaxNodes, 100, false)
	return err == nil && of100 > 0 && validMaxNodes(c.MaxNodes)
}

func validateLeaderElection(c *componentconfig.LeaderElectionConfiguration, path *field.Path) (errs field.ErrorList) {
	if c.LeaderElect != nil && !*c.LeaderElect {
		return nil // nothing reads the rest
	}
	// The Lease stores whole seconds, and the API server rejects 0.
	if c.LeaseDuration.Duration < time.Second {
		errs = append(errs, field.Invalid(path.Child("leaseDuration"), c.LeaseDuration,
			"must be 1s or more: a Lease stores whole seconds, and a fraction is cut off"))
	}
	if c.LeaseDuration.Duration <= c.RenewDeadline.Duration {
		errs = append(errs, field.Invalid(path.Child("leaseDuration"), c.LeaseDuration, "must be longer than leaderElection.renewDeadline"))
	}
	if c.RetryPeriod.Duration <= 0 || c.RenewDeadline.Seconds() <= 1.2*c.RetryPeriod.Seconds() {
		errs = append(errs, field.Invalid(path.Child("retryPeriod"), c.RetryPeriod,
			"must be above 0, and leaderElection.renewDeadline longer than 1.2 times it"))
	}
	if c.ResourceLock != "leases" {
		errs = append(errs, field.Invalid(path.Child("resourceLock"), c.ResourceLock, "only leases are supported"))
	}
	if c.ResourceName == "" {
		errs = append(errs, field.Required(path.Child("resourceName"), "must be set, to the name of the Lease"))
	}
	if c.ResourceNamespace == "" {
		errs = append(errs, field.Required(path.Child("resourceNamespace"), "must be set, to the namespace of the Lease"))
	}
	return errs
}

func validateNodePace(c *NodePaceConfiguration, path *field.Path) (errs field.ErrorList) {
	if c.NodesPerMinute < 0 {
		errs = append(errs, field.Invalid(path.Child("nodesPerMinute"), c.NodesPerMinute, "must be 0 (no limit) or more"))
	}
	if c.Burst < 0 {
		errs = append(errs, field.Invalid(path.Child("burst"), c.Burst, "must be 0 (for 1) or more"))
	}
	return errs
}

func validateServing(c *ServingConfiguration, path *field.Path) (errs field.ErrorList) {
	if net.ParseIP(c.BindAddress) == nil {
		errs = append(errs, field.Invalid(path.Child("bindAddress"), c.BindAddress, "must be an IP address, such as 0.0.0.0 or ::"))
	}
	if c.SecurePort < 0 || c.SecurePort > 65535 {
		errs = append(errs, field.Invalid(path.Child("securePort"), c.SecurePort, "must be 0 (off) or a port up to 65535"))
	}
	if (c.TLSCertFile == "") != (c.TLSPrivateKeyFile == "") {
		errs = append(errs, field.Invalid(path.Child("tlsCertFile"), c.TLSCertFile, "must be given together with serving.tlsPrivateKeyFile, or neither"))
	}
	for i, allowed := range c.AuthorizationAlwaysAllowPaths {
		if !strings.HasPrefix(allowed, "/") {
			errs = append(errs, field.Invalid(path.Child("authorizationAlwaysAllowPaths").Index(i), allowed, "must begin with /"))
		}
	}
	return errs
}
