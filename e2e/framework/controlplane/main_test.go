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
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// roleVariable makes the test binary play a part in a test instead of running tests.
const roleVariable = "CONTROLPLANE_TEST_ROLE"

func TestMain(m *testing.M) {
	play := map[string]func(context.Context, string) error{
		"parent": playParent, "owner": playOwner, "starter": playStarter,
	}
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play[role](context.Background(), os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// playParent starts a child and a sweeper for the directory, prints their process IDs, and waits to be killed.
func playParent(ctx context.Context, dir string) error {
	child, err := StartProcess(ctx, Spec{Path: "sleep", Args: []string{"600"}, LogPath: filepath.Join(dir, "log")})
	if err != nil {
		return err
	}
	sweeper, err := newSweeper(dir)
	if err != nil {
		return err
	}
	fmt.Println(child.PID(), sweeper.cmd.Process.Pid)
	select {}
}

// playOwner starts a small control plane in the directory, says so, and waits for a signal.
func playOwner(ctx context.Context, dir string) error {
	cp, err := Start(ctx, Options{Parts: []Program{Etcd}, Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(cp.Part(Etcd).PID(), cp.Part(APIServer).PID())
	select {}
}

// playStarter is playOwner, but says so before it starts anything.
func playStarter(ctx context.Context, dir string) error {
	fmt.Println()
	return playOwner(ctx, dir)
}
