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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// correctSBOMs fixes what ko gets wrong in the SBOMs that it wrote to dir: it reads our version from Go's build stamp, which
// is disabled; takes "scratch" for an image on Docker Hub; and writes identifiers with characters that SPDX forbids.
func correctSBOMs(dir, version string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.spdx.json"))
	if err != nil {
		return fmt.Errorf("list the SBOMs: %w", err)
	}
	if len(files) == 0 {
		return errors.New("ko wrote no SBOM: look for what changed with its version")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read an SBOM: %w", err)
		}
		if err := os.WriteFile(file, []byte(correctSBOM(string(content), version)), 0o644); err != nil {
			return fmt.Errorf("write an SBOM: %w", err)
		}
	}
	return nil
}

func correctSBOM(sbom, version string) string {
	sbom = strings.NewReplacer(
		"(devel)", version,
		"index.docker.io/library/scratch@", "scratch@",
		`?repository_url=index.docker.io%2Flibrary%2Fscratch\u0026tag=latest`, "",
	).Replace(sbom)
	id := regexp.MustCompile(`"SPDXRef-[^"]*"`)
	forbidden := regexp.MustCompile(`[^"a-zA-Z0-9.-]`)
	return id.ReplaceAllStringFunc(sbom, func(id string) string { return forbidden.ReplaceAllString(id, "-") })
}
