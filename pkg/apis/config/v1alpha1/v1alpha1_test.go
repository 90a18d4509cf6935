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
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func TestDefaultIsValid(t *testing.T) {
	if errs := Validate(Default()); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestDefault(t *testing.T) {
	encoded, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"TaintManagerConfiguration","apiVersion":"config.taint-manager.io/v1alpha1",` +
		`"auditLog":{"path":"","maxSizeMegabytes":100,"maxBackups":10,"maxAgeDays":0},` +
		`"clientConnection":{"qps":0,"burst":0},` +
		`"eviction":{"maxConcurrentEvictions":400,"evictFinishedPods":false,"dryRun":false,"taintStartConfigMap":"taint-manager-starts"},` +
		`"evictionBrake":{"maxNodes":0,"minNodes":10,"windowSeconds":600,"cooldownSeconds":60,` +
		`"ignoreTaints":["node.kubernetes.io/not-ready","node.kubernetes.io/unreachable","node.kubernetes.io/out-of-service"]},` +
		`"featureGates":{},` +
		`"leaderElection":{"leaderElect":true,"leaseDuration":"15s","renewDeadline":"10s","retryPeriod":"2s","resourceLock":"leases",` +
		`"resourceName":"taint-manager","resourceNamespace":"kube-system"},` +
		`"logging":{"format":"text","flushFrequency":"5s","verbosity":0,"options":{"text":{"infoBufferSize":"0"},"json":{"infoBufferSize":"0"}}},` +
		`"nodePace":{"nodesPerMinute":0,"burst":0},` +
		`"serving":{"bindAddress":"0.0.0.0","securePort":10290,"tlsCertFile":"","tlsPrivateKeyFile":"",` +
		`"authorizationAlwaysAllowPaths":["/healthz","/livez","/readyz"],"profiling":false}}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
}

