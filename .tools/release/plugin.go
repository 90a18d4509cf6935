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
	"context"
	"fmt"
	"path/filepath"
)

// completer is the program that kubectl runs to complete arguments of the plugin. Its name on Windows ends with .cmd.
const completer = "kubectl_complete-taint_manager"

// platform is what a plugin is built for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "-" + p.arch }

// platforms returns those of the plugin.
func platforms() (all []platform) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, arch})
		}
	}
	return all
}

// program returns the name of the plugin's program.
func (p platform) program() string {
	if p.os == "windows" {
		return plugin + ".exe"
	}
	return plugin
}

// pinned returns the settings that change what Go builds, so that the environment of the builder does not. They are those of the image.
func pinned() []string {
	return []string{
		"CGO_ENABLED=0",
		"GOAMD64=v1",
		"GOARM64=v8.0",
		"GOEXPERIMENT=",
		"GOFIPS140=off",
		// Go's own stamp differs between a checkout, a shallow clone and a source archive. ldflags set the version instead.
		"GOFLAGS=-buildvcs=false",
		"GOWORK=off",
	}
}

// buildFlags are those of `make build`.
func (r *release) buildFlags() []string {
	return []string{"-trimpath", "-tags=" + r.buildTags, "-gcflags=" + r.gcflags, "-ldflags=" + r.ldflags}
}

// documents is where pluginDocuments writes to.
func (r *release) documents() string { return filepath.Join(r.temporary, "documents") }

// pluginDocuments writes what the archives of the plugin have beside the program.
func (r *release) pluginDocuments(ctx context.Context) error {
	args := append([]string{"run"}, r.buildFlags()...)
	args = append(args, "./cmd/kubectl-taint_manager/gendocs", "--out", r.documents(), "--version", r.version, "--epoch", r.epoch())
	_, err := command(ctx, r.root, pinned(), "go", args...)
	return err
}

// plugins builds the plugin for each platform, and packs it. An SBOM of each stands beside.
func (r *release) plugins(ctx context.Context) error {
	for _, p := range platforms() {
		fmt.Fprintf(r.progress, "      %s/%s\n", p.os, p.arch)
		program := filepath.Join(r.temporary, p.String(), p.program())
		args := append([]string{"build"}, r.buildFlags()...)
		args = append(args, "-o", program, "./cmd/kubectl-taint_manager")
		if _, err := command(ctx, r.root, append(pinned(), "GOOS="+p.os, "GOARCH="+p.arch), "go", args...); err != nil {
			return err
		}
		if err := r.writeSBOM(program, r.path(r.file(plugin, p.String(), ".cdx.json"))); err != nil {
			return err
		}
		a, err := r.pack(p, program)
		if err != nil {
			return err
		}
		r.archives = append(r.archives, a)
	}
	return nil
}

// archive is one of the plugin's.
type archive struct {
	platform platform
	file     string
	sha256   string
}

// pack writes the archive of a platform: the program, and what gendocs wrote for it.
func (r *release) pack(p platform, program string) (archive, error) {
	extension, write, foreign := ".tar.gz", writeTarball, completer+".cmd"
	if p.os == "windows" {
		extension, write, foreign = ".zip", writeZip, completer
	}
	entries := []entry{{p.program(), program}, {"LICENSE", filepath.Join(r.root, "LICENSE")}}
	documents, err := entriesOf(r.documents())
	if err != nil {
		return archive{}, fmt.Errorf("read what gendocs wrote: %w", err)
	}
	for _, document := range documents {
		if document.name != foreign {
			entries = append(entries, document)
		}
	}
	a := archive{platform: p, file: r.file(plugin, p.String(), extension)}
	if err := write(r.path(a.file), entries, r.created); err != nil {
		return archive{}, fmt.Errorf("write %s: %w", a.file, err)
	}
	a.sha256, err = digest(r.path(a.file))
	return a, err
}
