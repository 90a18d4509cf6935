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
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	utilversion "k8s.io/apimachinery/pkg/util/version"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"1.29.15": "1.29.15", "v1.37.2": "1.37.2", "1.30.0": "1.30.0",
		"": "", "1.29": "", "2.0.0": "", "1.37.0-rc.1": "", "1.37.2+k3s1": "", "latest": "",
	} {
		switch version, err := ParseVersion(text); {
		case want == "" && err == nil:
			t.Errorf("%q is taken for %s", text, version)
		case want == "" && !strings.Contains(err.Error(), "1.29.15"):
			t.Errorf("%q: the error does not say how to write one: %v", text, err)
		case want != "" && (err != nil || version.String() != want):
			t.Errorf("%q: %v, %v", text, version, err)
		}
	}
}

func TestPinnedVersion(t *testing.T) {
	pinned, err := PinnedVersion()
	if err != nil {
		t.Fatal(err)
	}
	// It is what Binaries stamps into the programs.
	b, err := newBuilder(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "gitVersion=v" + pinned.String() + " "; !strings.Contains(strings.Join(b.flags, " "), want) {
		t.Errorf("the flags %q lack %q", b.flags, want)
	}
}

func TestLacks(t *testing.T) {
	version := utilversion.MustParseSemantic
	old := Lacks(version("1.29.15"))
	if len(old) != 1 || !strings.Contains(strings.Join(old[0].Args, " "), "v1beta1=true") || !strings.HasSuffix(PolicyAPI(version("1.29.15")), "/v1beta1") {
		t.Errorf("1.29.15: %v", old)
	}
	if lacks := Lacks(version("1.30.0")); len(lacks) > 0 || !strings.HasSuffix(PolicyAPI(version("1.30.0")), "/v1") {
		t.Errorf("1.30.0: %v", lacks)
	}
}

func TestWrapper(t *testing.T) {
	mod := &goMod{
		Go:      "1.22.0",
		GoDebug: []struct{ Key, Value string }{{"default", "go1.23"}},
		Require: []goModule{{"k8s.io/api", "v0.0.0"}, {"k8s.io/klog/v2", "v2.120.1"}, {"example.com/zero", "v0.0.0"}},
		Exclude: []goModule{{"example.com/bad", "v1.0.0"}},
		Replace: []struct{ Old, New goModule }{
			{goModule{Path: "k8s.io/api"}, goModule{Path: "./staging/src/k8s.io/api"}},
			{goModule{"example.com/a", "v1.0.0"}, goModule{"example.com/b", "v1.1.0"}},
		},
	}
	want := []string{
		"module github.com/taint-manager/taint-manager/e2e/framework/controlplane/kubernetes",
		"go 1.22.0", "godebug default=go1.23", "require k8s.io/kubernetes v1.30.14", "exclude example.com/bad v1.0.0",
		"replace k8s.io/api => k8s.io/api v0.30.14", "replace example.com/a v1.0.0 => example.com/b v1.1.0", "",
	}
	if got := strings.Split(mod.wrapper(utilversion.MustParseSemantic("1.30.14")), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestVersionAssets builds a version of a small Kubernetes, whose modules a proxy in a directory serves as the real one serves
// them: what it requires of its own source tree is published under another version, or not served.
func TestVersionAssets(t *testing.T) {
	proxy := isolatedGo(t)
	serve(t, proxy, "k8s.io/component-base", "v0.29.15", map[string]string{
		"go.mod": "module k8s.io/component-base\n\ngo 1.21\n", "version/version.go": "package version\n\nvar gitVersion string\n\nfunc Get() string { return gitVersion }\n",
	})
	files := map[string]string{"go.mod": `module k8s.io/kubernetes

go 1.21

require (
	k8s.io/component-base v0.0.0
	k8s.io/sample-apiserver v0.0.0
)

replace (
	k8s.io/component-base => ./staging/src/k8s.io/component-base
	k8s.io/sample-apiserver => ./staging/src/k8s.io/sample-apiserver
)
`}
	for _, program := range VersionParts() {
		files["cmd/"+string(program)+"/main.go"] = "package main\n\nimport \"k8s.io/component-base/version\"\n\nfunc main() { println(\"" +
			string(program) + "\", version.Get()) }\n"
	}
	serve(t, proxy, "k8s.io/kubernetes", "v1.29.15", files)

	var progress bytes.Buffer
	dir, err := VersionAssets(t.Context(), &progress, utilversion.MustParseSemantic("1.29.15"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range VersionParts() {
		out, err := exec.CommandContext(t.Context(), filepath.Join(dir, string(program))).CombinedOutput()
		if want := string(program) + " v1.29.15\n"; err != nil || string(out) != want {
			t.Errorf("%s: %q, %v; want %q", program, out, err, want)
		}
	}
	if want := "control plane: building kube-apiserver 1.29.15 "; !strings.Contains(progress.String(), want) {
		t.Errorf("progress lacks %q:\n%s", want, progress.String())
	}

	t.Setenv("GOPROXY", "off")
	if again, err := VersionAssets(t.Context(), nil, utilversion.MustParseSemantic("1.29.15")); again != dir || err != nil {
		t.Errorf("what was built is not kept: %s, %v", again, err)
	}
	other, err := VersionAssets(t.Context(), nil, utilversion.MustParseSemantic("1.29.16"))
	if err == nil || !strings.Contains(err.Error(), "k8s.io/kubernetes@v1.29.16") || other == dir {
		t.Errorf("a version that is not served: %s, %v", other, err)
	}
}

// isolatedGo has the go command take modules from a directory alone, and everything be kept in others, but for compiled packages.
func isolatedGo(t *testing.T) (proxy string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	proxy = t.TempDir()
	for name, value := range map[string]string{
		"GOCACHE": strings.TrimSpace(string(out)), "GOMODCACHE": t.TempDir(), "GOFLAGS": "-modcacherw", "GOSUMDB": "off",
		"GOPROXY": "file://" + filepath.ToSlash(proxy), "HOME": t.TempDir(), "XDG_CACHE_HOME": "",
	} {
		t.Setenv(name, value)
	}
	return proxy
}

// serve puts a module into a proxy.
func serve(t *testing.T, proxy, module, version string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := w.Create(module + "@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, version+".info"), fmt.Sprintf(`{"Version": %q}`, version))
	write(t, filepath.Join(dir, version+".mod"), files["go.mod"])
	write(t, filepath.Join(dir, version+".zip"), packed.String())
}

func TestBinaryVersion(t *testing.T) {
	program := func(says string) string {
		path := filepath.Join(t.TempDir(), "kube-apiserver")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n[ \"$1\" = --version ] && echo '"+says+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if version, err := BinaryVersion(t.Context(), program("Kubernetes v1.29.15")); err != nil || version.String() != "1.29.15" {
		t.Errorf("%v, %v", version, err)
	}
	if version, err := BinaryVersion(t.Context(), program("etcd Version: 3.6.0")); err == nil {
		t.Errorf("another program has version %v", version)
	}
	if version, err := BinaryVersion(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Errorf("no program has version %v", version)
	}
}
