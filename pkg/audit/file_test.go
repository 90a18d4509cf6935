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

package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

func open(t *testing.T, f File) (write func(text string)) {
	t.Helper()
	to, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := to.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(text string) {
		t.Helper()
		if _, err := to.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFileIsContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, test := range []struct{ before, after string }{
		{"", "new\n"}, {"whole\n", "whole\nnew\n"}, {"whole\ntorn", "whole\ntorn\nnew\n"},
	} {
		if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, File{Path: path, MaxSize: 1})("new\n")
		if got, err := os.ReadFile(path); err != nil || string(got) != test.after {
			t.Errorf("after %q: got %q, %v, want %q", test.before, got, err, test.after)
		}
	}
}

func TestANewFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open(t, File{Path: path, MaxSize: 1})("line\n")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %s", info.Mode())
	}
}

// TestFilesAreRotated writes 5 MiB into files of 1 MiB, of which two old ones are kept.
func TestFilesAreRotated(t *testing.T) {
	directory := t.TempDir()
	write := open(t, File{Path: filepath.Join(directory, "audit.log"), MaxSize: 1, MaxBackups: 2})
	line := strings.Repeat("x", 1023) + "\n"
	for range 5 * 1024 {
		write(line)
	}
	files := func() (files []string) {
		files, err := filepath.Glob(filepath.Join(directory, "audit*.log"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	// Others are removed in the background.
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return len(files()) == 3, nil
	})
	if err != nil {
		t.Fatalf("want two files that were renamed, and the one that is written: %v", files())
	}
	for _, file := range files() {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 1<<20 || len(data) == 0 || len(bytes.ReplaceAll(data, []byte(line), nil)) > 0 {
			t.Errorf("%s has %d bytes, or a torn line", file, len(data))
		}
	}
}

func TestWrongFiles(t *testing.T) {
	directory := t.TempDir()
	pipe := filepath.Join(directory, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(directory, "no-such-directory", "audit.log"): "no such file or directory",
		directory: "is a directory",
		pipe:      "is no regular file: give - for standard output",
	} {
		if _, err := (File{Path: path, MaxSize: 1}).Open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// brokenPipe has this test binary write to its standard output, whose reader is gone.
const brokenPipe = "AUDIT_TEST_BROKEN_PIPE"

// TestABrokenPipeEndsNoProcess has a process write to standard output that nobody reads any more. Without further ado, Go ends it.
func TestABrokenPipeEndsNoProcess(t *testing.T) {
	if os.Getenv(brokenPipe) != "" {
		to, err := File{Path: Stdout}.Open()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err = to.Write([]byte("line\n"))
		}
		fmt.Fprintf(os.Stderr, "lives on: %v\n", err)
		os.Exit(7)
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestABrokenPipeEndsNoProcess$")
	command.Env = append(os.Environ(), brokenPipe+"=1")
	var errors bytes.Buffer
	command.Stderr = &errors
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = to
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	err = command.Run()
	if command.ProcessState.ExitCode() != 7 || !strings.Contains(errors.String(), "lives on") || !strings.Contains(errors.String(), "broken pipe") {
		t.Errorf("%v: %s", err, &errors)
	}
}
