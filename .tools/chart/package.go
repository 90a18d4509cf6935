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
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"regexp"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"sigs.k8s.io/yaml"
)

const (
	// defaultImage and defaultPluginImage are what values.yaml in the repository names.
	defaultImage       = "ghcr.io/taint-manager/taint-manager"
	defaultPluginImage = "ghcr.io/taint-manager/kubectl-taint-manager"
)

// source is the input of a package. The same source and version of Go give the same package, byte for byte.
type source struct {
	dir                string
	version            string
	tag                string
	image, pluginImage string
	created            time.Time
}

// packaged is a chart in an archive.
type packaged struct {
	path          string
	content       []byte
	digest        string
	name, version string
}

// build packages the chart, with the version and the images of this build in it.
func build(s source, out string) (packaged, error) {
	c, err := loader.Load(s.dir)
	if err != nil {
		return packaged{}, fmt.Errorf("load the chart in %s: %w", s.dir, err)
	}
	if err := stamp(c, s); err != nil {
		return packaged{}, err
	}
	date(c, s.created)
	if err := os.RemoveAll(out); err != nil {
		return packaged{}, fmt.Errorf("remove the previous package: %w", err)
	}
	archive, err := chartutil.Save(c, out)
	if err != nil {
		return packaged{}, fmt.Errorf("package the chart: %w", err)
	}
	// `helm push` takes the time of the file for that of the artifact.
	if err := os.Chtimes(archive, s.created, s.created); err != nil {
		return packaged{}, fmt.Errorf("date the package: %w", err)
	}
	content, err := os.ReadFile(archive)
	if err != nil {
		return packaged{}, fmt.Errorf("read the package: %w", err)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	return packaged{path: archive, content: content, digest: digest, name: c.Name(), version: c.Metadata.Version}, nil
}

// stamp writes the version and the images into the chart. Users who push images of their own get a chart that names these.
func stamp(c *chart.Chart, s source) error {
	c.Metadata.Version, c.Metadata.AppVersion = s.version, s.tag
	type image struct {
		Name  string `json:"name"`
		Image string `json:"image"`
	}
	images, err := yaml.Marshal([]image{{"taint-manager", s.image + ":" + s.tag}, {"kubectl-taint-manager", s.pluginImage + ":" + s.tag}})
	if err != nil {
		return fmt.Errorf("list the images: %w", err)
	}
	c.Metadata.Annotations["artifacthub.io/images"] = string(images)
	for _, file := range c.Files {
		if file.Name == "README.md" {
			file.Data = relink(file.Data)
		}
	}
	for _, file := range c.Raw {
		if file.Name != chartutil.ValuesfileName {
			continue
		}
		for from, to := range map[string]string{defaultImage: s.image, defaultPluginImage: s.pluginImage} {
			line := []byte("repository: " + from + "\n")
			if n := bytes.Count(file.Data, line); n != 1 {
				return fmt.Errorf("%s has %d lines %q, and one is replaced", file.Name, n, line)
			}
			file.Data = bytes.Replace(file.Data, line, []byte("repository: "+to+"\n"), 1)
		}
	}
	return nil
}

// date sets the time of every file.
func date(c *chart.Chart, created time.Time) {
	c.ModTime, c.SchemaModTime = created, created
	for _, files := range [][]*common.File{c.Raw, c.Templates, c.Files} {
		for _, file := range files {
			file.ModTime = created
		}
	}
}

// relink makes links to other files of the repository work outside of it.
func relink(document []byte) []byte {
	links := regexp.MustCompile(`\]\((\.\./[^)]*)\)`)
	return links.ReplaceAllFunc(document, func(link []byte) []byte {
		return fmt.Appendf(nil, "](https://github.com/taint-manager/taint-manager/blob/main/%s)", path.Join("manifests/helm/taint-manager", string(links.FindSubmatch(link)[1])))
	})
}
