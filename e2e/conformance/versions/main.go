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

// Command versions runs the black-box tests against the control plane of each minor version of Kubernetes that is supported,
// and prints a table in Markdown. Progress goes to standard error.
//
// Each control plane is built once, in minutes, and kept in the user's cache directory. The exit status is 1 if a test failed, a
// version could not be built or a run has ended early, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	utilversion "k8s.io/apimachinery/pkg/util/version"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// errUsage is the cause of the exit status 2.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for what the first one began
	err := run(ctx, os.Args[1:], os.Stdout, &lineWriter{out: os.Stderr})
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "versions: %v\n", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		return 1
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	runs := newRuns(o)
	for _, r := range runs {
		r.build(ctx, progress)
	}
	if o.buildOnly {
		return problems(runs)
	}
	if err := runAll(ctx, o, runs, progress); err != nil {
		return err
	}
	if _, err := io.WriteString(out, markdown(runs)); err != nil {
		return err
	}
	return problems(runs)
}

type options struct {
	versions  []*utilversion.Version
	tests     string
	atOnce    int
	buildOnly bool
}

func parse(args []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("versions", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "Usage: versions [flags] [version ...], as in versions 1.29.15 1.37.2. Default: all supported minors.\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.tests, "run", defaultTests(), "which tests, as a regular `expression`")
	flags.IntVar(&o.atOnce, "parallel", 2, "how many `versions` are tested at the same time; tests mostly wait")
	flags.BoolVar(&o.buildOnly, "build-only", false, "build the control planes into the cache and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return options{}, err
		}
		return options{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.atOnce < 1 {
		return options{}, fmt.Errorf("%w: --parallel must be at least 1", errUsage)
	}
	pinned, err := controlplane.PinnedVersion()
	if err != nil {
		return options{}, err
	}
	texts := flags.Args()
	if len(texts) == 0 {
		texts = append(olderVersions(), pinned.String())
	}
	seen := map[string]bool{}
	for _, text := range texts {
		version, err := controlplane.ParseVersion(text)
		if err != nil {
			return options{}, fmt.Errorf("%w: %w", errUsage, err)
		}
		if !seen[version.String()] {
			seen[version.String()] = true
			o.versions = append(o.versions, version)
		}
	}
	return o, nil
}

// olderVersions are the newest patches, of the minors that are supported beside the pinned one, of which the Go module proxy
// serves all modules that the control plane is built from.
func olderVersions() []string {
	return []string{"1.29.15", "1.30.14", "1.31.13", "1.32.9", "1.33.13", "1.34.12", "1.35.8", "1.36.5"}
}

// defaultTests are the tests of what manifests/README.md promises to workloads, and those of what depends on the API server: failures,
// and its rules for policies.
func defaultTests() string {
	return "^(TestRow|TestParity|TestNotReady|TestAnotherValueIsAnotherTaint$|TestNodeEvents|" + strings.Join([]string{
		"TestBothRestartDuringCountdown", "TestTimeAddedDisproved", "TestRejectedPodsGo", "TestEvictFinishedPods",
		"TestPermissionsMissing", "TestEvictionForbidden", "TestConditionForbidden", "TestServerWithoutStreamingLists",
		"TestFaultListWithoutEnd", "TestFaultRelistWithoutEnd", "TestFaultDeletesDenied", "TestFaultPermissionsWithdrawn",
		"TestFaultPodAlwaysChanges", "TestFaultNamespaceDeleted", "TestPolicyAPI",
	}, "$|") + "$)"
}
