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
	"fmt"

	"github.com/spf13/cobra"
	cliflag "k8s.io/component-base/cli/flag"
	"sigs.k8s.io/yaml"
)

const configDescription = `taint-manager config validates and prints configuration files for --config.

  taint-manager config validate FILE   says all that is wrong with a file, each with its line
  taint-manager config print           prints the configuration that the same flags and file make, as a file

A file is of apiVersion config.taint-manager.io/v1alpha1 and kind TaintManagerConfiguration. A field that is absent has its default. Flags
win over the file.

Exit codes: 0 if the file is valid, 2 if it is not, 1 on other failures.`

// newConfigCommand returns the command that works on configuration files.
func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Validates and prints configuration files",
		Long:  configDescription,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("config: no command %q: give validate or print", args[0])}
			}
			return usageError{errors.New("config: give a command, validate or print")}
		},
	}
	setHelp(cmd, cliflag.NamedFlagSets{})
	cmd.AddCommand(newValidateCommand(), newPrintCommand())
	return cmd
}

func newValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Says all that is wrong with a configuration file",
		Long:  "taint-manager config validate says all that is wrong with a configuration file, each with its line and path.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("config validate: takes one file, not %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, errs := readConfig(args[0]); len(errs) > 0 {
				return usageError{errors.Join(errs...)}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", args[0])
			return err
		},
	}
	setHelp(cmd, cliflag.NamedFlagSets{})
	return cmd
}

func newPrintCommand() *cobra.Command {
	options := NewOptions()
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Prints the configuration that the flags and a file make",
		Long: "taint-manager config print takes the flags of taint-manager, and prints the configuration that they and the file of --config make,\n" +
			"as a file that has the same effect. Of feature gates, those that are set are printed. --kubeconfig is not part of a configuration.",
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			effective, err := options.complete(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			c, err := effective.configuration()
			if err != nil {
				return err
			}
			document, err := yaml.Marshal(c)
			if err != nil {
				return fmt.Errorf("cannot print the configuration: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(document)
			return err
		},
	}
	flagSets := options.Flags()
	for _, set := range flagSets.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	setHelp(cmd, flagSets)
	return cmd
}
