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
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// path is where ko puts a program.
func (p program) path() string { return "/ko-app/" + p.name }

// TestImage builds each image once as `make push` does, looks at all that came of it, and builds once more elsewhere.
func TestImage(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.title, func(t *testing.T) { testImage(t, p) })
	}
}

func testImage(t *testing.T, p program) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/some/" + p.title

	began := time.Now()
	out := t.TempDir()
	printed := buildImage(t, p, root, out, "--image", repository, "--push")
	t.Logf("the first build took %s", time.Since(began).Round(time.Second))
	index := indexIn(t, out)
	images, err := imagesOf(index)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("platforms", func(t *testing.T) {
		var got []string
		for _, i := range images {
			got = append(got, i.platform.String())
		}
		if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(got, want) {
			t.Errorf("got images for %q, want %q", got, want)
		}
	})
	for _, i := range images {
		t.Run(i.platform.Architecture, func(t *testing.T) {
			testConfig(t, p, i)
			testFiles(t, p, i)
			testSBOM(t, filepath.Join(out, "sbom", p.name+"-linux-"+i.platform.Architecture+".spdx.json"), i)
			testArchive(t, filepath.Join(out, archive(p, i.platform)), repository, i)
		})
	}
	t.Run("push", func(t *testing.T) { testPushed(t, repository, printed, index) })
	t.Run("reproducible", func(t *testing.T) { testElsewhere(t, p, root, index) })
}

// buildImage runs the program as make does, with a stamp of its own, and returns what it printed.
func buildImage(t *testing.T, p program, root, out string, more ...string) string {
	t.Helper()
	var printed bytes.Buffer
	stamp := "k8s.io/component-base/version"
	args := append([]string{
		"--program", p.name, "--root", root, "--out", out, "--tag", "v1.2.3", "--version", "v1.2.3", "--revision", "abc", "--epoch", "1700000000",
		"--tags", "grpcnotrace", "--gcflags", "github.com/google/cel-go/...=-l", "--ldflags", "-s -w -funcalign=16 -X " + stamp + ".gitVersion=v1.2.3 -X " + stamp + ".gitCommit=abc",
	}, more...)
	if err := run(t.Context(), args, &printed); err != nil {
		t.Fatal(err)
	}
	return printed.String()
}

// indexIn returns the one index in the OCI layout that a build wrote.
func indexIn(t *testing.T, out string) v1.ImageIndex {
	t.Helper()
	oci, err := layout.ImageIndexFromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oci.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("got %d entries in the OCI layout, want the index alone", len(manifest.Manifests))
	}
	index, err := oci.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func testPushed(t *testing.T, repository, printed string, want v1.ImageIndex) {
	digest, err := want.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if line := "Pushed " + repository + "@" + digest.String() + "\n"; !strings.HasSuffix(printed, line) {
		t.Errorf("printed\n%s\nwhich does not end with\n%s", printed, line)
	}
	tag, err := name.NewTag(repository + ":v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := index.Digest(); err != nil || got != digest {
		t.Errorf("%s is %s, want %s (%v)", tag, got, digest, err)
	}
	images, err := imagesOf(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		if s, err := sizesOf(i.image); err != nil || s.unpacked < 10e6 {
			t.Errorf("pulled %d bytes of the image for %s: %v", s.unpacked, i.platform, err)
		}
	}
}

// testElsewhere builds a copy of the source at another path, with other temporary directories and with settings of Go in
// the environment that would change the program.
func testElsewhere(t *testing.T, p program, root string, first v1.ImageIndex) {
	copied := t.TempDir()
	for _, dir := range []string{"cmd", "pkg", "manifests"} {
		if err := os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("GOTMPDIR", t.TempDir())
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOFLAGS", "-tags=other")
	out := t.TempDir()
	buildImage(t, p, copied, out)
	got, err := indexIn(t, out).RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	want, err := first.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("a second build gives another image:\n%s\nthe first is\n%s", got, want)
	}
}

func TestSizeLimit(t *testing.T) {
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	images := []platformImage{{platform: v1.Platform{OS: "linux", Architecture: "amd64"}, image: image}}
	s, err := sizesOf(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSizes(program{name: "large", limit: s.unpacked}, images); err != nil {
		t.Errorf("an image of the limit's size: %v", err)
	}
	if err := checkSizes(program{name: "large", limit: s.unpacked - 1}, images); err == nil || !strings.Contains(err.Error(), "text/template") {
		t.Errorf("an image larger than the limit gives %v, want an error that says what to look for", err)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--image registry.example.com:5000/tm --tag v1", ""},
		{"--image registry.example.com/tm:v1", "IMAGE"},
		{"--tag a/b", "TAG"},
		{"--epoch yesterday", "SOURCE_DATE_EPOCH"},
		{"--program kubectl", `"kubectl"`},
	} {
		got, err := parse(strings.Fields(c.args))
		switch {
		case c.want == "" && (err != nil || got.tag.String() != "registry.example.com:5000/tm:v1"):
			t.Errorf("%s: got %s, %v", c.args, got.tag, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want an error that says to change %s", c.args, err, c.want)
		}
	}
}

func TestFailures(t *testing.T) {
	// Nobody listens there: what was built is kept, and the error says what to do.
	tag, err := name.NewTag("127.0.0.1:1/tm:v1")
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(10, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := push(context.Background(), tag, index); err == nil || !strings.Contains(err.Error(), "docker login") {
		t.Errorf("a push to nowhere gives %v", err)
	}
	if err := correctSBOMs(t.TempDir(), "v1"); err == nil {
		t.Error("a build without SBOM is taken for good")
	}
}
