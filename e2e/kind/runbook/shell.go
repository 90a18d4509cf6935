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

package runbook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

// Shell is a terminal: variables stay from one script to the next.
type Shell struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   chan string
	scratch string // a directory of its own
	scripts int
	show    func(line string)
}

// Result is what became of a script.
type Result struct {
	// Output is what the commands printed to standard output and standard error.
	Output string
	// Failures are the commands with another exit code than 0, in their order.
	Failures []Failure
}

// Failure is a command as bash writes it, without comments, with its exit code.
type Failure struct {
	Command string
	Code    int
}

// setUp has bash note the exit code of each command that fails, as "set -e" understands it, and go on, as somebody does who pastes
// commands into a terminal. A variable that is not set ends the shell.
const setUp = `set -u -o pipefail
trap 'printf "%%d %%s\0" "$?" "$BASH_COMMAND" >>%q' ERR
`

// NewShell starts bash in a directory. It ends with the context, with all that it runs. Scratch is an empty directory for its own use, and
// show is called with each line that is printed.
func NewShell(ctx context.Context, directory, scratch string, environment []string, show func(line string)) (*Shell, error) {
	s := &Shell{lines: make(chan string), scratch: scratch, show: show}
	s.command = nodes.Command(ctx, "bash", "--noprofile", "--norc")
	s.command.Dir, s.command.Env = directory, environment
	var err error
	if s.stdin, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.command.Stderr = s.command.Stdout
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go s.read(out)
	if _, err := fmt.Fprintf(s.stdin, setUp, s.failures()); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Shell) failures() string { return filepath.Join(s.scratch, "failures") }

// read passes lines on until bash has ended.
func (s *Shell) read(out io.Reader) {
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			s.lines <- strings.TrimSuffix(line, "\n")
		}
		if err != nil {
			close(s.lines)
			return
		}
	}
}

// Run runs a script and waits for its end. Its commands have nothing on their standard input. It is an error if the shell ends.
func (s *Shell) Run(script string) (Result, error) {
	s.scripts++
	file := filepath.Join(s.scratch, fmt.Sprintf("script-%d.sh", s.scripts))
	// What comes last has the exit code of the whole script, and would be noted twice.
	if err := errors.Join(os.WriteFile(file, []byte(script+"\n:\n"), 0o600), os.WriteFile(s.failures(), nil, 0o600)); err != nil {
		return Result{}, err
	}
	end := fmt.Sprintf("end of script %d", s.scripts)
	if _, err := fmt.Fprintf(s.stdin, ". %q </dev/null\nprintf '\\n%%s\\n' %q\n", file, end); err != nil {
		return Result{}, fmt.Errorf("the shell has ended: %w", err)
	}
	var output []string
	for line := range s.lines {
		if line == end {
			result := Result{Output: strings.TrimRight(strings.Join(output, "\n"), "\n") + "\n"}
			var err error
			result.Failures, err = s.readFailures()
			return result, err
		}
		output = append(output, line)
		s.show(line)
	}
	return Result{Output: strings.Join(output, "\n")}, errors.New("the shell ended, by exit, by a variable that is not set, or because it was stopped")
}

func (s *Shell) readFailures() (all []Failure, err error) {
	data, err := os.ReadFile(s.failures())
	if err != nil {
		return nil, err
	}
	for record := range strings.SplitSeq(string(data), "\x00") {
		if record == "" {
			continue
		}
		number, command, _ := strings.Cut(record, " ")
		code, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("%q is no exit code and command: %w", record, err)
		}
		all = append(all, Failure{command, code})
	}
	return all, nil
}

// Close ends the shell when its script has ended.
func (s *Shell) Close() error {
	err := s.stdin.Close()
	for line := range s.lines {
		s.show(line)
	}
	return errors.Join(err, s.command.Wait())
}
