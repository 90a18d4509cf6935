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
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func testConfig(t *testing.T, p program, i platformImage) {
	file, err := i.image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := file.OS + "/" + file.Architecture; got != i.platform.String() {
		t.Errorf("the config is for %s, the index says %s", got, i.platform)
	}
	if file.Config.User != "65532:65532" {
		t.Errorf("the user is %q, want a number that is not root's: kubelet checks runAsNonRoot by it", file.Config.User)
	}
	if got := file.Config.Entrypoint; !slices.Equal(got, []string{p.path()}) || len(file.Config.Cmd) != 0 {
		t.Errorf("the entrypoint is %q with arguments %q", got, file.Config.Cmd)
	}
	if want := time.Unix(1700000000, 0); !file.Created.Equal(want) {
		t.Errorf("the image was created at %s, want the commit's time, %s", file.Created, want)
	}
	for label, want := range map[string]string{
		"title": p.title, "licenses": "Apache-2.0", "source": "https://github.com/taint-manager/taint-manager",
		"version": "v1.2.3", "revision": "abc",
	} {
		if got := file.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("the label %s is %q, want %q", label, got, want)
		}
	}
	if file.Config.Labels["org.opencontainers.image.description"] == "" {
		t.Error("the label description is empty")
	}
}

// testFiles checks that the image holds the program, static and executable, and no other file.
func testFiles(t *testing.T, p program, i platformImage) {
	layers, err := i.image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = content.Close() }()
		archive := tar.NewReader(content)
		for {
			header, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, header.Name)
			if header.Mode != 0o555 || header.Uid != 0 {
				t.Errorf("%s has mode %o and owner %d, want 555 and root: who runs it may not change it", header.Name, header.Mode, header.Uid)
			}
			if header.Name == p.path() {
				testStatic(t, archive, i.platform)
			}
		}
	}
	if want := []string{"/var", "/var/run", "/var/run/ko", "ko-app", p.path()}; !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
}

func testStatic(t *testing.T, program io.Reader, platform v1.Platform) {
	content, err := io.ReadAll(program)
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[platform.Architecture]; file.Machine != want {
		t.Errorf("the program is for %s, want %s", file.Machine, want)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program asks for a dynamic linker, which the image does not have")
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for key, want := range map[string]string{
		"-trimpath": "true", "-tags": "grpcnotrace", "-gcflags": "github.com/google/cel-go/...=-l", "CGO_ENABLED": "0", "vcs.revision": "",
	} {
		if settings[key] != want {
			t.Errorf("the program was built with %s=%s, want %q", key, settings[key], want)
		}
	}
}

func testSBOM(t *testing.T, file string, i platformImage) {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var sbom struct {
		Version  string `json:"spdxVersion"`
		Packages []struct {
			ID           string `json:"SPDXID"`
			Name         string
			VersionInfo  string
			ExternalRefs []struct{ ReferenceLocator string }
		}
	}
	if err := json.Unmarshal(content, &sbom); err != nil {
		t.Fatalf("the SBOM is no JSON: %v", err)
	}
	if sbom.Version != "SPDX-2.3" {
		t.Errorf("the SBOM is in %q", sbom.Version)
	}
	valid := regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	packages := map[string]string{}
	for _, p := range sbom.Packages {
		packages[p.Name] = p.VersionInfo
		if !valid.MatchString(p.ID) {
			t.Errorf("SPDX forbids the identifier %q", p.ID)
		}
		if p.Name == module && p.ExternalRefs[0].ReferenceLocator != "pkg:golang/"+module+"@v1.2.3?type=module" {
			t.Errorf("the SBOM calls us %q", p.ExternalRefs[0].ReferenceLocator)
		}
	}
	digest, err := i.image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{digest.String(), module, "k8s.io/client-go", "k8s.io/api", "golang.org/x/net", "github.com/prometheus/client_golang"} {
		if _, ok := packages[want]; !ok {
			t.Errorf("the SBOM does not list %s", want)
		}
	}
	if strings.Contains(string(content), "docker.io") {
		t.Error("the SBOM names an image on Docker Hub, and we have none from there")
	}
}

// testArchive checks what `docker load` goes by.
func testArchive(t *testing.T, file, repository string, i platformImage) {
	tag, err := name.NewTag(repository + ":v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatalf("the archive holds no %s: %v", tag, err)
	}
	got, err := loaded.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := i.image.ConfigName(); err != nil || got != want {
		t.Errorf("the archive holds the image %s, want %s (%v)", got, want, err)
	}
}
