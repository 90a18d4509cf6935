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
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

// logged is a line of an audit log.
func logged(user, verb, resource, subresource, namespace, name string, code int, at time.Time) string {
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete","verb":%q,`+
		`"user":{"username":%q},"objectRef":{"resource":%q,"subresource":%q,"namespace":%q,"name":%q},"responseStatus":{"code":%d},`+
		`"requestReceivedTimestamp":%q}`+"\n", verb, user, resource, subresource, namespace, name, code, at.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

func TestCountCalls(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	during := period{began, began.Add(time.Minute)}
	in := began.Add(time.Second)
	log := strings.Join([]string{
		logged("me", "patch", "pods", "status", "bench-0", "a", 200, began),
		logged("me", "patch", "pods", "status", "bench-0", "b", 409, in),
		logged("me", "delete", "pods", "", "bench-0", "a", 200, during.to),
		logged("me", "create", "events", "", "bench-0", "a.1", 201, in),
		logged("me", "create", "events", "", "default", "node.1", 201, in),
		logged("me", "get", "nodes", "", "", "node", 200, in),
		logged("me", "get", "nodes", "", "", "node", 200, in),
		logged("me", "watch", "pods", "", "", "", 200, in),
		logged("me", "update", "leases", "", "kube-system", "me", 200, in),
		logged("me", "delete", "pods", "", "bench-0", "before", 200, began.Add(-time.Millisecond)),
		logged("me", "delete", "pods", "", "bench-0", "after", 200, during.to.Add(time.Millisecond)),
		logged("you", "delete", "pods", "", "bench-0", "a", 200, in),
		logged("me", "delete", "pods", "", loneName, "a", 200, in),
		logged("me", "get", "nodes", "", "", loneNode(0), 200, in),
		logged("me", "create", "events", "", "default", loneNode(0)+".1", 201, in),
		`{"verb":"get","user":{"username":"me"},"requestURI":"/healthz","requestReceivedTimestamp":"2026-01-02T03:04:06.000000Z"}` + "\n",
	}, "")
	got, err := countCalls(strings.NewReader(log), "me", during)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		got, want map[string]int
	}{
		{"of evictions", got.eviction, map[string]int{"patch pods/status": 2, "delete pods": 1, "create events": 1}},
		{"others", got.other, map[string]int{"create events": 1, "watch pods": 1, "update leases": 1}},
		{"failed", got.failed, map[string]int{"patch pods/status: 409": 1}},
	} {
		if !maps.Equal(test.got, test.want) {
			t.Errorf("calls %s: %v, want %v", test.name, test.got, test.want)
		}
	}
	if got.nodeReads != 2 {
		t.Errorf("%d node reads", got.nodeReads)
	}
	if _, err := countCalls(strings.NewReader(log[:len(log)-9]), "me", during); err == nil {
		t.Error("a line that is cut off is no error")
	}
}

func TestCountSinceAnOffset(t *testing.T) {
	a := auditLog{&controlplane.AuditLog{Dir: t.TempDir()}}
	if _, err := a.end(); err == nil {
		t.Error("a log that is not there is no error")
	}
	now := time.Now()
	line := logged("me", "delete", "pods", "", "bench-0", "a", 200, now)
	if err := os.WriteFile(a.Path(), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	offset, err := a.end()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.Path(), []byte(line+line+line), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := a.count(offset, "me", period{now.Add(-time.Minute), now.Add(time.Minute)})
	if err != nil || got.eviction["delete pods"] != 2 {
		t.Errorf("%v, error %v", got, err)
	}
}
