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

package app

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/strictyaml"
)

// configFile is a configuration file that was read.
type configFile struct {
	path   string
	config *v1alpha1.TaintManagerConfiguration
	lines  strictyaml.Lines
	// wrong are the paths of the fields that have errors.
	wrong map[string]bool
}

// readConfig reads a configuration file over the defaults, and returns all that is wrong with it. The file is nil if it cannot be read.
func readConfig(path string) (*configFile, []error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, []error{fmt.Errorf("cannot read the configuration file: %w", err)}
	}
	file := &configFile{path: path, config: v1alpha1.Default(), wrong: map[string]bool{}}
	file.config.APIVersion, file.config.Kind = "", "" // these have no default
	lines, wrong := strictyaml.Decode(data, file.config)
	file.lines = lines
	for _, err := range wrong {
		file.wrong[err.Path] = true
	}
	if hasFields := len(lines) > 1; hasFields || len(wrong) == 0 {
		for _, err := range validate(file.config) {
			if !file.wrong[err.Field] { // otherwise it is the default that was checked
				wrong = append(wrong, strictyaml.Error{Line: lines.Of(err.Field), Path: err.Field, Message: err.ErrorBody()})
			}
		}
	}
	slices.SortStableFunc(wrong, func(a, b strictyaml.Error) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, 0, len(wrong))
	for _, err := range wrong {
		file.wrong[err.Path] = true
		errs = append(errs, file.errorAt(err.Line, err))
	}
	return file, errs
}

// errorAt returns an error with the file and the line, as compilers write it.
func (f *configFile) errorAt(line int, err error) error {
	if line == 0 {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return fmt.Errorf("%s:%d: %w", f.path, line, err)
}
