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

// Command gendocs writes what a release of the plugin has beside the program: man pages in man, completion for bash, zsh, fish and PowerShell
// in completion, and the programs that kubectl runs to complete arguments. The same source and flags give the same files.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/app"
)

// kubectlCompletion has the name by which kubectl looks for it in $PATH. kubectl runs it with the arguments of the plugin.
const kubectlCompletion = "kubectl_complete-taint_manager"

const (
	unixCompletion    = "#!/bin/sh\n# kubectl runs this to complete arguments of kubectl taint-manager.\nexec kubectl-taint_manager __complete \"$@\"\n"
	windowsCompletion = "@rem kubectl runs this to complete arguments of kubectl taint-manager.\r\n@kubectl-taint_manager.exe __complete %*\r\n"
)

func main() {
	out := flag.String("out", "", "directory to write to")
	version := flag.String("version", "v0.0.0-dev", "version, for the man pages")
	epoch := flag.Int64("epoch", 0, "date of the man pages, in seconds since 1970")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "gendocs: name the directory to write to, by --out, and nothing else")
		os.Exit(2)
	}
	if err := write(*out, *version, time.Unix(*epoch, 0).UTC()); err != nil {
		fmt.Fprintf(os.Stderr, "gendocs: %v\n", err)
		os.Exit(1)
	}
}

// write writes all files.
func write(out, version string, date time.Time) error {
	man, completion := filepath.Join(out, "man"), filepath.Join(out, "completion")
	for _, directory := range []string{man, completion} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	plugin, err := command()
	if err != nil {
		return err
	}
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: "taint-manager " + version, Manual: "kubectl taint-manager"}
	if err := doc.GenManTree(plugin, header, man); err != nil {
		return fmt.Errorf("write the man pages: %w", err)
	}
	name := plugin.Name()
	for path, write := range map[string]func(path string) error{
		// The names are those by which the shells look for them.
		filepath.Join(completion, name+".bash"):      func(path string) error { return plugin.GenBashCompletionFileV2(path, true) },
		filepath.Join(completion, "_"+name):          plugin.GenZshCompletionFile,
		filepath.Join(completion, name+".fish"):      func(path string) error { return plugin.GenFishCompletionFile(path, true) },
		filepath.Join(completion, name+".ps1"):       plugin.GenPowerShellCompletionFileWithDesc,
		filepath.Join(out, kubectlCompletion):        script(unixCompletion),
		filepath.Join(out, kubectlCompletion+".cmd"): script(windowsCompletion),
	} {
		if err := write(path); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// script returns a function that writes an executable file.
func script(text string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o755) }
}

// command returns the plugin, without what depends on who asks.
func command() (*cobra.Command, error) {
	plugin := app.NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	plugin.InitDefaultCompletionCmd()
	plugin.DisableAutoGenTag = true // it is for the time of the run
	cache := plugin.PersistentFlags().Lookup("cache-dir")
	if cache == nil {
		return nil, fmt.Errorf("the plugin has no flag --cache-dir, whose default names the home directory of who asks: look for what does now")
	}
	cache.DefValue = "$HOME/.kube/cache"
	return plugin, nil
}
