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
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// sweepScript waits for a word or for the end of its input. The end without a word means that whoever held the other
// side has died: then the directory goes. Children that die at the same moment may still be writing, hence the retries.
const sweepScript = `read word && exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" && exit 0; sleep 1; done 2>/dev/null`

// sweeper is a child that outlives this process if that is killed, and removes its directory then.
type sweeper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func newSweeper(dir string) (*sweeper, error) {
	cmd := exec.Command("/bin/sh", "-c", sweepScript, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the helper that removes %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the helper that removes %s: %w", dir, err)
	}
	return &sweeper{cmd: cmd, stdin: stdin}, nil
}

// dismiss ends the helper without removal.
func (s *sweeper) dismiss() error {
	if _, err := io.WriteString(s.stdin, "done\n"); err != nil {
		return fmt.Errorf("dismissing the helper that removes files: %w", err)
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("dismissing the helper that removes files: %w", err)
	}
	return nil
}
