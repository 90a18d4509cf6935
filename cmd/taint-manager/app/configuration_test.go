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
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

const (
	header = "apiVersion: config.taint-manager.io/v1alpha1\nkind: TaintManagerConfiguration\n"
	// alpha is the feature gate without which some settings of the log are refused.
	alpha = "LoggingAlphaOptions"
)

// inFile makes a directory the current one that has a file c.yaml, so that the messages about it are the same everywhere.
func inFile(t *testing.T, document string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("c.yaml", []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
}

// completed returns the effective options for some flags, and the text of the error.
func completed(t *testing.T, args ...string) (*Options, string) {
	t.Helper()
	o := NewOptions()
	flags := o.allFlags()
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	effective, err := o.complete(flags)
	if err != nil {
		return nil, err.Error()
	}
	return effective, ""
}

// printed returns the value of a field of the configuration that some flags make, in JSON.
func printed(t *testing.T, field string, args ...string) string {
	t.Helper()
	o, wrong := completed(t, args...)
	if wrong != "" {
		t.Fatal(wrong)
	}
	c, err := o.configuration()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	value, _, err := unstructured.NestedFieldNoCopy(fields, strings.Split(field, ".")...)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err = json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// written returns a configuration file with some fields, whose values are in JSON.
func written(t *testing.T, values map[string]string) string {
	t.Helper()
	fields := map[string]any{"apiVersion": v1alpha1.APIVersion, "kind": v1alpha1.Kind}
	for path, value := range values {
		if err := unstructured.SetNestedField(fields, nil, strings.Split(path, ".")...); err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(path, ".")
		parent, _, err := unstructured.NestedFieldNoCopy(fields, parts[:len(parts)-1]...)
		if err != nil {
			t.Fatal(err)
		}
		parent.(map[string]any)[parts[len(parts)-1]] = json.RawMessage(value)
	}
	document, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// fieldCase is a value of a field: as a flag, in a file, and as it is printed. other is another value that a file may have.
type fieldCase struct{ field, flag, inFile, printed, other string }

func fieldCases() []fieldCase {
	return []fieldCase{
		{"auditLog.path", "-", `"-"`, `"-"`, `"/var/log/a.log"`},
		{"auditLog.maxSizeMegabytes", "7", `7`, `7`, `8`},
		{"auditLog.maxBackups", "3", `3`, `3`, `0`},
		{"auditLog.maxAgeDays", "30", `30`, `30`, `0`},
		{"clientConnection.qps", "7.5", `7.5`, `7.5`, `3`},
		{"clientConnection.burst", "9", `9`, `9`, `4`},
		{"eviction.evictFinishedPods", "true", `true`, `true`, `false`},
		{"eviction.dryRun", "true", `true`, `true`, `false`},
		{"eviction.maxConcurrentEvictions", "77", `77`, `77`, `78`},
		{"eviction.taintStartConfigMap", "second", `"second"`, `"second"`, `"third"`},
		{"featureGates", "TaintTolerationComparisonOperators=true", `{"TaintTolerationComparisonOperators":true}`,
			`{"TaintTolerationComparisonOperators":true}`, `{"TaintTolerationComparisonOperators":false}`},
		{"leaderElection.leaderElect", "false", `false`, `false`, `true`},
		{"leaderElection.leaseDuration", "31s", `"31s"`, `"31s"`, `"40s"`},
		{"leaderElection.renewDeadline", "7s", `"7s"`, `"7s"`, `"8s"`},
		{"leaderElection.retryPeriod", "1s", `"1s"`, `"1s"`, `"3s"`},
		{"leaderElection.resourceLock", "leases", `"leases"`, `"leases"`, `"leases"`}, // there is no other
		{"leaderElection.resourceName", "lease", `"lease"`, `"lease"`, `"other"`},
		{"leaderElection.resourceNamespace", "space", `"space"`, `"space"`, `"other"`},
		{"logging.flushFrequency", "3s", `"3s"`, `"3s"`, `"4s"`},
		{"logging.format", "json", `"json"`, `"json"`, `"text"`},
		{"logging.options.json.infoBufferSize", "1Ki", `"1Ki"`, `"1Ki"`, `"2Ki"`},
		{"logging.options.json.splitStream", "true", `true`, `true`, `false`},
		{"logging.options.text.infoBufferSize", "3Ki", `"3Ki"`, `"3Ki"`, `"4Ki"`},
		{"logging.options.text.splitStream", "true", `true`, `true`, `false`},
		{"logging.verbosity", "4", `4`, `4`, `5`},
		{"logging.vmodule", "a=1,b=2", `[{"filePattern":"a","verbosity":1},{"filePattern":"b","verbosity":2}]`,
			`[{"filePattern":"a","verbosity":1},{"filePattern":"b","verbosity":2}]`, `[{"filePattern":"c","verbosity":3}]`},
		{"serving.authorizationAlwaysAllowPaths", "/a,/b", `["/a","/b"]`, `["/a","/b"]`, `["/c"]`},
		{"serving.bindAddress", "127.0.0.1", `"127.0.0.1"`, `"127.0.0.1"`, `"::1"`},
		{"serving.profiling", "true", `true`, `true`, `false`},
		{"serving.securePort", "0", `0`, `0`, `1`},
		{"serving.tlsCertFile", "c", `"c"`, `"c"`, `"d"`},
		{"serving.tlsPrivateKeyFile", "k", `"k"`, `"k"`, `"l"`},
	}
}

// besides are fields without which another one is refused.
func besides(field string) map[string]string {
	switch {
	case strings.HasPrefix(field, "logging.options."):
		return map[string]string{"featureGates": `{"LoggingAlphaOptions":true}`}
	case field == "serving.tlsCertFile":
		return map[string]string{"serving.tlsPrivateKeyFile": `"k"`}
	case field == "serving.tlsPrivateKeyFile":
		return map[string]string{"serving.tlsCertFile": `"c"`}
	}
	return map[string]string{}
}

// Each field of the file does what its flag does, and where both are given, the flag wins.
func TestFlagsAndFields(t *testing.T) {
	cases := fieldCases()
	if len(cases) != len(flagsByField()) {
		t.Errorf("%d fields have flags, and %d have a case here", len(flagsByField()), len(cases))
	}
	for _, test := range cases {
		t.Run(test.field, func(t *testing.T) {
			more := besides(test.field)
			args := []string{"--" + flagsByField()[test.field] + "=" + test.flag}
			for field, value := range more {
				value = strings.NewReplacer(`{"LoggingAlphaOptions":true}`, alpha+"=true", `"`, "").Replace(value)
				args = append(args, "--"+flagsByField()[field]+"="+value)
			}
			if got := printed(t, test.field, args...); got != test.printed {
				t.Errorf("by flag: got %s, want %s", got, test.printed)
			}
			fields := maps.Clone(more)
			fields[test.field] = test.inFile
			inFile(t, written(t, fields))
			if got := printed(t, test.field, "--config=c.yaml"); got != test.printed {
				t.Errorf("by file: got %s, want %s", got, test.printed)
			}
			fields[test.field] = test.other
			inFile(t, written(t, fields))
			if got := printed(t, test.field, "--config=c.yaml", args[0]); got != test.printed {
				t.Errorf("by both: got %s, want %s", got, test.printed)
			}
			if got := printed(t, test.field, "--config=c.yaml"); got == test.printed && test.field != "leaderElection.resourceLock" {
				t.Errorf("the file has another value: got %s", got)
			}
		})
	}
}

// What a flag may set, the file may set, and what the file may set and no flag, has a reason in flagsByField.
func TestEveryFlagHasAField(t *testing.T) {
	flags := slices.Sorted(maps.Values(flagsByField()))
	var got []string
	NewOptions().allFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "kubeconfig" {
			got = append(got, f.Name)
		}
	})
	if slices.Sort(got); !slices.Equal(got, flags) {
		t.Errorf("the flags are\n%v\nand those with a field are\n%v", got, flags)
	}
	fields := slices.Sorted(maps.Keys(flagsByField()))
	got = nil
	for _, field := range configurationLeaves() {
		if !strings.HasPrefix(field.path, "evictionBrake.") && !strings.HasPrefix(field.path, "nodePace.") {
			got = append(got, field.path)
		}
	}
	if slices.Sort(got); !slices.Equal(got, fields) {
		t.Errorf("the fields are\n%v\nand those with a flag are\n%v", got, fields)
	}
}

func TestFieldsWithoutFlags(t *testing.T) {
	inFile(t, written(t, map[string]string{
		"evictionBrake.minNodes": "3", "evictionBrake.windowSeconds": "4", "evictionBrake.cooldownSeconds": "5", "evictionBrake.ignoreTaints": `["a/b"]`,
		"nodePace.burst": "6",
	}))
	o, wrong := completed(t, "--config=c.yaml")
	if wrong != "" {
		t.Fatal(wrong)
	}
	if b := o.EvictionBrake; b.MinNodes != 3 || b.WindowSeconds != 4 || b.CooldownSeconds != 5 || !slices.Equal(b.IgnoreTaints, []string{"a/b"}) || b.MaxNodes.IntVal != 0 {
		t.Errorf("got %+v", b)
	}
	if o.NodePace.Burst != 6 || o.NodePace.NodesPerMinute != 0 {
		t.Errorf("got %+v", o.NodePace)
	}
}

// A field that is absent has the default of its flag, and so has everything in an empty file.
func TestAbsentFieldsHaveDefaults(t *testing.T) {
	inFile(t, header)
	for _, field := range configurationLeaves() {
		if got, want := printed(t, field.path, "--config=c.yaml"), printed(t, field.path); got != want {
			t.Errorf("%s: got %s with a file without fields, and %s without a file", field.path, got, want)
		}
	}
	if got := v1alpha1.Default().Eviction.MaxConcurrentEvictions; got != tainteviction.DefaultConcurrentEvictions {
		t.Errorf("the default is %d, and that of the controller is %d", got, tainteviction.DefaultConcurrentEvictions)
	}
}

// Feature gates of flags and file come together, gate by gate.
func TestFeatureGatesOfBoth(t *testing.T) {
	inFile(t, header+"featureGates: {LoggingBetaOptions: false, TaintTolerationComparisonOperators: true}\n")
	got := printed(t, "featureGates", "--config=c.yaml", "--feature-gates=LoggingBetaOptions=true,ContextualLogging=false")
	if want := `{"ContextualLogging":false,"LoggingBetaOptions":true,"TaintTolerationComparisonOperators":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A number that a field cannot hold must not become a valid one.
func TestNumbersBeyondFields(t *testing.T) {
	for flag, want := range map[string]string{
		"--max-concurrent-evictions=4294967297": "--max-concurrent-evictions=2147483647: must be from 1 to 1000",
		"--secure-port=4294967739":              "--secure-port=2147483647: must be 0 (off) or a port up to 65535",
		"--secure-port=-4294966853":             "--secure-port=-2147483648: must be 0 (off) or a port up to 65535",
	} {
		if _, got := completed(t, flag); got != want {
			t.Errorf("%s: got %q, want %q", flag, got, want)
		}
	}
}
