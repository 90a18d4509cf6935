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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// containerImage is an image of a release.
type containerImage struct {
	// program is its name in cmd, title that of the files that .tools/image writes.
	program, title string
	// image has no tag.
	image string
	// digest is that of the index of all platforms.
	digest string
}

// containerImages has .tools/image build the images, and takes what it wrote: an archive and an SBOM for each platform, and the index of the
// platforms as an archive of an OCI layout.
func (r *release) containerImages(ctx context.Context) error {
	r.images = []containerImage{
		{program: name, title: name, image: r.image},
		{program: plugin, title: "kubectl-taint-manager", image: r.pluginImage},
	}
	for i := range r.images {
		built := filepath.Join(r.temporary, "image", r.images[i].title)
		if err := r.buildImage(ctx, r.images[i], built); err != nil {
			return fmt.Errorf("%s: %w", r.images[i].title, err)
		}
		var err error
		if r.images[i].digest, err = r.takeImage(r.images[i], built); err != nil {
			return fmt.Errorf("%s: %w", r.images[i].title, err)
		}
	}
	return nil
}

// buildImage writes the image of a program into a directory.
func (r *release) buildImage(ctx context.Context, i containerImage, out string) error {
	_, err := command(ctx, filepath.Join(r.root, ".tools/image"), pinned(), "go", "run", ".", "--program", i.program, "--root", r.root, "--out", out,
		"--image", i.image, "--tag", r.version, "--version", r.version, "--revision", r.revision, "--epoch", r.epoch(),
		"--tags", r.buildTags, "--gcflags", r.gcflags, "--ldflags", r.ldflags)
	return err
}

// takeImage copies what was built to the files of the release, and returns the digest of the image.
func (r *release) takeImage(i containerImage, built string) (string, error) {
	for prefix, extension := range map[string]string{i.title + "-linux-": ".tar", filepath.Join("sbom", i.program+"-linux-"): ".spdx.json"} {
		files, err := filepath.Glob(filepath.Join(built, prefix+"*"+extension))
		if err != nil {
			return "", err
		}
		if len(files) == 0 {
			return "", fmt.Errorf("its builder wrote no %s*%s: look for what its files are called now", prefix, extension)
		}
		for _, file := range files {
			architecture := strings.TrimSuffix(strings.TrimPrefix(file, filepath.Join(built, prefix)), extension)
			if err := copyFile(file, r.path(r.file(i.title+"-image", "linux-"+architecture, extension))); err != nil {
				return "", err
			}
		}
	}
	layout := filepath.Join(built, "oci")
	entries, err := entriesOf(layout)
	if err != nil {
		return "", err
	}
	err = create(r.path(i.title+"-image-"+r.version+".oci.tar"), func(file io.Writer) error { return writeTar(file, entries, r.created) })
	if err != nil {
		return "", err
	}
	return indexDigest(layout)
}

// indexDigest returns the digest of the only index in an OCI layout.
func indexDigest(layout string) (string, error) {
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return "", fmt.Errorf("read the OCI layout: %w", err)
	}
	if len(index.Manifests) != 1 {
		return "", errors.New("the OCI layout has not one index")
	}
	return index.Manifests[0].Digest, nil
}
