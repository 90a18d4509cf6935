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
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/taint-manager/taint-manager/pkg/audit"
)

// parse returns options from flags.
func parse(t *testing.T, args ...string) (*Options, error) {
	t.Helper()
	o := NewOptions()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	groups := o.Flags()
	for _, set := range groups.FlagSets {
		fs.AddFlagSet(set)
	}
	return o, fs.Parse(args)
}

func TestDefaultsAreValid(t *testing.T) {
	o, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if errs := o.Validate(); len(errs) > 0 {
		t.Error(errs)
	}
	if o.FeatureGate.Enabled(TaintTolerationComparisonOperators) {
		t.Error("comparison operators are on, as they are not in Kubernetes 1.36")
	}
}

func TestFlags(t *testing.T) {
	o, err := parse(t, "--kubeconfig=k", "--leader-elect=false", "--secure-port=0", "--bind-address=127.0.0.1",
		"--kube-api-qps=5", "--kube-api-burst=7", "--max-concurrent-evictions=3", "--evict-finished-pods",
		"--feature-gates=TaintTolerationComparisonOperators=true", "--v=4", "--logging-format=json", "--profiling",
		"--audit-log-path=-", "--audit-log-maxsize=5", "--audit-log-maxbackup=6", "--audit-log-maxage=7")
	if err != nil {
		t.Fatal(err)
	}
	if errs := o.Validate(); len(errs) > 0 {
		t.Error(errs)
	}
	if o.Kubeconfig != "k" || o.LeaderElection.LeaderElect || o.Serving.SecurePort != 0 || o.Serving.BindAddress.String() != "127.0.0.1" ||
		o.KubeAPIQPS != 5 || o.KubeAPIBurst != 7 || o.MaxConcurrentEvictions != 3 || !o.EvictFinishedPods ||
		!o.FeatureGate.Enabled(TaintTolerationComparisonOperators) || o.Logging.Format != "json" || !o.Serving.Profiling ||
		o.AuditLog != (audit.File{Path: "-", MaxSize: 5, MaxBackups: 6, MaxAge: 7}) {
		t.Errorf("got %+v", o)
	}
}

// A Lease stores whole seconds, and cannot be held with a duration of 0.
func TestLeaseDuration(t *testing.T) {
	for duration, right := range map[string]bool{"400ms": false, "999ms": false, "1s": true, "1500ms": true} {
		o, err := parse(t, "--leader-elect-lease-duration="+duration, "--leader-elect-renew-deadline=300ms", "--leader-elect-retry-period=100ms")
		if err != nil {
			t.Fatal(err)
		}
		if errs := o.Validate(); (len(errs) == 0) != right {
			t.Errorf("%s: %v", duration, errs)
		} else if !right && !strings.Contains(errs[0].Error(), "--leader-elect-lease-duration="+duration+": must be 1s or more") {
			t.Errorf("%s: %v does not say what to do", duration, errs)
		}
		if o, _ := parse(t, "--leader-elect=false", "--leader-elect-lease-duration="+duration); len(o.Validate()) > 0 {
			t.Errorf("%s matters without an election: %v", duration, o.Validate())
		}
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for flag, names := range map[string]string{
		"--audit-log-maxsize=0":               "audit-log-maxsize",
		"--audit-log-maxbackup=-1":            "audit-log-maxbackup",
		"--audit-log-maxage=-1":               "audit-log-maxage",
		"--kube-api-qps=-1":                   "kube-api-qps",
		"--kube-api-burst=-1":                 "kube-api-burst",
		"--max-concurrent-evictions=0":        "max-concurrent-evictions",
		"--secure-port=65536":                 "secure-port",
		"--tls-cert-file=c":                   "tls-private-key-file",
		"--leader-elect-lease-duration=5s":    "leader-elect-lease-duration",
		"--leader-elect-retry-period=0s":      "leader-elect-retry-period",
		"--leader-elect-resource-lock=pods":   "leader-elect-resource-lock",
		"--leader-elect-resource-name=":       "leader-elect-resource-name",
		"--feature-gates=NoSuchGate=true":     "NoSuchGate",
		"--secure-port=many":                  "secure-port",
		"--no-such-flag":                      "no-such-flag",
		"--leader-elect-resource-namespace=":  "leader-elect-resource-namespace",
		"--authorization-always-allow-paths":  "authorization-always-allow-paths",
		"--leader-elect-renew-deadline=100ms": "leader-elect-renew-deadline",
	} {
		o, err := parse(t, flag)
		text := ""
		if err != nil {
			text = err.Error()
		}
		for _, err := range o.Validate() {
			text += err.Error()
		}
		if !strings.Contains(text, names) {
			t.Errorf("%s: %q does not name %s", flag, text, names)
		}
	}
}
