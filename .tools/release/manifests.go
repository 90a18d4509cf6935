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
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// imageOfManifests is the name in the base. Kustomize replaces it.
const imageOfManifests = "ghcr.io/taint-manager/taint-manager"

// manifests renders the CustomResourceDefinition, the base and each overlay, with the image of this version, and the alerts with the dashboard.
func (r *release) manifests(context.Context) error {
	source := os.DirFS(filepath.Join(r.root, "manifests"))
	files := filesys.MakeFsInMemory()
	err := fs.WalkDir(source, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(source, file)
		if err != nil {
			return err
		}
		return files.WriteFile("/"+file, data)
	})
	if err != nil {
		return fmt.Errorf("read the manifests: %w", err)
	}
	overlays, err := fs.ReadDir(source, "overlays")
	if err != nil {
		return fmt.Errorf("list the overlays: %w", err)
	}
	directories := []string{"crd", "base", "monitoring"}
	for _, overlay := range overlays {
		directories = append(directories, path.Join("overlays", overlay.Name()))
	}
	for _, directory := range directories {
		rendered, err := r.render(files, directory)
		if err != nil {
			return fmt.Errorf("render manifests/%s: %w", directory, err)
		}
		if err := os.WriteFile(r.path(name+"-"+path.Base(directory)+".yaml"), rendered, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render renders a directory as an overlay of it would that names the image.
func (r *release) render(files filesys.FileSystem, directory string) ([]byte, error) {
	const overlay = "/release"
	data, err := yaml.Marshal(types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: []string{path.Join("..", directory)},
		Images:    []types.Image{{Name: imageOfManifests, NewName: r.image, NewTag: r.version}},
	})
	if err != nil {
		return nil, err
	}
	if err := files.WriteFile(path.Join(overlay, "kustomization.yaml"), data); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // as kubectl does: a Namespace comes before what is in it
	objects, err := krusty.MakeKustomizer(options).Run(files, overlay)
	if err != nil {
		return nil, err
	}
	return objects.AsYaml()
}
