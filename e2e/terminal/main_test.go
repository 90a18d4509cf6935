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
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script writes a line that is too long, waits for another size, draws over both lines, and waits for ^C.
const script = `
trap 'printf "\r\033[Jbye\n"; exit 130' INT
printf 'first\nthis line is longer than twenty\n'
while [ "$(stty size)" = "6 20" ]; do sleep 0.01; done
printf '\033[3A\033[Jsecond\n'
while :; do sleep 0.01; done
`

func TestSession(t *testing.T) {
	var out bytes.Buffer
	cast := filepath.Join(t.TempDir(), "cast")
	err := run([]string{"--columns=20", "--rows=6", "--at=300ms=30x6", "--at=600ms=^C", "--cast=" + cast, "--", "/bin/sh", "-c", script}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var s Session
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.ExitCode != 130 || s.Raw {
		t.Errorf("exit code %d, raw %t", s.ExitCode, s.Raw)
	}
	for i, want := range []Frame{
		{
			Columns: 20, Lines: []string{"first", "this line is longer", "than twenty"}, Wrapped: []string{"this line is longer than twenty"},
			Cursor: Cursor{Row: 3},
		},
		{Columns: 30, Lines: []string{"second"}, Cursor: Cursor{Row: 1}},
		{Columns: 30, Lines: []string{"second", "bye"}, Cursor: Cursor{Row: 2}},
	} {
		if i >= len(s.Frames) {
			t.Fatalf("%d pictures", len(s.Frames))
		}
		got := s.Frames[i]
		if got.Columns != want.Columns || got.Cursor != want.Cursor || !slices.Equal(got.Lines, want.Lines) || !slices.Equal(got.Wrapped, want.Wrapped) {
			t.Errorf("picture %d: got %+v, want %+v", i, got, want)
		}
	}
	data, err := os.ReadFile(cast)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if !strings.HasPrefix(lines[0], `{"height":6,"timestamp":`) || !slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, `,"r","30x6"]`) }) ||
		!strings.Contains(lines[1], `"o","first\r\n`) {
		t.Errorf("recording:\n%s", data)
	}
}

func TestSessionOfRawMode(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--", "/bin/sh", "-c", "stty raw; printf '\033[?25l'"}, &out); err != nil {
		t.Fatal(err)
	}
	var s Session
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Raw || len(s.Frames) != 1 || !s.Frames[0].Cursor.Hidden {
		t.Errorf("got %+v", s)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"--at=soon=^C", "--", "true"}, {"--", "/does/not/exist"}} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
