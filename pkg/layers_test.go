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
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/taint-manager/taint-manager/"

// layers are the packages from the bottom up. A package imports what stands in a line below its own, and nothing else of
// ours.
var layers = [][]string{
	{"pkg/deadline", "pkg/serverclock", "pkg/connection", "pkg/permission", "pkg/strictyaml", "pkg/apis/policy/v1alpha1", "pkg/apis/config/v1alpha1", "pkg/apis/audit/v1alpha1"},
	{"pkg/brake", "pkg/taintstart", "pkg/evictionqueue", "pkg/metrics", "pkg/events", "pkg/audit", "pkg/leader", "pkg/budget"},
	{"pkg/podcache", "pkg/startstore"},
	{"pkg/policy"},
	{"pkg/evictor"},
	{"pkg/tainteviction", "pkg/snapshot"},
	{"pkg/explain", "cmd/kubectl-taint_manager/text"},
	{"pkg/doctor"},
	{"cmd/taint-manager/app", "cmd/kubectl-taint_manager/app"},
	{"cmd/taint-manager", "cmd/kubectl-taint_manager", "cmd/kubectl-taint_manager/gendocs"},
}

// forTests are packages that only tests import.
var forTests = []string{"pkg/testing/", "e2e/", "manifests"}

// alsoImport are packages of forTests that others import as well: the plugin compares a cluster with the manifests.
var alsoImport = map[string]string{"cmd/kubectl-taint_manager/app": "manifests"}

// pure is what the bottom may import besides the standard library.
var pure = []string{"k8s.io/api/core/v1", "k8s.io/apimachinery/pkg/labels", "k8s.io/klog/v2"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	level := map[string]int{}
	for i, names := range layers {
		for _, name := range names {
			level[name] = i
		}
	}
	seen := 0
	for _, p := range list(t, module+"pkg/...", module+"cmd/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "pkg" || strings.HasPrefix(name, "pkg/testing/") {
			continue
		}
		seen++
		own, known := level[name]
		if !known {
			t.Errorf("%s has no layer: give it one here", name)
		}
		for _, imported := range p.Imports {
			below, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			for _, prefix := range forTests {
				if strings.HasPrefix(below, prefix) && alsoImport[name] != below {
					t.Errorf("%s imports %s, which is for tests", name, below)
				}
			}
			if level[below] >= own {
				t.Errorf("%s imports %s, which is not below it", name, below)
			}
		}
	}
	if seen != len(level) {
		t.Errorf("there are %d packages, and %d have a layer", seen, len(level))
	}
}

func TestTheBottomIsPure(t *testing.T) {
	for _, p := range list(t, module+"pkg/deadline") {
		for _, imported := range p.Imports {
			if strings.Contains(imported, ".") && !slices.Contains(pure, imported) {
				t.Errorf("pkg/deadline imports %s", imported)
			}
			if imported == "os" || imported == "net" || imported == "sync" || imported == "context" {
				t.Errorf("pkg/deadline imports %s, and is to be pure", imported)
			}
		}
	}
}

// TestAPITypesAreLight guards that a program can import the API of policies without more of Kubernetes than its own API types.
func TestAPITypesAreLight(t *testing.T) {
	for _, p := range list(t, module+"pkg/apis/policy/...") {
		for _, imported := range p.Imports {
			api := strings.HasPrefix(imported, "k8s.io/api/") || strings.HasPrefix(imported, "k8s.io/apimachinery/")
			if strings.Contains(imported, ".") && !api {
				t.Errorf("%s imports %s", strings.TrimPrefix(p.ImportPath, module), imported)
			}
		}
	}
}

func list(t *testing.T, patterns ...string) (packages []goPackage) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
