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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

const (
	version = "v0.1.0"
	// epoch is the time of everything in the releases of these tests, in seconds since 1970.
	epoch = "1700000000"
)

// TestMain is kubectl if it is called by that name: krew and its validator run a kubectl.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "kubectl" {
		os.Exit(m.Run())
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}

// TestRelease makes a release by make, looks at its files, and makes it once more elsewhere.
func TestRelease(t *testing.T) {
	root, err := filepath.Abs("../..")
	must(t, err)
	out := filepath.Join(t.TempDir(), "release")
	downloads := serve(t, out)
	began := time.Now()
	first := exec.CommandContext(t.Context(), "make", "-C", root, "release", "ALLOW_DIRTY=1", "VERSION="+version, "COMMIT=abc", "TREE_STATE=clean",
		"SOURCE_DATE_EPOCH="+epoch, "RELEASE_OUT="+out, "DOWNLOADS="+downloads)
	first.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "MAKE") })
	if output, err := first.CombinedOutput(); err != nil {
		t.Fatalf("make release: %v\n%s", err, output)
	}
	t.Logf("the first release took %s", time.Since(began).Round(time.Second))

	t.Run("files", func(t *testing.T) { testFiles(t, out) })
	t.Run("checksums", func(t *testing.T) { testChecksums(t, out) })
	for _, p := range platforms() {
		t.Run(p.String(), func(t *testing.T) { testPlugin(t, out, p) })
	}
	bin := binaries(t)
	t.Run("krew", func(t *testing.T) { testKrew(t, out, bin) })
	t.Run("manifests", func(t *testing.T) { testManifests(t, root, out, bin) })
	for program, image := range map[string]string{"taint-manager": "taint-manager", "kubectl-taint_manager": "kubectl-taint-manager"} {
		t.Run("image of "+program, func(t *testing.T) { testImage(t, out, program, image) })
	}
	t.Run("chart", func(t *testing.T) { testChart(t, out) })
	t.Run("notes", func(t *testing.T) { testNotes(t, out, downloads) })
	t.Run("reproducible", func(t *testing.T) { testElsewhere(t, root, out, downloads) })
}

func testFiles(t *testing.T, out string) {
	want := []string{
		"RELEASE_NOTES.md",
		"SHA256SUMS",
		"kubectl-taint_manager-v0.1.0-darwin-amd64.cdx.json",
		"kubectl-taint_manager-v0.1.0-darwin-amd64.tar.gz",
		"kubectl-taint_manager-v0.1.0-darwin-arm64.cdx.json",
		"kubectl-taint_manager-v0.1.0-darwin-arm64.tar.gz",
		"kubectl-taint_manager-v0.1.0-linux-amd64.cdx.json",
		"kubectl-taint_manager-v0.1.0-linux-amd64.tar.gz",
		"kubectl-taint_manager-v0.1.0-linux-arm64.cdx.json",
		"kubectl-taint_manager-v0.1.0-linux-arm64.tar.gz",
		"kubectl-taint_manager-v0.1.0-windows-amd64.cdx.json",
		"kubectl-taint_manager-v0.1.0-windows-amd64.zip",
		"kubectl-taint_manager-v0.1.0-windows-arm64.cdx.json",
		"kubectl-taint_manager-v0.1.0-windows-arm64.zip",
		"kubectl-taint-manager-image-v0.1.0-linux-amd64.spdx.json",
		"kubectl-taint-manager-image-v0.1.0-linux-amd64.tar",
		"kubectl-taint-manager-image-v0.1.0-linux-arm64.spdx.json",
		"kubectl-taint-manager-image-v0.1.0-linux-arm64.tar",
		"kubectl-taint-manager-image-v0.1.0.oci.tar",
		"taint-manager-0.1.0.tgz",
		"taint-manager-base.yaml",
		"taint-manager-crd.yaml",
		"taint-manager-image-v0.1.0.oci.tar",
		"taint-manager-image-v0.1.0-linux-amd64.spdx.json",
		"taint-manager-image-v0.1.0-linux-amd64.tar",
		"taint-manager-image-v0.1.0-linux-arm64.spdx.json",
		"taint-manager-image-v0.1.0-linux-arm64.tar",
		"taint-manager-kind.yaml",
		"taint-manager-monitoring.yaml",
		"taint-manager-own-namespace.yaml",
		"taint-manager-production.yaml",
		"taint-manager.yaml",
	}
	slices.Sort(want)
	entries, err := os.ReadDir(out)
	must(t, err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the files\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func testChecksums(t *testing.T, out string) {
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = out
	output, err := check.CombinedOutput()
	if err != nil {
		t.Fatalf("sha256sum: %v\n%s", err, output)
	}
	entries, err := os.ReadDir(out)
	must(t, err)
	if got, want := strings.Count(string(output), ": OK\n"), len(entries)-1; got != want {
		t.Errorf("SHA256SUMS lists %d files, want all but itself, %d", got, want)
	}
}

// testElsewhere makes the release from a copy of the source at another path, as somebody else, with an environment that would change what Go
// builds, files that others may not read, and no network.
func testElsewhere(t *testing.T, root, first, downloads string) {
	caches, err := command(t.Context(), ".", nil, "go", "env", "GOCACHE", "GOMODCACHE")
	must(t, err)
	copied := t.TempDir()
	for _, directory := range []string{"cmd", "pkg", "manifests", ".tools/image", ".tools/chart"} {
		must(t, os.CopyFS(filepath.Join(copied, directory), os.DirFS(filepath.Join(root, directory))))
	}
	for _, file := range []string{"go.mod", "go.sum", "LICENSE", "CHANGELOG.md"} {
		must(t, copyFile(filepath.Join(root, file), filepath.Join(copied, file)))
	}
	for variable, value := range map[string]string{
		"GOCACHE": strings.Fields(caches)[0], "GOMODCACHE": strings.Fields(caches)[1], "GOPROXY": "off",
		"GOAMD64": "v3", "GOFLAGS": "-tags=other", "HOME": t.TempDir(), "TMPDIR": t.TempDir(), "KUBECACHEDIR": "/elsewhere", "TZ": "Asia/Tokyo",
	} {
		t.Setenv(variable, value)
	}
	before := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(before) })
	out := filepath.Join(t.TempDir(), "release")
	began := time.Now()
	makeRelease(t, copied, out, downloads)
	t.Logf("the second release took %s", time.Since(began).Round(time.Second))
	got, err := os.ReadFile(filepath.Join(out, sumsFile))
	must(t, err)
	want, err := os.ReadFile(filepath.Join(first, sumsFile))
	must(t, err)
	if string(got) != string(want) {
		t.Errorf("the second release differs from the first, or the flags in this test from those in the Makefile. It has\n%s\nthe first has\n%s", got, want)
	}
}

// makeRelease makes a release with the flags of the Makefile.
func makeRelease(t *testing.T, root, out, downloads string) {
	t.Helper()
	var progress strings.Builder
	stamp := "k8s.io/component-base/version"
	err := run(t.Context(), []string{
		"--root", root, "--out", out, "--version", version, "--revision", "abc", "--epoch", epoch, "--downloads", downloads, "--allow-dirty",
		"--tags", "grpcnotrace", "--gcflags", "github.com/google/cel-go/...=-l",
		"--ldflags", "-s -w -funcalign=16 -X " + stamp + ".gitVersion=v0.1.0 -X " + stamp + ".gitCommit=abc -X " + stamp + ".gitTreeState=clean",
	}, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
