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
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// packed is a file in an archive.
type packed struct {
	mode     os.FileMode
	modified time.Time
	content  []byte
}

// unpack reads a .tar.gz or a .zip.
func unpack(t *testing.T, path string) map[string]packed {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	files := map[string]packed{}
	if filepath.Ext(path) == ".zip" {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		for _, file := range archive.File {
			reader, err := file.Open()
			must(t, err)
			content, err := io.ReadAll(reader)
			must(t, err)
			files[file.Name] = packed{file.Mode(), file.Modified, content}
		}
		return files
	}
	uncompressed, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	for archive := tar.NewReader(uncompressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		content, err := io.ReadAll(archive)
		must(t, err)
		if header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
			t.Errorf("%s: belongs to user %d %q of group %d", header.Name, header.Uid, header.Uname, header.Gid)
		}
		files[header.Name] = packed{header.FileInfo().Mode(), header.ModTime, content}
	}
}

// testPlugin looks into the archive for a platform, and compares its SBOM with what Go says of the program.
func testPlugin(t *testing.T, out string, p platform) {
	program, completer, extension := "kubectl-taint_manager", "kubectl_complete-taint_manager", ".tar.gz"
	if p.os == "windows" {
		program, completer, extension = program+".exe", completer+".cmd", ".zip"
	}
	name := filepath.Join(out, "kubectl-taint_manager-v0.1.0-"+p.os+"-"+p.arch)
	files := unpack(t, name+extension)
	want := []string{
		"LICENSE",
		"completion/_kubectl-taint_manager", "completion/kubectl-taint_manager.bash", "completion/kubectl-taint_manager.fish", "completion/kubectl-taint_manager.ps1",
		program, completer,
	}
	for _, verb := range []string{"", "-completion", "-completion-bash", "-completion-fish", "-completion-powershell", "-completion-zsh",
		"-doctor", "-pause", "-plan", "-resume", "-status", "-watch", "-why"} {
		want = append(want, "man/kubectl-taint-manager"+verb+".1")
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("got the files\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for file, is := range files {
		mode := os.FileMode(0o644)
		if file == program || file == completer {
			mode = 0o755
		}
		if is.mode != mode || is.modified.Unix() != 1700000000 || len(is.content) == 0 {
			t.Errorf("%s: has mode %s, is of %s, and has %d bytes; want %s, and the time of the release", file, is.mode, is.modified, len(is.content), mode)
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(files[program].content))
	must(t, err)
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	for key, want := range map[string]string{
		"GOOS": p.os, "GOARCH": p.arch, "CGO_ENABLED": "0", "-trimpath": "true", "-tags": "grpcnotrace", "vcs.revision": "",
	} {
		if settings[key] != want {
			t.Errorf("the program was built with %s=%s, want %q", key, settings[key], want)
		}
	}
	testSBOM(t, name+".cdx.json", info)
}

func testSBOM(t *testing.T, path string, info *buildinfo.BuildInfo) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var sbom cdx.BOM
	must(t, cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&sbom))
	if main := sbom.Metadata.Component; main.Name != info.Main.Path || main.Version != version || sbom.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("the SBOM is of %s %s, made %s", main.Name, main.Version, sbom.Metadata.Timestamp)
	}
	if !strings.HasPrefix(sbom.SerialNumber, "urn:uuid:") {
		t.Errorf("the SBOM has the serial number %q", sbom.SerialNumber)
	}
	got := map[string]string{}
	for _, component := range *sbom.Components {
		got[component.Name] = component.Version
	}
	want := map[string]string{"std": info.GoVersion}
	for _, module := range info.Deps {
		want[module.Path] = module.Version
	}
	if !maps.Equal(got, want) || len(want) < 20 {
		t.Errorf("the SBOM lists\n%v\nand the program has\n%v", got, want)
	}
}
