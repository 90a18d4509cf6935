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
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	kobuild "github.com/google/ko/pkg/build"
)

const (
	module = "github.com/taint-manager/taint-manager"
	// user runs the process. It is the customary number for an account that no host has.
	user = "65532:65532"
)

// program is what an image holds.
type program struct {
	// name is that of its directory below cmd, and of the file in the image.
	name string
	// title and description are those of the image.
	title, description string
	// limit is the largest size of an unpacked image, in bytes. A single import can add half the size of the program.
	limit int64
}

// programs returns those that have an image.
func programs() []program {
	return []program{
		{"taint-manager", "taint-manager", "Evicts pods that do not tolerate their node's NoExecute taints", 40_000_000},
		{"kubectl-taint_manager", "kubectl-taint-manager", "Says which pods go because of taints, and whether taint-manager is set up right", 55_000_000},
	}
}

// importPath returns the package that is built.
func (p program) importPath() string { return module + "/cmd/" + p.name }

// source is the input of a build. The same source and version of Go give the same image, byte for byte.
type source struct {
	root      string // directory of the module
	program   program
	version   string
	revision  string
	ldflags   string
	gcflags   string
	buildTags string
	created   time.Time
}

// platforms returns the platforms that the image is built for.
func platforms() []v1.Platform {
	return []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
}

// labels returns the annotations of the OCI image specification that describe the image.
func labels(s source) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       s.program.title,
		prefix + "description": s.program.description,
		prefix + "licenses":    "Apache-2.0",
		prefix + "source":      "https://" + module,
		prefix + "version":     s.version,
		prefix + "revision":    s.revision,
	}
}

// pinned returns the settings that change what Go builds, so that the environment of the builder does not.
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

// build compiles the program for each platform and returns an index of the images. It writes an SBOM in SPDX format for each
// to sbomDir.
func build(ctx context.Context, s source, sbomDir string) (v1.ImageIndex, error) {
	var names []string
	for _, p := range platforms() {
		names = append(names, p.String())
	}
	config := kobuild.Config{Flags: []string{"-tags=" + s.buildTags}, Env: pinned()}
	if s.gcflags != "" {
		config.Flags = append(config.Flags, "-gcflags="+s.gcflags)
	}
	if s.ldflags != "" {
		config.Ldflags = []string{s.ldflags}
	}
	options := []kobuild.Option{
		kobuild.WithBaseImages(scratch),
		kobuild.WithPlatforms(names...),
		kobuild.WithConfig(map[string]kobuild.Config{s.program.importPath(): config}),
		kobuild.WithTrimpath(true),
		kobuild.WithUser(user),
		kobuild.WithCreationTime(v1.Time{Time: s.created}),
		kobuild.WithKoDataCreationTime(v1.Time{Time: s.created}),
		kobuild.WithSPDX(koVersion()),
		kobuild.WithSBOMDir(sbomDir),
		kobuild.WithJobs(1), // go build itself is parallel
	}
	for k, v := range labels(s) {
		// Kubernetes' tools read labels; registries show annotations.
		options = append(options, kobuild.WithLabel(k, v), kobuild.WithAnnotation(k, v))
	}
	builder, err := kobuild.NewGo(ctx, s.root, options...)
	if err != nil {
		return nil, fmt.Errorf("set up ko: %w", err)
	}
	result, err := builder.Build(ctx, kobuild.StrictScheme+s.program.importPath())
	if err != nil {
		return nil, fmt.Errorf("build the image: %w", err)
	}
	index, ok := result.(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("build the image: ko gave %T, not an index of images", result)
	}
	return index, nil
}

// scratch returns the base of the image: an empty image for each platform.
func scratch(context.Context, string) (name.Reference, kobuild.Result, error) {
	base := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms() {
		config := &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, RootFS: v1.RootFS{Type: "layers"}}
		image, err := mutate.ConfigFile(empty.Image, config)
		if err != nil {
			return nil, nil, fmt.Errorf("make an empty image for %s: %w", p, err)
		}
		image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
		base = mutate.AppendManifests(base, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &p},
		})
	}
	return scratchName{}, base, nil
}

// scratchName is what ko records as the name of the base image. A usual reference would name an image in a registry, which
// does not exist.
type scratchName struct{}

func (scratchName) String() string           { return "scratch" }
func (scratchName) Name() string             { return "scratch" }
func (scratchName) Identifier() string       { return "" }
func (scratchName) Scope(string) string      { return "" }
func (scratchName) Context() name.Repository { return name.Repository{} }

// koVersion returns the version of ko that go.mod pins. The SBOM names the tool that made it.
func koVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/google/ko" {
				return dep.Version
			}
		}
	}
	return "(unknown version)" // in tests, which have no build info of their dependencies
}

// platformImage is the image of one platform.
type platformImage struct {
	platform v1.Platform
	image    v1.Image
}

func imagesOf(index v1.ImageIndex) ([]platformImage, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	var images []platformImage
	for _, d := range manifest.Manifests {
		if d.Platform == nil {
			return nil, errors.New("read the index: an image has no platform")
		}
		image, err := index.Image(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("read the image for %s: %w", d.Platform, err)
		}
		images = append(images, platformImage{platform: *d.Platform, image: image})
	}
	return images, nil
}
