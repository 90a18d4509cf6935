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

package pkg

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestWorkflowsNameMakeTargets checks the make commands of the workflows of CI. That the workflows are well formed is checked by actionlint, in
// `make verify-workflows`.
func TestWorkflowsNameMakeTargets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known := makefile(t)
	var named []string
	for _, file := range files {
		var workflow struct {
			Jobs map[string]struct{ Steps []struct{ Run string } }
		}
		readYAML(t, file, &workflow)
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				for line := range strings.Lines(step.Run) {
					named = append(named, known.check(t, file, line)...)
				}
			}
		}
	}
	for _, target := range []string{"verify", "test", "e2e", "release", "push"} {
		if !slices.Contains(named, target) {
			t.Errorf("no workflow runs make %s", target)
		}
	}
}

// TestModulesAreLookedAfter checks that Dependabot updates each module, and that `make verify-tidy` looks at it.
func TestModulesAreLookedAfter(t *testing.T) {
	var dependabot struct {
		Updates []struct {
			Ecosystem   string `json:"package-ecosystem"`
			Directories []string
		}
	}
	readYAML(t, filepath.Join(root, ".github/dependabot.yml"), &dependabot)
	var updated []string
	for _, update := range dependabot.Updates {
		if update.Ecosystem == "gomod" {
			updated = append(updated, update.Directories...)
		}
	}
	slices.Sort(updated)
	found := modules(t)
	if !slices.Equal(updated, found) {
		t.Errorf(".github/dependabot.yml updates the modules in\n%q, and there are\n%q", updated, found)
	}
	for _, directory := range found[1:] {
		if want := "\tcd " + strings.TrimPrefix(directory, "/") + " && go mod tidy -diff\n"; !strings.Contains(string(makefile(t)), want) {
			t.Errorf("verify-tidy in the Makefile does not have the line %q", want)
		}
	}
}

// modules returns the directories of all Go modules of the repository, with a slash in front, sorted.
func modules(t *testing.T) (directories []string) {
	t.Helper()
	repository := os.DirFS(root)
	err := fs.WalkDir(repository, ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && slices.Contains([]string{".git", "bin", ".cache"}, entry.Name()) {
			return fs.SkipDir
		}
		if err == nil && entry.Name() == "go.mod" {
			directories = append(directories, path.Join("/", path.Dir(file)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(directories)
	return directories
}

// readYAML reads a file of YAML.
func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
