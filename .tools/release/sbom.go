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
	"fmt"
	"io"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// writeSBOM lists the Go modules in a program, in the format CycloneDX. The serial number follows from the program, and so does everything
// else: a serial number of CycloneDX is usually drawn by lot.
func (r *release) writeSBOM(program, path string) error {
	generator, err := bin.NewGenerator(program, bin.WithIncludeStdlib(true), bin.WithVersionOverride(r.version), bin.WithLogger(zerolog.Nop()))
	if err != nil {
		return err
	}
	sbom, err := generator.Generate()
	if err != nil {
		return fmt.Errorf("list the modules in %s: %w", program, err)
	}
	sum, err := digest(program)
	if err != nil {
		return err
	}
	sbom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte(repository+"#sha256:"+sum)).URN()
	sbom.Metadata.Timestamp = r.created.Format(time.RFC3339)
	return create(path, func(file io.Writer) error {
		return cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(sbom)
	})
}
