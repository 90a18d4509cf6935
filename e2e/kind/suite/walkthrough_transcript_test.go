//go:build kind

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

package suite

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// transcript is what an operator has seen in all terminals: it stays with the logs of a run.
type transcript struct {
	mu  sync.Mutex
	out io.Writer
}

// newTranscript writes into the directory of logs, if there is one, or nowhere.
func newTranscript(t *testing.T) *transcript {
	t.Helper()
	directory := os.Getenv(logsVariable)
	if directory == "" {
		return &transcript{out: io.Discard}
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(directory, "walkthrough.txt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &transcript{out: file}
}

// script notes the commands of a step before they run.
func (t *transcript) script(step, text string) {
	t.write("\n--- %s ---\n%s\n", step, strings.TrimSpace(text))
}

// line notes what was printed.
func (t *transcript) line(terminal, text string) {
	t.write("%s %s | %s\n", time.Now().Format("15:04:05.000"), terminal, text)
}

func (t *transcript) write(format string, arguments ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.out, format, arguments...) // it explains, and decides nothing
}
