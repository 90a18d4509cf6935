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
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// meterInterval is how often a build says how far it is.
const meterInterval = 5 * time.Second

// complaintLines is how much a failed build says about why.
const complaintLines = 30

// meter reads what a verbose go command writes, one line for each package that it compiles, and turns it into a line
// of progress every few seconds.
type meter struct {
	out   io.Writer
	name  string
	began time.Time

	mu       sync.Mutex
	partial  []byte // of a line whose end has not come yet
	packages int
	modules  int // downloaded
	recent   []string
}

func newMeter(out io.Writer, name string) *meter {
	return &meter{out: out, name: name, began: time.Now()}
}

// Write takes output of the go command.
func (m *meter) Write(data []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partial = append(m.partial, data...)
	for {
		line, rest, found := bytes.Cut(m.partial, []byte("\n"))
		if !found {
			return len(data), nil
		}
		m.line(string(line))
		m.partial = rest
	}
}

func (m *meter) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		m.modules++
	case line != "" && !strings.ContainsAny(line, " \t#:"):
		m.packages++
	default:
		m.recent = append(m.recent, line)
		m.recent = m.recent[max(0, len(m.recent)-complaintLines):]
	}
}

// complaints are the latest lines that are not about progress.
func (m *meter) complaints() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.TrimSpace(strings.Join(m.recent, "\n") + "\n" + string(m.partial))
}

// start writes a line now and every few seconds until the function that it returns is called.
func (m *meter) start() (stop func()) {
	fmt.Fprintf(m.out, "control plane: building %s (once; later runs find it in the cache)\n", m.name)
	ticker := time.NewTicker(meterInterval)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ticker.C:
				fmt.Fprintf(m.out, "control plane: %s\n", m.status())
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		wg.Wait()
	}
}

func (m *meter) finish() { fmt.Fprintf(m.out, "control plane: built %s\n", m.status()) }

func (m *meter) status() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	status := m.name + ": "
	if m.modules > 0 {
		status += fmt.Sprintf("%d modules downloaded, ", m.modules)
	}
	if m.packages > 0 { // "go test" does not name them
		status += fmt.Sprintf("%d packages, ", m.packages)
	}
	return status + time.Since(m.began).Round(time.Second).String()
}
