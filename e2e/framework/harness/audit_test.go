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
	"os"
	"strings"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

const configMap = "/api/v1/namespaces/kube-system/configmaps"

// lineFor is what the API server logs of one request.
func lineFor(verb, path, decision string) auditv1.Event {
	event := auditv1.Event{Verb: verb, RequestURI: path, ObjectRef: &auditv1.ObjectReference{Resource: "configmaps", Namespace: "kube-system"}}
	event.Annotations = map[string]string{"authorization.k8s.io/reason": "by a role"}
	if decision != "" { // none where the request ended before it was decided
		event.Annotations["authorization.k8s.io/decision"] = decision
	}
	return event
}

// TestAuditOfOthersGrants holds for what the manifests do not grant: only a request that was never allowed is an error.
func TestAuditOfOthersGrants(t *testing.T) {
	for name, c := range map[string]struct {
		lines  []auditv1.Event
		refuse string
	}{
		"allowed": {lines: []auditv1.Event{lineFor("watch", configMap, "allow")}},
		"forbidden": {
			lines:  []auditv1.Event{lineFor("watch", configMap+"?watch=true", "forbid")},
			refuse: "watch " + configMap,
		},
		"undecided": {
			lines:  []auditv1.Event{lineFor("watch", configMap, "")},
			refuse: "watch " + configMap,
		},
		"forbidden by an API server that has just started": {lines: []auditv1.Event{
			lineFor("watch", configMap+"?resourceVersion=1", "allow"), lineFor("watch", configMap+"?resourceVersion=2", "forbid"),
		}},
		"another verb allowed": {
			lines:  []auditv1.Event{lineFor("list", configMap, "allow"), lineFor("watch", configMap, "forbid")},
			refuse: "watch " + configMap,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &audit{&controlplane.AuditLog{Dir: t.TempDir()}}
			log := &bytes.Buffer{}
			for _, line := range c.lines {
				if err := json.NewEncoder(log).Encode(line); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(a.Path(), log.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			out := &bytes.Buffer{}
			err := a.compare(out)
			if err == nil || !strings.Contains(err.Error(), "the manifests grant what nothing used: list pods") {
				t.Fatalf("unused grants are not reported: %v", err)
			}
			const ungranted = "the manifests do not grant what was asked for: "
			if c.refuse == "" && strings.Contains(err.Error(), ungranted) {
				t.Errorf("reported as not granted: %v", err)
			}
			if c.refuse != "" && !strings.HasSuffix(err.Error(), ungranted+c.refuse) {
				t.Errorf("want %q reported as not granted, got: %v", c.refuse, err)
			}
		})
	}
}

// TestAuditOfLists reports what an API server answers all at once.
func TestAuditOfLists(t *testing.T) {
	for uri, want := range map[string]bool{
		"/api/v1/pods?fieldSelector=spec.nodeName%21%3D&limit=500": false,
		"/api/v1/nodes?continue=abc&limit=500":                     false,
		"/api/v1/nodes":                                            true,
		"/api/v1/nodes?limit=500&resourceVersion=0":                true,
	} {
		event := auditv1.Event{Verb: "list", RequestURI: uri, ObjectRef: &auditv1.ObjectReference{Resource: "nodes"}}
		if got := unlimited(&event); got != want {
			t.Errorf("%s: %t", uri, got)
		}
		event.Verb = "watch"
		if unlimited(&event) {
			t.Errorf("%s: a watch is no list", uri)
		}
	}
}
