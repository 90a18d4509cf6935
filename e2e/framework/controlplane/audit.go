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

package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// maxAuditMegabytes is more than any run logs: a storm of 5,000 pods logs about 25 MB.
const maxAuditMegabytes = 1 << 20

// auditPolicy has the API server note the requests of some users, when it has answered.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    %s: %s
  - level: None
`

// AuditLog is the API server's log of what some users ask for.
type AuditLog struct {
	// Dir has the policy and the log.
	Dir string
}

// NewAuditLog writes the policy of a log in a directory. Kind is users or userGroups, and names are some of these.
func NewAuditLog(dir, kind string, names ...string) (*AuditLog, error) {
	a := &AuditLog{dir}
	list, err := json.Marshal(names) // which is YAML, too
	if err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	if err := os.WriteFile(a.policy(), fmt.Appendf(nil, auditPolicy, kind, list), 0o600); err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	return a, nil
}

func (a *AuditLog) policy() string { return filepath.Join(a.Dir, "policy.yaml") }

// Path is the file that the API server writes.
func (a *AuditLog) Path() string { return filepath.Join(a.Dir, "audit.log") }

// Args are the flags of the API server. The log stays in one file, which is read by offsets: by default a new one is begun at 100 MB.
func (a *AuditLog) Args() []string {
	return []string{"--audit-policy-file=" + a.policy(), "--audit-log-path=" + a.Path(), "--audit-log-maxsize=" + strconv.Itoa(maxAuditMegabytes)}
}

// ReadAudit calls a function for each event in a part of an audit log.
func ReadAudit(log io.Reader, each func(*auditv1.Event)) error {
	for events := json.NewDecoder(log); ; {
		event := &auditv1.Event{}
		switch err := events.Decode(event); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("audit log: %w", err)
		}
		each(event)
	}
}
