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
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestWrongFiles(t *testing.T) {
	for _, test := range []struct{ name, document, want string }{
		{"empty", "", `c.yaml:1: apiVersion: Required value: must be config.taint-manager.io/v1alpha1
c.yaml:1: kind: Required value: must be TaintManagerConfiguration`},
		{"another kind", "apiVersion: config.taint-manager.io/v2\nkind: Other\n",
			`c.yaml:1: apiVersion: Invalid value: "config.taint-manager.io/v2": must be config.taint-manager.io/v1alpha1
c.yaml:2: kind: Invalid value: "Other": must be TaintManagerConfiguration`},
		{"not a mapping", "- a\n", `c.yaml:1: must be a mapping, is a list`},
		{"two documents, the first wrong too", header + "serving: {securePort: -1}\n---\n" + header,
			`c.yaml:3: serving.securePort: Invalid value: -1: must be 0 (off) or a port up to 65535
c.yaml:4: must be one document, and here begins another`},
		{"unknown", header + "evictionBreak: {}\n", `c.yaml:3: evictionBreak: unknown field`},
		{"unknown below", header + "evictionBrake:\n  maxnodes: 3\n", `c.yaml:4: evictionBrake.maxnodes: unknown field, it is maxNodes`},
		{"duplicate", header + "eviction:\n  maxConcurrentEvictions: 3\n  maxConcurrentEvictions: 4\n",
			`c.yaml:5: eviction.maxConcurrentEvictions: duplicate field, it is also in line 4`},
		{"kubeconfig", header + "clientConnection: {kubeconfig: k}\n", `c.yaml:3: clientConnection.kubeconfig: unknown field`},
		{"audit log", header + "auditLog: {maxSizeMegabytes: 0, maxBackups: -1, maxAgeDays: -2}\n",
			`c.yaml:3: auditLog.maxSizeMegabytes: Invalid value: 0: must be from 1 to 1000000
c.yaml:3: auditLog.maxBackups: Invalid value: -1: must be 0 (no limit) or more
c.yaml:3: auditLog.maxAgeDays: Invalid value: -2: must be 0 (no limit) or more`},
		{"qps", header + "clientConnection: {qps: -1}\n", `c.yaml:3: clientConnection.qps: Invalid value: -1: must be 0 (no limit) or more`},
		{"burst", header + "clientConnection: {burst: -1}\n",
			`c.yaml:3: clientConnection.burst: Invalid value: -1: must be 0 (twice clientConnection.qps) or more`},
		{"too few at once", header + "eviction: {maxConcurrentEvictions: 0}\n",
			`c.yaml:3: eviction.maxConcurrentEvictions: Invalid value: 0: must be from 1 to 1000`},
		{"too many at once", header + "eviction: {maxConcurrentEvictions: 1001}\n",
			`c.yaml:3: eviction.maxConcurrentEvictions: Invalid value: 1001: must be from 1 to 1000`},
		{"a gate that does not exist", header + "featureGates:\n  ContextualLogging: true\n  NoSuchGate: true\n",
			`c.yaml:5: featureGates[NoSuchGate]: Invalid value: true: unrecognized feature gate: NoSuchGate`},
		{"a gate that is neither on nor off", header + "featureGates:\n  ContextualLogging: on\n",
			`c.yaml:4: featureGates[ContextualLogging]: Invalid value: "on": must be true or false`},
		{"lease", header + "leaderElection:\n  leaseDuration: 400ms\n  renewDeadline: 300ms\n  retryPeriod: 100ms\n",
			`c.yaml:4: leaderElection.leaseDuration: Invalid value: "400ms": must be 1s or more: a Lease stores whole seconds, and a fraction is cut off`},
		{"deadline longer than the lease, which is the default", header + "leaderElection:\n  renewDeadline: 20s\n",
			`c.yaml:3: leaderElection.leaseDuration: Invalid value: "15s": must be longer than leaderElection.renewDeadline`},
		{"retry", header + "leaderElection: {retryPeriod: 9s}\n",
			`c.yaml:3: leaderElection.retryPeriod: Invalid value: "9s": must be above 0, and leaderElection.renewDeadline longer than 1.2 times it`},
		{"lock", header + "leaderElection: {resourceLock: endpoints}\n", `c.yaml:3: leaderElection.resourceLock: Invalid value: "endpoints": only leases are supported`},
		{"no name, no namespace", header + "leaderElection:\n  resourceName: ''\n  resourceNamespace: ''\n",
			`c.yaml:4: leaderElection.resourceName: Required value: must be set, to the name of the Lease
c.yaml:5: leaderElection.resourceNamespace: Required value: must be set, to the namespace of the Lease`},
		{"log format", header + "logging: {format: xml}\n", `c.yaml:3: logging.format: Invalid value: "xml": Unsupported log format`},
		{"vmodule without text", header + "logging:\n  format: json\n  vmodule:\n  - {filePattern: a, verbosity: 1}\n",
			`c.yaml:5: logging.vmodule: Forbidden: Only supported for text log format`},
		{"a setting without its gate", header + "logging:\n  options:\n    text:\n      splitStream: true\n",
			`c.yaml:6: logging.options.text.splitStream: Forbidden: Feature LoggingAlphaOptions is disabled`},
		{"address", header + "serving: {bindAddress: localhost}\n", `c.yaml:3: serving.bindAddress: Invalid value: "localhost": must be an IP address, such as 0.0.0.0 or ::`},
		{"port", header + "serving: {securePort: 65536}\n", `c.yaml:3: serving.securePort: Invalid value: 65536: must be 0 (off) or a port up to 65535`},
		{"certificate without key", header + "serving: {tlsCertFile: c}\n",
			`c.yaml:3: serving.tlsCertFile: Invalid value: "c": must be given together with serving.tlsPrivateKeyFile, or neither`},
		{"key without certificate", header + "serving: {tlsPrivateKeyFile: k}\n",
			`c.yaml:3: serving.tlsCertFile: Invalid value: "": must be given together with serving.tlsPrivateKeyFile, or neither`},
		{"path", header + "serving:\n  authorizationAlwaysAllowPaths:\n  - /healthz\n  - livez\n",
			`c.yaml:6: serving.authorizationAlwaysAllowPaths[1]: Invalid value: "livez": must begin with /`},
		{"share", header + "evictionBrake: {maxNodes: 101%}\n",
			`c.yaml:3: evictionBrake.maxNodes: Invalid value: "101%": must be a number of 0 (off) or more, or a percentage from 0% to 100%`},
		{"number in quotes", header + "evictionBrake: {maxNodes: \"5\"}\n",
			`c.yaml:3: evictionBrake.maxNodes: Invalid value: "5": must be a number of 0 (off) or more, or a percentage from 0% to 100%`},
		{"window", header + "evictionBrake: {windowSeconds: 0, cooldownSeconds: 86401, minNodes: -1}\n",
			`c.yaml:3: evictionBrake.minNodes: Invalid value: -1: must be 0 or more
c.yaml:3: evictionBrake.windowSeconds: Invalid value: 0: must be from 1 to 86400
c.yaml:3: evictionBrake.cooldownSeconds: Invalid value: 86401: must be from 0 to 86400`},
		{"taint twice", header + "evictionBrake:\n  ignoreTaints: [a/b, a/b]\n", `c.yaml:4: evictionBrake.ignoreTaints[1]: Duplicate value: "a/b"`},
		{"pace", header + "nodePace: {nodesPerMinute: -1, burst: -2}\n",
			`c.yaml:3: nodePace.nodesPerMinute: Invalid value: -1: must be 0 (no limit) or more
c.yaml:3: nodePace.burst: Invalid value: -2: must be 0 (for 1) or more`},
		{"everything at once, in order", "kind: TaintManagerConfiguration\nserving:\n  securePort: -1\n  port: 3\nclientConnection:\n  qps: fast\n  burst: -1\nserving: {}\n",
			`c.yaml:1: apiVersion: Required value: must be config.taint-manager.io/v1alpha1
c.yaml:3: serving.securePort: Invalid value: -1: must be 0 (off) or a port up to 65535
c.yaml:4: serving.port: unknown field
c.yaml:6: clientConnection.qps: Invalid value: "fast": must be a number
c.yaml:7: clientConnection.burst: Invalid value: -1: must be 0 (twice clientConnection.qps) or more
c.yaml:8: serving: duplicate field, it is also in line 2`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFile(t, test.document)
			_, errs := readConfig("c.yaml")
			if got := text(errors.Join(errs...)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if _, got := completed(t, "--config=c.yaml"); got != test.want {
				t.Errorf("by --config: got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What is wrong with flags, with the file, and with both together is said at once, and once, and each where it can be put right.
func TestWrongFlagsWithAFile(t *testing.T) {
	for _, test := range []struct {
		name, document string
		args           []string
		want           string
	}{
		{"flag", "", []string{"--secure-port=-1"}, "--secure-port=-1: must be 0 (off) or a port up to 65535"},
		{"flag and file", "serving:\n  securePort: -2\n", []string{"--kube-api-qps=-1"},
			"c.yaml:4: serving.securePort: Invalid value: -2: must be 0 (off) or a port up to 65535\n--kube-api-qps=-1: must be 0 (no limit) or more"},
		{"flag that does not go with the file", "leaderElection:\n  renewDeadline: 12s\n", []string{"--leader-elect-lease-duration=11s"},
			"--leader-elect-lease-duration=11s: must be longer than --leader-elect-renew-deadline"},
		{"file that does not go with a flag", "leaderElection:\n  leaseDuration: 12s\n", []string{"--leader-elect-renew-deadline=13s"},
			`c.yaml:4: leaderElection.leaseDuration: Invalid value: "12s": must be longer than leaderElection.renewDeadline`},
		{"default that does not go with a flag", "serving: {}\n", []string{"--leader-elect-renew-deadline=16s"},
			`c.yaml:1: leaderElection.leaseDuration: Invalid value: "15s": must be longer than leaderElection.renewDeadline`},
		{"flag that needs a gate", "", []string{"--log-text-split-stream"}, "--log-text-split-stream: Feature LoggingAlphaOptions is disabled"},
		{"a list", "", []string{"--authorization-always-allow-paths=/a,b"}, "--authorization-always-allow-paths=b: must begin with /"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFile(t, header+test.document)
			if _, got := completed(t, append(test.args, "--config=c.yaml")...); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// run runs the command as Main does.
func run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	cmd := NewCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	code = report(cmd.Execute(), &errs)
	return out.String(), errs.String(), code
}

func TestConfigCommands(t *testing.T) {
	for _, test := range []struct {
		args   []string
		stdout string
		stderr string
		code   int
	}{
		{[]string{"config", "validate", "good.yaml"}, "good.yaml is valid\n", "", 0},
		{[]string{"config", "validate", "bad.yaml"}, "", "taint-manager: bad.yaml:3: a: unknown field\ntaint-manager: bad.yaml:4: b: unknown field\nSee taint-manager --help.\n", 2},
		{[]string{"config", "validate", "none.yaml"}, "", "taint-manager: cannot read the configuration file: open none.yaml: no such file or directory\nSee taint-manager --help.\n", 2},
		{[]string{"config", "validate"}, "", "taint-manager: config validate: takes one file, not 0\nSee taint-manager --help.\n", 2},
		{[]string{"config", "validate", "a", "b"}, "", "taint-manager: config validate: takes one file, not 2\nSee taint-manager --help.\n", 2},
		{[]string{"config"}, "", "taint-manager: config: give a command, validate or print\nSee taint-manager --help.\n", 2},
		{[]string{"config", "check"}, "", "taint-manager: config: no command \"check\": give validate or print\nSee taint-manager --help.\n", 2},
		{[]string{"config", "print", "x"}, "", "taint-manager: takes flags only, not [\"x\"]\nSee taint-manager --help.\n", 2},
		{[]string{"config", "print", "--config=bad.yaml", "--secure-port=-1"}, "",
			"taint-manager: bad.yaml:3: a: unknown field\ntaint-manager: bad.yaml:4: b: unknown field\ntaint-manager: --secure-port=-1: must be 0 (off) or a port up to 65535\nSee taint-manager --help.\n", 2},
		{[]string{"config", "print", "--no-such-flag"}, "", "taint-manager: unknown flag: --no-such-flag\nSee taint-manager --help.\n", 2},
		{[]string{"--config=bad.yaml"}, "", "taint-manager: bad.yaml:3: a: unknown field\ntaint-manager: bad.yaml:4: b: unknown field\nSee taint-manager --help.\n", 2},
		{[]string{"--config=none.yaml", "--secure-port=-1"}, "",
			"taint-manager: cannot read the configuration file: open none.yaml: no such file or directory\ntaint-manager: --secure-port=-1: must be 0 (off) or a port up to 65535\nSee taint-manager --help.\n", 2},
		{[]string{"other"}, "", "taint-manager: takes flags only, not [\"other\"]\nSee taint-manager --help.\n", 2},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, body := range map[string]string{"good.yaml": "", "bad.yaml": "a: 1\nb: 2\n"} {
				if err := os.WriteFile(name, []byte(header+body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			stdout, stderr, code := run(test.args...)
			if stdout != test.stdout || stderr != test.stderr || code != test.code {
				t.Errorf("got %q and %q and code %d\nwant %q and %q and code %d", stdout, stderr, code, test.stdout, test.stderr, test.code)
			}
		})
	}
}

func TestConfigPrint(t *testing.T) {
	inFile(t, header+`
featureGates: {TaintTolerationComparisonOperators: true}
logging: {vmodule: [{filePattern: "a*", verbosity: 7}]}
serving: {bindAddress: "::", securePort: 1234}
`)
	const want = `apiVersion: config.taint-manager.io/v1alpha1
auditLog:
  maxAgeDays: 0
  maxBackups: 10
  maxSizeMegabytes: 100
  path: ""
clientConnection:
  burst: 0
  qps: 2.5
eviction:
  dryRun: false
  evictFinishedPods: true
  maxConcurrentEvictions: 400
  taintStartConfigMap: taint-manager-starts
evictionBrake:
  cooldownSeconds: 60
  ignoreTaints:
  - node.kubernetes.io/not-ready
  - node.kubernetes.io/unreachable
  - node.kubernetes.io/out-of-service
  maxNodes: 0
  minNodes: 10
  windowSeconds: 600
featureGates:
  TaintTolerationComparisonOperators: true
kind: TaintManagerConfiguration
leaderElection:
  leaderElect: true
  leaseDuration: 15s
  renewDeadline: 10s
  resourceLock: leases
  resourceName: taint-manager
  resourceNamespace: kube-system
  retryPeriod: 2s
logging:
  flushFrequency: 5s
  format: text
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 2
  vmodule:
  - filePattern: a*
    verbosity: 7
nodePace:
  burst: 0
  nodesPerMinute: 0
serving:
  authorizationAlwaysAllowPaths:
  - /healthz
  - /livez
  - /readyz
  bindAddress: '::'
  profiling: false
  securePort: 4321
  tlsCertFile: ""
  tlsPrivateKeyFile: ""
`
	got, stderr, code := run("config", "print", "--config=c.yaml", "--v=2", "--kube-api-qps=2.5", "--evict-finished-pods", "--secure-port", "4321")
	if got != want || stderr != "" || code != 0 {
		t.Fatalf("got\n%s%swith code %d, want\n%s", got, stderr, code, want)
	}
	// What is printed is valid, and it prints itself.
	inFile(t, got)
	if stdout, stderr, code := run("config", "validate", "c.yaml"); stdout != "c.yaml is valid\n" {
		t.Errorf("what was printed is not valid: %q and %q with code %d", stdout, stderr, code)
	}
	if again, stderr, code := run("config", "print", "--config", "c.yaml"); again != got || code != 0 {
		t.Errorf("what was printed prints\n%s%s", again, stderr)
	}
}

// Flags may stand before the command, as everywhere.
func TestConfigPrintWithFlagsBeforeIt(t *testing.T) {
	if stdout, stderr, code := run("--secure-port", "4321", "config", "print"); code != 0 || !strings.Contains(stdout, "securePort: 4321\n") {
		t.Errorf("got %s%s with code %d", stdout, stderr, code)
	}
}

func TestConfigHelp(t *testing.T) {
	for want, args := range map[string][]string{
		"taint-manager config validate FILE   says": {"config", "--help"},
		"\n  taint-manager config validate FILE":    {"config", "validate", "-h"},
		"\n      --max-concurrent-evictions int":    {"config", "print", "--help"},
		"see taint-manager config --help":           {"--help"},
	} {
		if stdout, stderr, code := run(args...); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%v: got code %d, %q and\n%s\nwithout %q", args, code, stderr, stdout, want)
		}
	}
}

// The examples of the reference are valid.
func TestExamplesAreValid(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(apiVersion: config\\.taint-manager\\.io/.*?)```").FindAllSubmatch(data, -1)
	if len(examples) == 0 {
		t.Error("there is none")
	}
	for _, example := range examples {
		inFile(t, string(example[1]))
		if _, errs := readConfig("c.yaml"); len(errs) > 0 {
			t.Errorf("%v in\n%s", errs, example[1])
		}
	}
}
