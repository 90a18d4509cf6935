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

package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/taint-manager/taint-manager/pkg/apis/audit/v1alpha1"
)

// auditSchema is the JSON Schema of a line of our audit log.
const auditSchema = "../pkg/apis/audit/v1alpha1/evictionrecord.schema.json"

// AuditFile is a file that a controller of ours writes its audit log to.
type AuditFile struct {
	Path  string
	scene *Scene
}

// AuditFile names a file that is not there yet.
func (s *Scene) AuditFile() *AuditFile {
	s.T.Helper()
	return &AuditFile{filepath.Join(s.T.TempDir(), "audit.log"), s}
}

// Args are the flags of the controller.
func (f *AuditFile) Args() []string { return []string{"--audit-log-path=" + f.Path} }

// Lines are the lines so far about pods of the scene.
func (f *AuditFile) Lines() []v1alpha1.EvictionRecord {
	f.scene.T.Helper()
	data, err := os.ReadFile(f.Path)
	f.scene.Must(err)
	return f.scene.AuditLines(data)
}

// AuditLines are the lines about pods of the scene. It fails the test where one is torn, has an unknown field, or does not match the JSON
// Schema.
func (s *Scene) AuditLines(data []byte) (lines []v1alpha1.EvictionRecord) {
	s.T.Helper()
	text, err := os.ReadFile(auditSchema)
	s.Must(err)
	schema := &spec.Schema{}
	s.Must(json.Unmarshal(text, schema))
	validator := validate.NewSchemaValidator(schema, nil, "", strfmt.Default)
	for text := range bytes.Lines(data) {
		var line v1alpha1.EvictionRecord
		var any any
		s.Must(json.Unmarshal(text, &any))
		if result := validator.Validate(any); !result.IsValid() {
			s.T.Errorf("%s does not match the schema: %v", text, errors.Join(result.Errors...))
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&line); err != nil {
			s.T.Errorf("%s: %v", text, err)
		}
		if line.Pod.Namespace == s.Namespace {
			lines = append(lines, line)
		}
	}
	return lines
}

// AuditLines are those of a controller that writes its audit log to standard output. Its log is beside them.
func (c *Controller) AuditLines(s *Scene) []v1alpha1.EvictionRecord {
	s.T.Helper()
	log, err := c.Log()
	s.Must(err)
	var lines []byte
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "{") {
			lines = append(lines, line...)
		}
	}
	return s.AuditLines(lines)
}

// Accepted is when the API server has answered each deletion and eviction of a pod in the scene's namespace that it has accepted of the account of a
// deployment since a time, by the name of the pod. That is what its own audit log says.
func (s *Scene) Accepted(since time.Time) map[string]time.Time {
	s.T.Helper()
	accepted := map[string]time.Time{}
	for _, request := range s.Requests(since) {
		ref := request.ObjectRef
		if ref == nil || ref.Namespace != s.Namespace || ref.Resource != "pods" || request.ResponseStatus == nil {
			continue
		}
		deletes := request.Verb == "delete" && request.ResponseStatus.Code == http.StatusOK
		evicts := request.Verb == "create" && ref.Subresource == "eviction" && request.ResponseStatus.Code == http.StatusCreated
		if deletes || evicts {
			if _, twice := accepted[ref.Name]; twice {
				s.T.Errorf("pod %s was deleted twice", ref.Name)
			}
			accepted[ref.Name] = request.StageTimestamp.Time
		}
	}
	return accepted
}
