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
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// sizes of an image's layers, in bytes.
type sizes struct{ unpacked, packed int64 }

func sizesOf(image v1.Image) (sizes, error) {
	layers, err := image.Layers()
	if err != nil {
		return sizes{}, fmt.Errorf("read the layers: %w", err)
	}
	var s sizes
	for _, layer := range layers {
		packed, err := layer.Size()
		if err != nil {
			return sizes{}, fmt.Errorf("measure a layer: %w", err)
		}
		unpacked, err := unpackedSize(layer)
		if err != nil {
			return sizes{}, fmt.Errorf("unpack a layer: %w", err)
		}
		s.packed += packed
		s.unpacked += unpacked
	}
	return s, nil
}

func unpackedSize(layer v1.Layer) (int64, error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, content)
	return n, errors.Join(err, content.Close())
}

// checkSizes fails if an image is too large.
func checkSizes(p program, images []platformImage) error {
	for _, i := range images {
		s, err := sizesOf(i.image)
		if err != nil {
			return fmt.Errorf("%s: %w", i.platform, err)
		}
		if s.unpacked > p.limit {
			return fmt.Errorf("the image for %s takes %s unpacked, more than the limit of %s. Usually something executes "+
				"text/template or html/template, which call methods by name, so that the linker keeps every method of every type. "+
				"This names it, and prints nothing when all is well: go build -tags grpcnotrace -ldflags=-dumpdep -o /dev/null "+
				"./cmd/%s 2>&1 | grep '<ReflectMethod>'", i.platform, megabytes(s.unpacked), megabytes(p.limit), p.name)
		}
	}
	return nil
}

// write writes the index as an OCI layout, and each image as an archive for `docker load` and `kind load image-archive`,
// which do not accept an index.
func write(dir string, p program, tag name.Tag, index v1.ImageIndex, images []platformImage) error {
	oci, err := layout.Write(filepath.Join(dir, "oci"), empty.Index)
	if err != nil {
		return fmt.Errorf("write the OCI layout: %w", err)
	}
	refName := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag.TagStr()})
	if err := oci.AppendIndex(index, refName); err != nil {
		return fmt.Errorf("write the OCI layout: %w", err)
	}
	for _, i := range images {
		if err := tarball.WriteToFile(filepath.Join(dir, archive(p, i.platform)), tag, i.image); err != nil {
			return fmt.Errorf("write the archive for %s: %w", i.platform, err)
		}
	}
	return nil
}

func archive(p program, on v1.Platform) string {
	return fmt.Sprintf("%s-%s-%s.tar", p.title, on.OS, on.Architecture)
}

// push pushes the index and its images to the registry with the credentials of `docker login`. It returns the reference by
// digest.
func push(ctx context.Context, tag name.Tag, index v1.ImageIndex) (name.Reference, error) {
	digest, err := index.Digest()
	if err != nil {
		return nil, fmt.Errorf("digest of the index: %w", err)
	}
	if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return nil, fmt.Errorf("push %s (set IMAGE to where you may write; credentials are those of `docker login`): %w", tag, err)
	}
	return tag.Digest(digest.String()), nil
}

// summarize prints what was built and where it is.
func summarize(w io.Writer, c command, index v1.ImageIndex, images []platformImage) error {
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("digest of the index: %w", err)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nBuilt %s, from scratch:\n\n\tUNPACKED\tPACKED\tDIGEST\n", c.tag)
	for _, i := range images {
		s, err := sizesOf(i.image)
		if err != nil {
			return fmt.Errorf("%s: %w", i.platform, err)
		}
		digest, err := i.image.Digest()
		if err != nil {
			return fmt.Errorf("digest of the image for %s: %w", i.platform, err)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", i.platform, megabytes(s.unpacked), megabytes(s.packed), digest)
	}
	fmt.Fprintf(table, "index\t\t\t%s\n", digest)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nIn %s:\n  oci/  the index, as an OCI layout\n", c.out)
	for _, i := range images {
		fmt.Fprintf(w, "  %s  for docker load and kind load image-archive\n", archive(c.source.program, i.platform))
	}
	_, err = fmt.Fprintln(w, "  sbom/  the Go modules inside, in SPDX format")
	return err
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
