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
	"strings"
)

// chart has .tools/chart package the Helm chart, which names the images of the release.
func (r *release) chart(ctx context.Context) error {
	built := filepath.Join(r.temporary, "chart")
	_, err := command(ctx, filepath.Join(r.root, ".tools/chart"), pinned(), "go", "run", ".", "--chart", filepath.Join(r.root, "manifests/helm", name),
		"--out", built, "--image", r.image, "--plugin-image", r.pluginImage, "--tag", r.version, "--version", r.version, "--epoch", r.epoch())
	if err != nil {
		return err
	}
	file := fmt.Sprintf("%s-%s.tgz", name, r.chartVersion())
	return copyFile(filepath.Join(built, file), r.path(file))
}

// chartVersion returns the version as Helm has it, without the v.
func (r *release) chartVersion() string { return strings.TrimPrefix(r.version, "v") }