func TestValidate(t *testing.T) {
	seconds := func(s float64) metav1.Duration {
		return metav1.Duration{Duration: time.Duration(s * float64(time.Second))}
	}
	for _, test := range []struct {
		name  string
		set   func(*TaintManagerConfiguration)
		field string // that the only error names; empty if it is valid
	}{
		{"no apiVersion", func(c *TaintManagerConfiguration) { c.APIVersion = "" }, "apiVersion"},
		{"another apiVersion", func(c *TaintManagerConfiguration) { c.APIVersion = "v1" }, "apiVersion"},
		{"no kind", func(c *TaintManagerConfiguration) { c.Kind = "" }, "kind"},
		{"the audit log on standard output", func(c *TaintManagerConfiguration) { c.AuditLog.Path = "-" }, ""},
		{"no size of a file", func(c *TaintManagerConfiguration) { c.AuditLog.MaxSizeMegabytes = 0 }, "auditLog.maxSizeMegabytes"},
		{"a terabyte", func(c *TaintManagerConfiguration) { c.AuditLog.MaxSizeMegabytes = 1000000 }, ""},
		{"a size in bytes", func(c *TaintManagerConfiguration) { c.AuditLog.MaxSizeMegabytes = 1000001 }, "auditLog.maxSizeMegabytes"},
		{"all files for ever", func(c *TaintManagerConfiguration) { c.AuditLog.MaxBackups, c.AuditLog.MaxAgeDays = 0, 0 }, ""},
		{"less than no file", func(c *TaintManagerConfiguration) { c.AuditLog.MaxBackups = -1 }, "auditLog.maxBackups"},
		{"less than a day", func(c *TaintManagerConfiguration) { c.AuditLog.MaxAgeDays = -1 }, "auditLog.maxAgeDays"},
		{"qps below 0", func(c *TaintManagerConfiguration) { c.ClientConnection.QPS = -0.5 }, "clientConnection.qps"},
		{"qps that is no number", func(c *TaintManagerConfiguration) { c.ClientConnection.QPS = float32(math.NaN()) }, "clientConnection.qps"},
		{"burst below 0", func(c *TaintManagerConfiguration) { c.ClientConnection.Burst = -1 }, "clientConnection.burst"},
		{"one eviction at a time", func(c *TaintManagerConfiguration) { c.Eviction.MaxConcurrentEvictions = 1 }, ""},
		{"none at a time", func(c *TaintManagerConfiguration) { c.Eviction.MaxConcurrentEvictions = 0 }, "eviction.maxConcurrentEvictions"},
		{"1000 at a time", func(c *TaintManagerConfiguration) { c.Eviction.MaxConcurrentEvictions = 1000 }, ""},
		{"1001 at a time", func(c *TaintManagerConfiguration) { c.Eviction.MaxConcurrentEvictions = 1001 }, "eviction.maxConcurrentEvictions"},
		{"no ConfigMap", func(c *TaintManagerConfiguration) { c.Eviction.TaintStartConfigMap = "" }, ""},
		{"a name that no ConfigMap has", func(c *TaintManagerConfiguration) { c.Eviction.TaintStartConfigMap = "A" }, "eviction.taintStartConfigMap"},
		{"a number of nodes", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromInt32(1 << 30) }, ""},
		{"a number below 0", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromInt32(-1) }, "evictionBrake.maxNodes"},
		{"no share", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("0%") }, ""},
		{"all nodes", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("100%") }, ""},
		{"more than all", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("101%") }, "evictionBrake.maxNodes"},
		{"more than an int", func(c *TaintManagerConfiguration) {
			c.EvictionBrake.MaxNodes = intstr.FromString("99999999999999999999%")
		}, "evictionBrake.maxNodes"},
		{"a share below 0", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("-1%") }, "evictionBrake.maxNodes"},
		{"a fraction of a percent", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("1.5%") }, "evictionBrake.maxNodes"},
		{"no percent sign", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("5") }, "evictionBrake.maxNodes"},
		{"nothing", func(c *TaintManagerConfiguration) { c.EvictionBrake.MaxNodes = intstr.FromString("") }, "evictionBrake.maxNodes"},
		{"minNodes 0", func(c *TaintManagerConfiguration) { c.EvictionBrake.MinNodes = 0 }, ""},
		{"minNodes below 0", func(c *TaintManagerConfiguration) { c.EvictionBrake.MinNodes = -1 }, "evictionBrake.minNodes"},
		{"no window", func(c *TaintManagerConfiguration) { c.EvictionBrake.WindowSeconds = 0 }, "evictionBrake.windowSeconds"},
		{"a window of a day", func(c *TaintManagerConfiguration) { c.EvictionBrake.WindowSeconds = 86400 }, ""},
		{"a window of more than a day", func(c *TaintManagerConfiguration) { c.EvictionBrake.WindowSeconds = 86401 }, "evictionBrake.windowSeconds"},
		{"no cooldown", func(c *TaintManagerConfiguration) { c.EvictionBrake.CooldownSeconds = 0 }, ""},
		{"a cooldown below 0", func(c *TaintManagerConfiguration) { c.EvictionBrake.CooldownSeconds = -1 }, "evictionBrake.cooldownSeconds"},
		{"a cooldown of more than a day", func(c *TaintManagerConfiguration) { c.EvictionBrake.CooldownSeconds = 86401 }, "evictionBrake.cooldownSeconds"},
		{"no taints to ignore", func(c *TaintManagerConfiguration) { c.EvictionBrake.IgnoreTaints = nil }, ""},
		{"an empty key", func(c *TaintManagerConfiguration) { c.EvictionBrake.IgnoreTaints = []string{"a", ""} }, "evictionBrake.ignoreTaints[1]"},
		{"a taint for a key", func(c *TaintManagerConfiguration) { c.EvictionBrake.IgnoreTaints = []string{"a=b:NoExecute"} }, "evictionBrake.ignoreTaints[0]"},
		{"a key twice", func(c *TaintManagerConfiguration) { c.EvictionBrake.IgnoreTaints = []string{"a", "b", "a"} }, "evictionBrake.ignoreTaints[2]"},
		{"a short lease", func(c *TaintManagerConfiguration) {
			c.LeaderElection.LeaseDuration, c.LeaderElection.RenewDeadline, c.LeaderElection.RetryPeriod = seconds(0.999), seconds(0.5), seconds(0.1)
		}, "leaderElection.leaseDuration"},
		{"a deadline as long as the lease", func(c *TaintManagerConfiguration) { c.LeaderElection.RenewDeadline = seconds(15) }, "leaderElection.leaseDuration"},
		{"no retry", func(c *TaintManagerConfiguration) { c.LeaderElection.RetryPeriod = seconds(0) }, "leaderElection.retryPeriod"},
		{"a retry too late", func(c *TaintManagerConfiguration) { c.LeaderElection.RetryPeriod = seconds(8.4) }, "leaderElection.retryPeriod"},
		{"another lock", func(c *TaintManagerConfiguration) { c.LeaderElection.ResourceLock = "endpoints" }, "leaderElection.resourceLock"},
		{"no name", func(c *TaintManagerConfiguration) { c.LeaderElection.ResourceName = "" }, "leaderElection.resourceName"},
		{"no namespace", func(c *TaintManagerConfiguration) { c.LeaderElection.ResourceNamespace = "" }, "leaderElection.resourceNamespace"},
		{"no election, where the rest is not read", func(c *TaintManagerConfiguration) {
			c.LeaderElection.LeaderElect, c.LeaderElection.ResourceName, c.LeaderElection.LeaseDuration = ptr.To(false), "", seconds(0)
		}, ""},
		{"a pace below 0", func(c *TaintManagerConfiguration) { c.NodePace.NodesPerMinute = -1 }, "nodePace.nodesPerMinute"},
		{"a burst of nodes below 0", func(c *TaintManagerConfiguration) { c.NodePace.Burst = -1 }, "nodePace.burst"},
		{"an address of IPv6", func(c *TaintManagerConfiguration) { c.Serving.BindAddress = "::1" }, ""},
		{"no address", func(c *TaintManagerConfiguration) { c.Serving.BindAddress = "" }, "serving.bindAddress"},
		{"a host name", func(c *TaintManagerConfiguration) { c.Serving.BindAddress = "localhost" }, "serving.bindAddress"},
		{"no port", func(c *TaintManagerConfiguration) { c.Serving.SecurePort = 0 }, ""},
		{"a port below 0", func(c *TaintManagerConfiguration) { c.Serving.SecurePort = -1 }, "serving.securePort"},
		{"a port too high", func(c *TaintManagerConfiguration) { c.Serving.SecurePort = 65536 }, "serving.securePort"},
		{"a certificate alone", func(c *TaintManagerConfiguration) { c.Serving.TLSCertFile = "c" }, "serving.tlsCertFile"},
		{"a key alone", func(c *TaintManagerConfiguration) { c.Serving.TLSPrivateKeyFile = "k" }, "serving.tlsCertFile"},
		{"both", func(c *TaintManagerConfiguration) { c.Serving.TLSCertFile, c.Serving.TLSPrivateKeyFile = "c", "k" }, ""},
		{"a path that no request has", func(c *TaintManagerConfiguration) { c.Serving.AuthorizationAlwaysAllowPaths = []string{"healthz"} }, "serving.authorizationAlwaysAllowPaths[0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Default()
			test.set(c)
			errs := Validate(c)
			switch {
			case test.field == "" && len(errs) > 0:
				t.Errorf("refused: %v", errs)
			case test.field != "" && (len(errs) != 1 || errs[0].Field != test.field || errs[0].Detail == "" && errs[0].Type != "FieldValueDuplicate"):
				t.Errorf("got %v, want one error of %s", errs, test.field)
			}
		})
	}
}

