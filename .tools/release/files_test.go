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
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestMonitoring renders the alerts and the dashboard, which no other file of a release has.
func TestMonitoring(t *testing.T) {
	root, err := filepath.Abs("../..")
	must(t, err)
	r := &release{root: root, out: t.TempDir(), version: version, image: imageOfManifests}
	must(t, r.manifests(t.Context()))
	rendered, err := os.ReadFile(r.path("taint-manager-monitoring.yaml"))
	must(t, err)
	var kinds []string
	for object := range strings.SplitSeq(string(rendered), "\n---\n") {
		var o struct{ Kind string }
		must(t, yaml.Unmarshal([]byte(object), &o))
		kinds = append(kinds, o.Kind)
	}
	if want := []string{"ConfigMap", "PrometheusRule"}; !slices.Equal(kinds, want) {
		t.Errorf("it has the objects %v, want %v", kinds, want)
	}
}

// testManifests compares what was rendered with what kubectl makes of the same directories.
func testManifests(t *testing.T, root, out, bin string) {
	for file, directory := range map[string]string{
		"taint-manager-crd.yaml":           "manifests/crd",
		"taint-manager-base.yaml":          "manifests/base",
		"taint-manager-kind.yaml":          "manifests/overlays/kind",
		"taint-manager-monitoring.yaml":    "manifests/monitoring",
		"taint-manager-own-namespace.yaml": "manifests/overlays/own-namespace",
		"taint-manager-production.yaml":    "manifests/overlays/production",
	} {
		rendered, err := os.ReadFile(filepath.Join(out, file))
		must(t, err)
		want, err := command(t.Context(), root, nil, filepath.Join(bin, "kubectl"), "kustomize", directory)
		must(t, err)
		image := regexp.MustCompile("image: ghcr.io/taint-manager/taint-manager(:dev)?\n") // the base has no tag
		if n := len(image.FindAllString(want, -1)); n != 1 && file != "taint-manager-crd.yaml" && file != "taint-manager-monitoring.yaml" {
			t.Errorf("%s names the image %d times", directory, n)
		}
		if want := image.ReplaceAllString(want, "image: ghcr.io/taint-manager/taint-manager:v0.1.0\n"); string(rendered) != want {
			t.Errorf("%s is\n%s\nand kubectl kustomize %s gives\n%s", file, rendered, directory, want)
		}
	}
}

// testImage checks that the OCI archive holds the index whose digest the release notes name, and the images that the other archives hold.
func testImage(t *testing.T, out, program, image string) {
	files := untar(t, filepath.Join(out, image+"-image-v0.1.0.oci.tar"))
	var layout, index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture string }
		}
	}
	must(t, json.Unmarshal(files["index.json"], &layout))
	blob := func(digest string) []byte { return files["blobs/"+strings.Replace(digest, ":", "/", 1)] }
	must(t, json.Unmarshal(blob(layout.Manifests[0].Digest), &index))
	notes, err := os.ReadFile(filepath.Join(out, "RELEASE_NOTES.md"))
	must(t, err)
	if !strings.Contains(string(notes), "`"+layout.Manifests[0].Digest+"`") {
		t.Errorf("the notes do not name the digest %s", layout.Manifests[0].Digest)
	}
	if files["oci-layout"] == nil || len(index.Manifests) != 2 {
		t.Fatalf("the OCI archive holds %d images", len(index.Manifests))
	}
	for _, i := range index.Manifests {
		var manifest struct{ Config struct{ Digest string } }
		must(t, json.Unmarshal(blob(i.Digest), &manifest))
		var config struct {
			OS, Architecture, Created string
			Config                    struct{ Entrypoint []string }
		}
		must(t, json.Unmarshal(blob(manifest.Config.Digest), &config))
		if config.OS != "linux" || config.Architecture != i.Platform.Architecture || config.Created != "2023-11-14T22:13:20Z" ||
			config.Config.Entrypoint[0] != "/ko-app/"+program {
			t.Errorf("the image for %s is for %+v", i.Platform.Architecture, config)
		}
		name := filepath.Join(out, image+"-image-v0.1.0-linux-"+i.Platform.Architecture)
		var archive []struct {
			Config   string
			RepoTags []string
		}
		must(t, json.Unmarshal(untar(t, name+".tar")["manifest.json"], &archive))
		if len(archive) != 1 || archive[0].Config != manifest.Config.Digest || archive[0].RepoTags[0] != "ghcr.io/taint-manager/"+image+":v0.1.0" {
			t.Errorf("the archive for docker load holds %+v, want %s", archive, manifest.Config.Digest)
		}
		sbom, err := os.ReadFile(name + ".spdx.json")
		must(t, err)
		if !strings.Contains(string(sbom), i.Digest) {
			t.Errorf("the SBOM is not that of %s", i.Digest)
		}
	}
}

// testChart checks that the chart is of this version, and names the images of it.
func testChart(t *testing.T, out string) {
	files := unpack(t, filepath.Join(out, "taint-manager-0.1.0.tgz"))
	var chart struct {
		Version, AppVersion string
		Annotations         map[string]string
	}
	must(t, yaml.Unmarshal(files["taint-manager/Chart.yaml"].content, &chart))
	images := chart.Annotations["artifacthub.io/images"]
	if chart.Version != "0.1.0" || chart.AppVersion != version || strings.Count(images, "ghcr.io/taint-manager/taint-manager:v0.1.0\n") != 1 ||
		strings.Count(images, "ghcr.io/taint-manager/kubectl-taint-manager:v0.1.0\n") != 1 {
		t.Errorf("the chart is of version %s, appVersion %s, with the images\n%s", chart.Version, chart.AppVersion, images)
	}
}

func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer func() { _ = file.Close() }()
	files := map[string][]byte{}
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		files[header.Name], err = io.ReadAll(archive)
		must(t, err)
	}
}
