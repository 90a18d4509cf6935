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
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Stdout is the path that stands for standard output.
const Stdout = "-"

// File is where a log is written.
type File struct {
	// Path is the path of a file, or Stdout.
	Path string
	// MaxSize is the size in MiB at which a file is rotated, MaxBackups how many rotated files are kept, and MaxAge for how many days they are.
	// 0 backups, or days, are no limit.
	MaxSize, MaxBackups, MaxAge int
}

// Open opens the file, or standard output. A file is made if it is not there; its directory is not.
func (f File) Open() (io.WriteCloser, error) {
	if f.Path == Stdout {
		// A reader that goes must not end the process: the write fails then.
		signal.Ignore(syscall.SIGPIPE)
		return stdout{os.Stdout}, nil
	}
	if err := beginLine(f.Path); err != nil {
		return nil, err
	}
	return &lumberjack.Logger{Filename: f.Path, MaxSize: f.MaxSize, MaxBackups: f.MaxBackups, MaxAge: f.MaxAge}, nil
}

// stdout is standard output, which is not ours to close.
type stdout struct{ io.Writer }

func (stdout) Close() error { return nil }

// beginLine makes the file, unless it is there, and ends a line that an earlier process has not ended.
func beginLine(path string) (err error) {
	file, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the file: %w", err)
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	info, err := file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("cannot look at the file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: give - for standard output", path)
	case info.Size() == 0:
		return nil
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil {
		return fmt.Errorf("cannot read the end of the file: %w", err)
	}
	if last[0] != '\n' {
		_, err = file.Write([]byte{'\n'})
	}
	return err
}
