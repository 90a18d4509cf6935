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

// Package app is the kubectl plugin.
//
// # To add a verb
//
// A verb has one file here, named after it, with three parts, as kubectl's own commands have:
//
//   - a struct that embeds *Common and holds its flags and arguments, with the methods complete (reads arguments), validate (returns a
//     usageError) and run;
//   - a function new<Verb>Command(common *Common) *cobra.Command, added in NewCommand, whose Long text ends with the exit codes. Flags that
//     all verbs have are added there: those of the kubeconfig (-n, --context), -o, --no-headers and those about the controller;
//   - a function that prints its result as text, on a text.Printer. common.print does the rest: -o json, yaml, name, jsonpath and templates.
//
// What the verb says is made in pkg/explain, from a snapshot that common.reader reads. A verb that writes has its own client from
// common.ConfigFlags. Errors are returned: a usageError exits with 64, an exitError with its own code, any other error with 1. A verb that a signal
// ends returns an error, any: the code is that of the signal.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
)

// Exit codes of all verbs. Between them are those that one verb has. A timeout of watch has 2, so wrong usage has the code that sysexits.h gives
// it (EX_USAGE): a script must not take a mistake in its arguments for what happened to a node. After a signal the code is 128 and its number,
// as that of a shell.
const (
	exitFailure = 1
	exitUsage   = 64
	exitSignal  = 128
)

const description = `kubectl taint-manager says which pods go because of taints, when and why, and which would go if a node were tainted.

It asks the API server and not the controller, and decides by the code of the controller. Only pause and resume change anything:
they write a policy. What could not be read is named, with what cannot be known because of that.`

// otherExitCodes are those of all verbs, and exitCodes says the same of a verb that has none of its own.
const (
	otherExitCodes = "1 on a failure, 64 on wrong usage, 130 after Ctrl-C, 143 after SIGTERM."
	exitCodes      = "\n\nExit codes: 0 when all went well, " + otherExitCodes
)

// usageError is an error in the arguments of the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError ends the plugin with a code of its own, and without a message: the result has been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// memoryLimit is from when on the garbage collector works harder than by default, in bytes, unless $GOMEMLIMIT says otherwise. Half of what is
// read of a large cluster is garbage, and nobody wants to wait for memory that is used for a second.
const memoryLimit = 160 << 20

// Main runs the plugin with the process's arguments and returns its exit code.
func Main() int {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	klog.LogToStderr(false) // client-go's logs are not for the users of a command line
	klog.SetOutput(io.Discard)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return exitCode(ctx, NewCommand(streams).ExecuteContext(ctx), os.Stderr)
}

// signaled is the cause of the end of a context that a signal has ended.
type signaled struct{ syscall.Signal }

func (s signaled) Error() string { return s.String() }

// untilSignal returns a context that ends with a signal that ends a process. A second one kills the process.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer signal.Stop(received)
		select {
		case <-ctx.Done():
		case s := <-received:
			if s, is := s.(syscall.Signal); is {
				cancel(signaled{s})
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// exitCode returns the exit code for an error of the command, and writes the error. Where a signal has ended the command, its errors only say so.
func exitCode(ctx context.Context, err error, to io.Writer) int {
	var by signaled
	if err != nil && errors.As(context.Cause(ctx), &by) {
		return exitSignal + int(by.Signal)
	}
	return report(err, to)
}

// report writes an error of the command, and returns the exit code.
func report(err error, to io.Writer) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(to, "error: %s\n", line)
	}
	if errors.As(err, &usageError{}) {
		fmt.Fprintln(to, "See 'kubectl taint-manager --help'.")
		return exitUsage
	}
	return exitFailure
}

// NewCommand returns the plugin.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	common := NewCommon(streams)
	cmd := &cobra.Command{
		Use:           "kubectl-taint_manager", // for which completion scripts are loaded
		Short:         "Say which pods go because of taints, when and why",
		Long:          description + exitCodes,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
		// kubectl runs a plugin as kubectl-taint_manager, and users type kubectl taint-manager.
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl taint-manager"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no verb %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		_, err := common.Output.structured() // before the cluster is asked
		return err
	}
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	common.addFlags(cmd)
	cmd.AddCommand(
		newPlanCommand(common),
		newStatusCommand(common),
		newWatchCommand(common),
		newWhyCommand(common),
		newPauseCommand(common),
		newResumeCommand(common),
		newDoctorCommand(common),
	)
	return cmd
}

func versionText() string {
	v := version.Get()
	return fmt.Sprintf("%s (git %s, %s, %s, %s)", v.GitVersion, v.GitCommit, v.GitTreeState, runtime.Version(), v.Platform)
}
