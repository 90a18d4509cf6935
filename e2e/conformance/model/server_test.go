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

package model

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// server is one of the two, and what it has said.
type server struct {
	t      *testing.T
	client *http.Client
	host   string
	lines  []string
	// seen are the objects as they were last answered, by name.
	seen map[string]object
}

// object is what is compared of an object, a list or a Status.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace, UID, ResourceVersion, Continue string
		RemainingItemCount, DeletionGracePeriodSeconds  *int64
		Generation                                      int64
		DeletionTimestamp                               *metav1.Time
		Annotations                                     map[string]string
	}
	Spec   struct{ NodeName, HolderIdentity string }
	Data   map[string]string
	Count  int
	Status json.RawMessage
	Code   int
	Reason string
	// Message is that of a Status.
	Message string
	// Details are those of a Status.
	Details *metav1.StatusDetails
	Items   []object
}

// say makes a request and notes the answer.
func (s *server) say(method, path, body string) object {
	s.t.Helper()
	code, _, answer := s.ask(method, path, body, "application/json")
	o := object{}
	if err := json.Unmarshal(answer, &o); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
	before := s.seen[o.Metadata.Name]
	path, _, _ = strings.Cut(path, "&continue=")
	s.note("%s %s %s: %d %s", method, path, shorten(body), code, s.describe(o, before))
	if o.Kind != "Status" && o.Metadata.Name != "" {
		s.seen[o.Metadata.Name] = o
	}
	return o
}

// shorten leaves out what differs between two servers.
func shorten(body string) string { return body[:min(len(body), 20)] }

func (s *server) note(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *server) uid(name string) string { return s.seen[name].Metadata.UID }

// ask makes a request, and returns the code, the content type and the body of the answer.
func (s *server) ask(method, path, body, accept string) (code int, contentType string, answer []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	response := s.send(ctx, method, path, body, accept)
	defer func() { _ = response.Body.Close() }() // read to its end
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.Header.Get("Date") == "" || response.Header.Get("Audit-Id") == "" {
		s.note("%s %s has no Date or Audit-Id", method, path)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), answer
}

func (s *server) send(ctx context.Context, method, path, body, accept string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, s.host+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	return response
}

// describe says what matters of an answer.
func (s *server) describe(o, before object) string {
	if o.Kind == "Status" {
		return fmt.Sprintf("Status %s %s %s", strings.Trim(string(o.Status), `"`), o.Reason, describeDetails(o.Details))
	}
	if o.Items != nil || strings.HasSuffix(o.Kind, "List") {
		names := []string{}
		for _, item := range o.Items {
			names = append(names, item.Metadata.Name)
		}
		remaining := "unknown"
		if n := o.Metadata.RemainingItemCount; n != nil {
			remaining = fmt.Sprint(*n)
		}
		return fmt.Sprintf("%s %v, more: %t, remaining: %s", o.Kind, names, o.Metadata.Continue != "", remaining)
	}
	text := fmt.Sprintf("%s %s/%s on %q holder %q data %v count %d", o.Kind, o.Metadata.Namespace, o.Metadata.Name, o.Spec.NodeName,
		o.Spec.HolderIdentity, o.Data, o.Count)
	if before.Metadata.UID != "" {
		text += fmt.Sprintf(", same: %t, changed: %t", before.Metadata.UID == o.Metadata.UID,
			before.Metadata.ResourceVersion != o.Metadata.ResourceVersion)
	}
	if o.Metadata.DeletionTimestamp != nil {
		text += fmt.Sprintf(", terminating within %d s", *o.Metadata.DeletionGracePeriodSeconds)
	}
	var status struct {
		Conditions []struct{ Type, Status, Reason string }
	}
	if json.Unmarshal(o.Status, &status) == nil && o.Kind == "Pod" {
		slices.SortFunc(status.Conditions, func(a, b struct{ Type, Status, Reason string }) int { return cmp.Compare(a.Type, b.Type) })
		text += fmt.Sprintf(", conditions %v", status.Conditions)
	}
	return text
}

func describeDetails(d *metav1.StatusDetails) string {
	if d == nil {
		return ""
	}
	text := fmt.Sprintf("of %s %s/%s, retry after %d", d.Name, d.Group, d.Kind, d.RetryAfterSeconds)
	for _, cause := range d.Causes {
		text += fmt.Sprintf(", %s %s", cause.Type, cause.Field)
	}
	return text
}

// watch opens a watch, and notes its events up to one that ends it, while changes are made.
func (s *server) watch(path string, last string, change func()) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	response := s.send(ctx, http.MethodGet, path, "", "application/json")
	defer func() { _ = response.Body.Close() }() // nobody reads on
	at, _, _ := strings.Cut(path, "resourceVersion=")
	s.note("watch %s: %d %s", at, response.StatusCode, response.Header.Get("Content-Type"))
	if change != nil {
		change()
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Type   string
			Object object
		}
		if err := json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&event); err != nil {
			s.t.Fatal(err)
		}
		text := fmt.Sprintf("%s %s %s %d %v", event.Type, event.Object.Kind, event.Object.Metadata.Name, event.Object.Code, event.Object.Metadata.Annotations)
		s.note("  %s", text)
		if strings.HasPrefix(text, last) {
			return
		}
	}
	s.note("  ends: %v", lines.Err())
}

func (s *server) watches() {
	list := s.say("GET", "/api/v1/pods", "")
	from := "resourceVersion=" + list.Metadata.ResourceVersion
	stream := "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion="
	s.watch("/api/v1/pods?"+bound+"&"+stream, "BOOKMARK", nil)
	s.watch("/api/v1/nodes?"+stream, "BOOKMARK", nil)
	s.watch("/api/v1/pods?watch=1&"+bound+"&"+from, "DELETED Pod w", func() {
		s.say("POST", pods, pod("w", ""))
		s.say("POST", pods+"/w/binding", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"w"},"target":{"kind":"Node","name":"n"}}`)
		s.say("PATCH", pods+"/w/status", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
		s.say("DELETE", pods+"/w", `{"gracePeriodSeconds":0}`)
	})
	s.watch("/api/v1/pods?watch=1&timeoutSeconds=1&"+from, "nothing", nil)
	s.watch("/api/v1/pods?watch=1&resourceVersion=nonsense", "Status", nil)
}

func (s *server) encodings() {
	const proto = "application/vnd.kubernetes.protobuf"
	for _, accept := range []string{proto, proto + ",application/json", "application/json", "*/*",
		proto + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"} {
		code, contentType, body := s.ask("GET", pods+"/b", "", accept)
		o := &metav1.PartialObjectMetadata{}
		err := apitest.Decode(body, o)
		contentType, _, _ = strings.Cut(contentType, ";")
		s.note("as %s: %d %s, %s %v", accept, code, contentType, o.Name, err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	response := s.send(ctx, http.MethodGet, "/api/v1/pods?watch=1&resourceVersion=0", "", proto)
	defer func() { _ = response.Body.Close() }() // nobody reads on
	s.note("a watch: %d %s", response.StatusCode, response.Header.Get("Content-Type"))
}
