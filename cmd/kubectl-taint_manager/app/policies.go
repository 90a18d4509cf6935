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
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/strictyaml"
)

// readPolicies reads the TaintEvictionPolicies in a file, or in standard input for -. All that is wrong with a document is in the error.
func readPolicies(path string, stdin io.Reader) ([]*unstructured.Unstructured, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usagef("--policies: %w", err)
		}
		defer file.Close()
		from = file
	}
	var all []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(from))
	for line := 0; ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, usagef("--policies %s: %w", path, err)
		}
		if len(bytes.TrimSpace(document)) > 0 {
			object, wrong := readPolicy(document)
			for i := range wrong {
				wrong[i] = fmt.Errorf("%s: document from line %d: %w", path, line+1, wrong[i])
			}
			if len(wrong) > 0 {
				return nil, usageError{errors.Join(wrong...)}
			}
			if slices.ContainsFunc(all, func(other *unstructured.Unstructured) bool { return other.GetName() == object.GetName() }) {
				return nil, usagef("--policies %s: there are two policies named %s", path, object.GetName())
			}
			all = append(all, object)
		}
		line += bytes.Count(document, []byte("\n")) + 1 // and the separator
	}
	if len(all) == 0 {
		return nil, usagef("--policies %s: there is no TaintEvictionPolicy in it", path)
	}
	return all, nil
}

// readPolicy decodes one policy strictly.
func readPolicy(document []byte) (*unstructured.Unstructured, []error) {
	policy := &v1alpha1.TaintEvictionPolicy{}
	var errs []error
	_, wrong := strictyaml.Decode(document, policy)
	for _, one := range wrong {
		errs = append(errs, fmt.Errorf("line %d: %w", one.Line, one))
	}
	if kind := "TaintEvictionPolicy"; len(errs) == 0 && (policy.Kind != kind || policy.APIVersion != v1alpha1.GroupVersion.String()) {
		errs = append(errs, fmt.Errorf("is not a %s of %s, but a %q of %q", kind, v1alpha1.GroupVersion, policy.Kind, policy.APIVersion))
	}
	if len(errs) == 0 && policy.Name == "" {
		errs = append(errs, errors.New("metadata.name is missing"))
	}
	if len(errs) > 0 {
		return nil, errs
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	if err != nil {
		return nil, []error{err}
	}
	return &unstructured.Unstructured{Object: fields}, nil
}
