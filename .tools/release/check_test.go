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
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const changelog = `# Changelog

## [Unreleased]

- Not yet.

## [0.2.0-rc.1] - 2026-12-24

### Added

- A thing, see [policies](manifests/README.md#policies), [here](https://example.com/x) and [below](#below).

## [0.1.0] - 2026-12-01

- The first.

[Unreleased]: https://example.com/compare
[0.1.0]: https://example.com/v0.1.0
`

func TestVersions(t *testing.T) {
	for version, valid := range map[string]bool{
		"v0.1.0": true, "v1.0.0-rc.1": true, "v10.20.30": true,
		"": false, "0.1.0": false, "v0.1": false, "v1": false, "v01.1.0": false, "v0.1.0+build": false, "latest": false, "v0.1.0\n": false,
	} {
		if err := checkVersion(version); (err == nil) != valid || err != nil && !strings.Contains(err.Error(), "make release VERSION=v0.1.0") {
			t.Errorf("%q: got %v, want valid: %t", version, err, valid)
		}
	}
}

func TestSections(t *testing.T) {
	for _, test := range []struct{ version, want, fails string }{
		{version: "v0.1.0", want: "- The first."},
		{version: "v0.2.0-rc.1", want: "### Added\n\n- A thing, see [policies](manifests/README.md#policies), [here](https://example.com/x) and [below](#below)."},
		{version: "v0.2.0", fails: "move what is below [Unreleased] under the heading ## [0.2.0] - YYYY-MM-DD"},
		{version: "v0.1.00", fails: "no section"},
		{version: "Unreleased", fails: "no section"}, // it has no date
	} {
		got, err := section(changelog, test.version)
		if got != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: got %q, %v; want %q, %q", test.version, got, err, test.want, test.fails)
		}
	}
}

// testNotes reads the notes of the release.
func testNotes(t *testing.T, out, downloads string) {
	data, err := os.ReadFile(filepath.Join(out, "RELEASE_NOTES.md"))
	must(t, err)
	notes := string(data)
	for _, want := range []string{
		"### Added\n", "A controller that takes the place of kube-controller-manager's",
		"(https://github.com/taint-manager/taint-manager/blob/v0.1.0/manifests/README.md#policies)",
		"helm install taint-manager oci://ghcr.io/taint-manager/charts/taint-manager --version 0.1.0 --namespace kube-system\n",
		"kubectl apply -f " + downloads + "/v0.1.0/taint-manager-production.yaml\n",
		"kubectl apply -f " + downloads + "/v0.1.0/taint-manager-monitoring.yaml\n",
		"kubectl krew install --manifest-url=" + downloads + "/v0.1.0/taint-manager.yaml\n",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not have %q", want)
		}
	}
	for _, unwanted := range []string{"](manifests", "](cmd", "{{", "<no value>", "\n[Unreleased]", "## [0.1.0]"} {
		if strings.Contains(notes, unwanted) {
			t.Errorf("the notes have %q", unwanted)
		}
	}
}

func TestLinksOfNotes(t *testing.T) {
	r := &release{version: "v0.2.0-rc.1", image: "i", downloads: "https://d", out: t.TempDir()}
	var err error
	r.notes, err = section(changelog, r.version)
	must(t, err)
	must(t, r.releaseNotes(t.Context()))
	data, err := os.ReadFile(r.path("RELEASE_NOTES.md"))
	must(t, err)
	const want = "see [policies](https://github.com/taint-manager/taint-manager/blob/v0.2.0-rc.1/manifests/README.md#policies), " +
		"[here](https://example.com/x) and [below](#below)."
	if !strings.Contains(string(data), want) {
		t.Errorf("got\n%s\nwant %q", data, want)
	}
}

// TestRefusals checks that a release is refused before anything of an earlier one is removed.
func TestRefusals(t *testing.T) {
	repository, out := t.TempDir(), t.TempDir()
	earlier := filepath.Join(out, "earlier")
	must(t, os.WriteFile(earlier, nil, 0o600))
	write := func(file, content string) {
		must(t, os.WriteFile(filepath.Join(repository, file), []byte(content), 0o600))
	}
	git := func(args ...string) {
		t.Helper()
		identity := []string{"-c", "user.name=test", "-c", "user.email=test@example.com"}
		cmd := exec.CommandContext(t.Context(), "git", append(identity, args...)...)
		cmd.Dir = repository
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, output)
		}
	}
	refuses := func(want string, usage bool, args ...string) {
		t.Helper()
		err := run(t.Context(), append([]string{"--root", repository, "--out", out}, args...), t.Output())
		if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &usageError{}) != usage {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
		if _, err := os.Stat(earlier); err != nil {
			t.Errorf("%q: the earlier release is gone", args)
		}
	}
	write("CHANGELOG.md", changelog)
	refuses("ALLOW_DIRTY=1", false, "--version", "v0.1.0") // nobody can tell
	git("init", "--quiet")
	refuses("these files are not committed: commit or remove them, or set ALLOW_DIRTY=1", false, "--version", "v0.1.0")
	git("add", ".")
	git("commit", "--quiet", "--message", "all")
	r, err := parse([]string{"--root", repository, "--version", "v0.1.0"})
	must(t, err)
	if err := r.check(t.Context()); err != nil || r.notes != "- The first." {
		t.Errorf("a clean tree: got %v, and the notes %q", err, r.notes)
	}
	write("new", "")
	refuses("\n?? new", false, "--version", "v0.1.0")
	refuses("## [0.3.0] - YYYY-MM-DD", true, "--version", "v0.3.0")
	refuses("make release VERSION=v0.1.0", true, "--version", "0.1.0")
	refuses("SOURCE_DATE_EPOCH", true, "--version", "v0.1.0", "--epoch", "yesterday")
	refuses("not defined", true, "--frob")
	r.allowDirty = true
	if err := r.check(t.Context()); err != nil {
		t.Errorf("with ALLOW_DIRTY: %v", err)
	}
}
