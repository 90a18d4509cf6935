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

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// failureLines is how much of a log an error quotes.
const failureLines = 20

const (
	maxTail = 64 << 10 // of a log, in bytes, that is read for a quotation
	maxLine = 400      // of a line in it
)

// ProcessError says that a process is not as it should be, with the end of what it wrote in that run.
type ProcessError struct {
	Name    string
	Err     error
	LogPath string
	Log     string
}

func (e *ProcessError) Error() string {
	log := "  (nothing)"
	if e.Log != "" {
		log = "  " + strings.ReplaceAll(e.Log, "\n", "\n  ")
	}
	return fmt.Sprintf("%s: %v; the end of %s:\n%s", e.Name, e.Err, e.LogPath, log)
}

func (e *ProcessError) Unwrap() error { return e.Err }

func (p *Process) failure(r *run, err error) error {
	return &ProcessError{
		Name: p.spec.Name, Err: err, LogPath: p.spec.LogPath,
		Log: tail(p.spec.LogPath, r.logStart, failureLines),
	}
}

// Tail returns the last n lines that the current run wrote.
func (p *Process) Tail(n int) string {
	return tail(p.spec.LogPath, p.current().logStart, n)
}

// tail returns the last n lines, each cut to what a person reads, of the part of a file that follows the offset.
func tail(path string, offset int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-maxTail)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, maxTail))
	if err != nil {
		return err.Error()
	}
	text := strings.TrimRight(string(data), "\n")
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		if len(line) > maxLine {
			lines[i] = strings.ToValidUTF8(line[:maxLine], "") + "…"
		}
	}
	return strings.Join(lines, "\n")
}

// awaitReady polls the ready check until it passes, the process ends, or time is up.
func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.spec.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.ReadyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyPollInterval)
	defer ticker.Stop()
	last := errors.New("not asked yet")
	for {
		if err := p.spec.Ready(ctx); err == nil {
			return p.stillRunning(r)
		} else if ctx.Err() == nil {
			last = err // what the deadline cut off says less than what came before
		}
		select {
		case <-r.done:
			return p.failure(r, endOf(r))
		case <-ctx.Done():
			return p.failure(r, fmt.Errorf("it is not ready: %w (%w)", last, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// stillRunning guards against a check that somebody else on the same port answered.
func (p *Process) stillRunning(r *run) error {
	if r.ended() {
		return p.failure(r, endOf(r))
	}
	return nil
}
