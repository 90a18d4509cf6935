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

// Package app is the command: options, which are parsed from flags and validated, and the server, which passes them to the
// controller.
package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	"k8s.io/component-base/term"
	"k8s.io/component-base/version"
)

// Exit codes of the command.
const (
	exitFailure = 1
	exitUsage   = 2
)

const description = `taint-manager evicts pods from nodes that carry NoExecute taints: at once if a pod does not tolerate the taint, and
after tolerationSeconds if it tolerates the taint for a limited time. It replaces the taint-eviction-controller of
kube-controller-manager, which must be disabled:

  kube-controller-manager --controllers=*,-taint-eviction-controller

Several replicas may run. One leads and evicts. The others stand by with warm caches.

A configuration file may stand in for flags, and has some settings that no flag has: see taint-manager config --help.

Exit codes: 0 when stopped by a signal, 1 on a failure, 2 on wrong usage.`

// usageError is an error in the arguments of the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Main runs the command with the process's arguments and returns its exit code.
func Main() int {
	return report(cli.RunNoErrOutput(NewCommand()), os.Stderr)
}

// report writes an error of the command, and returns the exit code.
func report(err error, to io.Writer) int {
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") { // all that is wrong with the configuration, say
		fmt.Fprintf(to, "taint-manager: %s\n", line)
	}
	if errors.As(err, &usageError{}) {
		fmt.Fprintln(to, "See taint-manager --help.")
		return exitUsage
	}
	return exitFailure
}

// NewCommand returns the command. It runs until SIGINT or SIGTERM.
func NewCommand() *cobra.Command {
	options := NewOptions()
	cmd := &cobra.Command{
		Use:           "taint-manager",
		Short:         "Evicts pods from nodes that carry NoExecute taints",
		Long:          description,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			effective, err := options.complete(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			if err := logsapi.ValidateAndApply(effective.Logging, effective.FeatureGate); err != nil {
				return usageError{err}
			}
			ctx, stop := signalContext(cmd.Context())
			defer stop()
			return Run(ctx, effective)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })

	flagSets := options.Flags()
	global := flagSets.FlagSet("global")
	global.BoolP("help", "h", false, "Print this help and exit.")
	global.Bool("version", false, "Print the version with its git revision and exit.")
	for _, set := range flagSets.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	setHelp(cmd, flagSets)
	cmd.AddCommand(newConfigCommand())
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd
}

// setHelp has --help print the flags in groups.
func setHelp(cmd *cobra.Command, flagSets cliflag.NamedFlagSets) {
	columns, _, _ := term.TerminalSize(cmd.OutOrStdout()) // 0 without a terminal: no wrapping
	cliflag.SetUsageAndHelpFunc(cmd, flagSets, columns)
}

// flagsOnly returns an error if there are arguments that are not flags.
func flagsOnly(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("takes flags only, not %q", args)}
	}
	return nil
}

func versionText() string {
	v := version.Get()
	return fmt.Sprintf("%s (git %s, %s, %s, %s)", v.GitVersion, v.GitCommit, v.GitTreeState, runtime.Version(), v.Platform)
}
