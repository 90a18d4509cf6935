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
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestCompletionLeavesKubectlAlone checks the command that each script completes. A script that is loaded for kubectl takes the place of
// kubectl's own completion.
func TestCompletionLeavesKubectlAlone(t *testing.T) {
	for shell, registers := range map[string]string{
		"bash":       "complete -o default -F __start_kubectl-taint_manager kubectl-taint_manager\n",
		"zsh":        "#compdef kubectl-taint_manager\n",
		"fish":       "complete -k -c kubectl-taint_manager ",
		"powershell": "Register-ArgumentCompleter -CommandName 'kubectl-taint_manager' ",
	} {
		var script bytes.Buffer
		cmd := NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &script, ErrOut: &bytes.Buffer{}})
		cmd.SetArgs([]string{"completion", shell})
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%s: %v", shell, err)
		} else if !strings.Contains(script.String(), registers) {
			t.Errorf("%s: the script has no line %q", shell, registers)
		}
	}
}

// TestHelpIsThatOfAPlugin checks that help names the command as users type it.
func TestHelpIsThatOfAPlugin(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"plan", "--help"}} {
		var help bytes.Buffer
		cmd := NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &help, ErrOut: &bytes.Buffer{}})
		cmd.SetArgs(args)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "Usage:\n  kubectl taint-manager "; !strings.Contains(help.String(), want) || strings.Contains(help.String(), "taint_manager") {
			t.Errorf("%q: got\n%s\nwant %q in it", args, help.String(), want)
		}
	}
}
