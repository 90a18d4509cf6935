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

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// action is what a person does to a terminal, some time after the program has begun.
type action struct {
	after time.Duration
	// keys are typed. Otherwise the terminal gets another size.
	keys          string
	columns, rows int
}

type actionList []action

func (l *actionList) String() string { return "" }

// Set parses 3s=140x30 or 6s=^C.
func (l *actionList) Set(text string) error {
	when, what, _ := strings.Cut(text, "=")
	a := action{}
	var err error
	if a.after, err = time.ParseDuration(when); err != nil {
		return fmt.Errorf("%q is no time: %w", when, err)
	}
	if n, err := fmt.Sscanf(what, "%dx%d", &a.columns, &a.rows); err != nil || n != 2 {
		a.keys = strings.ReplaceAll(what, "^C", "\x03")
	}
	*l = append(*l, a)
	return nil
}

// do acts, and adds to the recording what is not an answer of the program.
func (a *action) do(terminal *os.File, r *recording) error {
	if a.keys != "" {
		_, err := terminal.WriteString(a.keys)
		return err
	}
	r.add("r", fmt.Sprintf("%dx%d", a.columns, a.rows))
	return pty.Setsize(terminal, &pty.Winsize{Cols: uint16(a.columns), Rows: uint16(a.rows)})
}

// modes returns the modes of a terminal: whether it echoes, and so on.
func modes(terminal *os.File) (*term.State, error) {
	now, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return nil, fmt.Errorf("reading the modes of the terminal: %w", err)
	}
	return now, nil
}
