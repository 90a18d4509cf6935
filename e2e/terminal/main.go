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

// Command terminal runs a program on a terminal of its own, does to that what a person does, and prints, as JSON, each picture that the program
// shows. It is a module of its own, so that the rest of the repository does not need a terminal emulator.
//
//	go -C e2e/terminal run . --columns=80 --rows=24 --at=3s=140x30 --at=6s=^C -- PROGRAM ARGUMENT...
//
// Its own exit code is 0 when it could run the program: that of the program is in what it prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// Session is what happened on a terminal.
type Session struct {
	// ExitCode is that of the program, and 128 and the number of a signal that killed it.
	ExitCode int `json:"exitCode"`
	// Raw is true if the program left the terminal in another mode than it found it in.
	Raw    bool    `json:"raw"`
	Frames []Frame `json:"frames"`
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string, to io.Writer) error {
	flags := flag.NewFlagSet("terminal", flag.ContinueOnError)
	columns, rows := flags.Int("columns", 80, "width of the terminal"), flags.Int("rows", 24, "height of the terminal")
	cast := flags.String("cast", "", "file to write a recording to, in the format asciicast v2")
	svg := flags.String("svg", "", "file to write an animation to, as SVG; of a terminal that keeps its size")
	quick := flags.Duration("pause", 2*time.Second, "the longest time that a picture stays in the recording and in the animation")
	limit := flags.Duration("timeout", 5*time.Minute, "when to kill the program")
	var actions actionList
	flags.Var(&actions, "at", "what to do after a time, as 3s=140x30 or 6s=^C; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("name a program to run, after --")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	recording, session, err := record(ctx, *columns, *rows, actions, flags.Args())
	if err != nil {
		return err
	}
	if session.Frames, err = recording.frames(); err != nil {
		return err
	}
	if *cast != "" {
		if err := os.WriteFile(*cast, recording.asciicast(*quick), 0o644); err != nil {
			return err
		}
	}
	if *svg != "" {
		if err := os.WriteFile(*svg, animation(session.Frames, *quick), 0o644); err != nil {
			return err
		}
	}
	return json.NewEncoder(to).Encode(session)
}

// record runs a program on a terminal, and acts.
func record(ctx context.Context, columns, rows int, actions actionList, program []string) (*recording, *Session, error) {
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
	if err != nil {
		return nil, nil, fmt.Errorf("running %s: %w", strings.Join(program, " "), err)
	}
	defer terminal.Close()
	before, err := modes(terminal)
	if err != nil {
		return nil, nil, err
	}
	r := &recording{columns: columns, rows: rows, began: time.Now()}
	failed := make(chan error, len(actions))
	for _, a := range actions {
		timer := time.AfterFunc(a.after, func() { failed <- a.do(terminal, r) })
		defer timer.Stop()
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := terminal.Read(buffer)
		r.add("o", string(buffer[:n]))
		if err != nil {
			break // nobody has the other end open any more
		}
	}
	_ = cmd.Wait() // its exit code tells
	after, err := modes(terminal)
	if err != nil {
		return nil, nil, err
	}
	session := &Session{ExitCode: cmd.ProcessState.ExitCode(), Raw: !reflect.DeepEqual(before, after)}
	if status, is := cmd.ProcessState.Sys().(syscall.WaitStatus); is && status.Signaled() {
		session.ExitCode = 128 + int(status.Signal())
	}
	for len(failed) > 0 {
		err = errors.Join(err, <-failed)
	}
	return r, session, errors.Join(err, ctx.Err())
}