func TestBrakeEnabled(t *testing.T) {
	for _, test := range []struct {
		maxNodes intstr.IntOrString
		want     bool
	}{
		{intstr.FromInt32(0), false}, {intstr.FromInt32(1), true}, {intstr.FromString("0%"), false}, {intstr.FromString("1%"), true},
		{intstr.FromString("100%"), true}, {intstr.FromString("101%"), false}, {intstr.FromString("many"), false}, {intstr.FromInt32(-1), false},
	} {
		if got := (&EvictionBrakeConfiguration{MaxNodes: test.maxNodes}).Enabled(); got != test.want {
			t.Errorf("%s: got %v", test.maxNodes.String(), got)
		}
	}
}

// A field that is empty is printed like any other, so that what is printed shows everything there is.
func TestNamesInJSON(t *testing.T) {
	var check func(of reflect.Type)
	check = func(of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous {
				continue
			}
			if name == "" || options != "" || strings.ToLower(name[:1]) != name[:1] {
				t.Errorf("%s.%s has the tag %q: a field must have a name in lower camel case and be printed when it is empty", of.Name(), field.Name, field.Tag)
			}
			if field.Type.Kind() == reflect.Struct && field.Type.PkgPath() == of.PkgPath() {
				check(field.Type)
			}
		}
	}
	check(reflect.TypeFor[TaintManagerConfiguration]())
}
