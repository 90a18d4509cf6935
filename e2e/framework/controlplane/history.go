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
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// taintManager is the program of this repository, as of a commit.
const taintManager Program = "taint-manager"

// ErrNoHistory says that the source of a commit is not there: this is no clone of the repository, or a shallow one.
var ErrNoHistory = errors.New("the history of the repository is not there")

// TaintManagerAt returns the path of taint-manager as of a commit of this repository. It is built at the first call, and kept in the
// user's cache, as the programs of Binaries are; progress receives a line every few seconds meanwhile. Where there is no history, the error
// is ErrNoHistory.
func TaintManagerAt(ctx context.Context, progress io.Writer, commit string) (string, error) {
	servers, err := workingServers()
	if err != nil {
		return "", err
	}
	b := &builder{progress: progress, label: " of " + commit, flags: []string{"-buildvcs=false", "-ldflags=-s -w"}, servers: servers}
	goVersion, err := b.goVersion(ctx)
	if err != nil {
		return "", err
	}
	full, err := resolve(ctx, servers, commit)
	if err != nil {
		return "", err
	}
	caches, err := cacheDir()
	if err != nil {
		return "", err
	}
	b.cache = filepath.Join(caches, hash("", strings.Join(b.flags, " "), goVersion, full))
	b.servers = filepath.Join(b.cache, "source")
	b.prepare = func(ctx context.Context) error { return extract(ctx, servers, full, b.servers) }
	return b.path(taintManager), b.ensure(ctx, []Program{taintManager})
}

// git runs git in the repository of a directory.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], complaint(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// resolve returns the full name of a commit. That there is none of the name is an error of its own in a whole clone only.
func resolve(ctx context.Context, dir, commit string) (string, error) {
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoHistory, err)
	}
	full, err := git(ctx, dir, "rev-parse", "--verify", "--end-of-options", commit+"^{commit}")
	if err != nil && shallow == "true" {
		return "", fmt.Errorf("%w: the clone is shallow, and commit %s is not in it; git fetch --unshallow brings it", ErrNoHistory, commit)
	}
	return full, err
}

// extract writes the source of a commit into a directory that it makes anew.
func extract(ctx context.Context, repository, commit, dir string) (err error) {
	top, err := git(ctx, repository, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing an older source: %w", err)
	}
	archive := dir + ".zip"
	defer func() { err = errors.Join(err, removeIfThere(archive)) }()
	if _, err := git(ctx, top, "archive", "--format=zip", "--output="+archive, commit, "go.mod", "go.sum", "cmd", "pkg"); err != nil {
		return err
	}
	files, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("reading the source of %s: %w", commit, err)
	}
	defer files.Close()
	if err := os.CopyFS(dir, files); err != nil {
		return fmt.Errorf("writing the source of %s: %w", commit, err)
	}
	return nil
}
