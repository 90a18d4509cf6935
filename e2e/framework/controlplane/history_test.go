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
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// commitAll commits all files of a repository, and returns the name of the commit.
func commitAll(t *testing.T, dir string) string {
	t.Helper()
	for _, args := range [][]string{
		{"add", "--all"}, {"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=test"},
	} {
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	name, err := git(t.Context(), dir, "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// history makes a repository of two commits, and returns its directory and the first.
func history(t *testing.T) (dir, first string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := git(t.Context(), dir, "init", "--quiet"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"cmd/main.go", "pkg/deadline/doc.go"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, path), "old")
	}
	write(t, filepath.Join(dir, "go.mod"), "module old")
	write(t, filepath.Join(dir, "go.sum"), "")
	first = commitAll(t, dir)
	write(t, filepath.Join(dir, "go.mod"), "module new")
	commitAll(t, dir)
	return dir, first
}

func TestExtract(t *testing.T) {
	repository, first := history(t)
	source := filepath.Join(t.TempDir(), "source")
	for range 2 { // the second takes the place of what is left of the first
		if err := extract(t.Context(), filepath.Join(repository, "pkg"), first, source); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"go.mod": "module old", "pkg/deadline/doc.go": "old"} {
		if data, err := os.ReadFile(filepath.Join(source, path)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(source)); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func TestResolve(t *testing.T) {
	repository, first := history(t)
	shallow := t.TempDir()
	if _, err := git(t.Context(), repository, "clone", "--quiet", "--depth=1", "file://"+repository, shallow); err != nil {
		t.Fatal(err)
	}
	if full, err := resolve(t.Context(), repository, first[:10]); err != nil || full != first {
		t.Errorf("got %s, %v, want %s", full, err, first)
	}
	if _, err := resolve(t.Context(), repository, "f67252f"); err == nil || errors.Is(err, ErrNoHistory) {
		t.Errorf("a commit that a whole clone does not have: %v", err)
	}
	if _, err := resolve(t.Context(), shallow, first); !errors.Is(err, ErrNoHistory) || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("a shallow clone: %v", err)
	}
	if _, err := resolve(t.Context(), t.TempDir(), first); !errors.Is(err, ErrNoHistory) {
		t.Errorf("no clone: %v", err)
	}
}
