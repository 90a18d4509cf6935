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
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/semver"
)

// check refuses to release what nobody could make again, or what has no name or description.
func (r *release) check(ctx context.Context) error {
	if err := checkVersion(r.version); err != nil {
		return usageError{err}
	}
	changelog, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return fmt.Errorf("read the changelog: %w", err)
	}
	if r.notes, err = section(string(changelog), r.version); err != nil {
		return usageError{err}
	}
	if r.allowDirty {
		return nil
	}
	return r.checkTree(ctx)
}

// checkVersion accepts a version of semver.org with a v in front. Build metadata cannot be part of an image's tag.
func checkVersion(version string) error {
	if version == "" || !semver.IsValid(version) || semver.Canonical(version) != version {
		return fmt.Errorf("the version %q is none of https://semver.org with a v in front: make release VERSION=v0.1.0, or v0.2.0-rc.1", version)
	}
	return nil
}

// checkTree refuses files that are not committed: the revision that the programs print would not be what they are made of.
func (r *release) checkTree(ctx context.Context) error {
	const around = "set ALLOW_DIRTY=1 to try a release out that nobody is to have"
	output, err := command(ctx, r.root, nil, "git", "status", "--porcelain")
	if err != nil {
		return fmt.Errorf("cannot tell whether everything is committed (%s): %w", around, err)
	}
	if changed := strings.TrimRight(output, "\n"); changed != "" {
		return fmt.Errorf("these files are not committed: commit or remove them, or %s:\n%s", around, changed)
	}
	return nil
}

// command runs a program in a directory, with more variables in its environment, and returns what it wrote to its standard output.
func command(ctx context.Context, dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var failed strings.Builder
	cmd.Stderr = &failed
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, args[0], err, failed.String())
	}
	return string(output), nil
}
