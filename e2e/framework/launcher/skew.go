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

package launcher

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/taint-manager/taint-manager/pkg/testing/mutation"
)

// skewVariable tells a program of BuildSkewed what its wall clock does: by how many seconds it is wrong at first, by how many
// later, and after how many seconds it is set.
const skewVariable = "E2E_WALL_CLOCK"

// nowLine is where Go's time.Now reads both clocks, and skewedNow what stands there instead.
const (
	nowLine   = "\tsec, nsec, mono := runtimeNow()\n"
	skewedNow = nowLine + "\tsec += wallClockError(mono)\n"
)

// skewSource is a further file of Go's package time. Only the wall clock is wrong; the monotonic one goes on as it is, as when
// somebody sets the time of a machine.
const skewSource = `package time

import "syscall"

var wallClock = func() (w struct{ first, later, after int64 }) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	for _, to := range []*int64{&w.first, &w.later, &w.after} {
		end := 0
		for end < len(text) && text[end] != ',' {
			end++
		}
		n, err := atoi(text[:end])
		if err == nil {
			*to = int64(n)
		}
		text = text[min(end+1, len(text)):]
	}
	return w
}()

func wallClockError(mono int64) int64 {
	if mono-startNano < wallClock.after*1e9 {
		return wallClock.first
	}
	return wallClock.later
}
`

// BuildSkewed builds a program into the directory, with a wall clock that can be wrong, and be set, which no machine lets a test do for one
// process. The first time that takes minutes: all packages depend on the time.
func BuildSkewed(ctx context.Context, dir, program string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("looking for Go's own packages: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("reading package time: %w", err)
	}
	if n := strings.Count(string(source), nowLine); n != 1 {
		return "", fmt.Errorf("%s has %d times: %s", original, n, nowLine)
	}
	overlay, err := mutation.Overlay(dir, map[string][]byte{
		original: []byte(strings.Replace(string(source), nowLine, skewedNow, 1)),
		filepath.Join(filepath.Dir(original), "zz_wall_clock.go"): []byte(skewSource),
	})
	if err != nil {
		return "", fmt.Errorf("replacing package time: %w", err)
	}
	return Build(ctx, dir, program, overlay)
}

// WallClock is the environment of a program of BuildSkewed: its wall clock is wrong by first, and by later from after on.
func WallClock(first, later, after time.Duration) string {
	return fmt.Sprintf("%s=%d,%d,%d", skewVariable, int(first.Seconds()), int(later.Seconds()), int(after.Seconds()))
}
