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
	"net/http"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// TestModelAnswersAsTheAPIServer makes the same requests to the model and to a real API server.
func TestModelAnswersAsTheAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	cp := controlplane.StartT(t, controlplane.Options{
		Parts:     []controlplane.Program{controlplane.Etcd},
		ExtraArgs: map[controlplane.Program][]string{controlplane.APIServer: {"--disable-admission-plugins=ServiceAccount"}},
	})
	client, err := rest.HTTPClientFor(cp.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	real := &server{t: t, client: client, host: cp.AdminConfig().Host, seen: map[string]object{}}
	api := apitest.New()
	api.Linger = true // as without kubelets
	model := &server{t: t, client: &http.Client{Transport: api}, host: "http://model", seen: map[string]object{}}
	want, got := real.converse(), model.converse()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			t.Errorf("the model says besides: %s", got[i])
		case i >= len(got):
			t.Errorf("the model does not say: %s", want[i])
		case want[i] != got[i]:
			t.Errorf("the API server: %s\nthe model:      %s", want[i], got[i])
		default:
			t.Log(want[i])
		}
	}
	if t.Failed() {
		t.Logf("all that the API server said:\n%s", strings.Join(want, "\n"))
	}
}

// converse makes all requests, and returns what is compared of the answers.
func (s *server) converse() []string {
	for _, part := range []func(*server){
		(*server).absent, (*server).objects, (*server).lists, (*server).watches, (*server).statuses, (*server).deletions,
		(*server).evictions, (*server).events, (*server).configMaps, (*server).leases, (*server).encodings,
	} {
		part(s)
	}
	return s.lines
}

const (
	pods     = "/api/v1/namespaces/default/pods"
	bound    = "fieldSelector=spec.nodeName%21%3D"
	configs  = "/api/v1/namespaces/default/configmaps"
	eventsIn = "/api/v1/namespaces/default/events"
	leasesIn = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
)

func (s *server) absent() {
	s.say("GET", pods+"/none", "")
	s.say("GET", "/api/v1/nodes/none", "")
	s.say("GET", configs+"/none", "")
	s.say("GET", leasesIn+"/none", "")
	s.say("DELETE", pods+"/none", `{"preconditions":{"uid":"x"}}`)
	s.say("PATCH", pods+"/none/status", `{"metadata":{"uid":"x"}}`)
	s.say("PUT", configs+"/none", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"none"}}`)
}

func pod(name, node string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `"},"spec":{"nodeName":"` + node +
		`","containers":[{"name":"c","image":"none"}]}}`
}

func (s *server) objects() {
	s.say("POST", "/api/v1/nodes", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"spec":{"taints":[{"key":"a","effect":"NoExecute"}]}}`)
	for _, name := range []string{"c", "a", "b"} {
		s.say("POST", pods, pod(name, "n"))
	}
	s.say("POST", pods, pod("unbound", ""))
	s.say("POST", pods, pod("a", "n"))
	s.say("POST", pods, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"other"},"spec":{"containers":[{"name":"c","image":"i"}]}}`)
	s.say("POST", pods, `{`)
	s.say("GET", pods+"/a", "")
	s.say("GET", "/api/v1/nodes/n", "")
}

func (s *server) lists() {
	s.say("GET", "/api/v1/pods", "")
	s.say("GET", "/api/v1/pods?"+bound, "")
	s.say("GET", "/api/v1/pods?resourceVersion=0&"+bound, "")
	s.say("GET", "/api/v1/nodes?resourceVersion=0&limit=1", "")
	s.say("GET", pods+"?fieldSelector=metadata.name%3Da", "")
	s.say("GET", "/api/v1/namespaces/none/pods", "")
	s.say("GET", "/api/v1/nodes?limit=1", "")
	first := s.say("GET", "/api/v1/pods?limit=2", "")
	s.say("POST", pods, pod("late", "n")) // not on a further page
	second := s.say("GET", "/api/v1/pods?limit=2&continue="+first.Metadata.Continue, "")
	s.note("the pages are of one version: %t", first.Metadata.ResourceVersion == second.Metadata.ResourceVersion)
	s.say("GET", "/api/v1/pods?limit=1&"+bound, "")
	s.say("GET", "/api/v1/pods?limit=2&continue=nonsense", "")
}

func (s *server) statuses() {
	condition := `"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"DeletionByTaintManager"}]}`
	s.say("PATCH", pods+"/a/status", `{"metadata":{"uid":"`+s.uid("a")+`"},`+condition+`,"spec":{"nodeName":"other"}}`)
	s.say("PATCH", pods+"/a/status", `{"metadata":{"uid":"`+s.uid("a")+`"},"status":{"conditions":[{"type":"PodScheduled","status":"True"}]}}`)
	s.say("PATCH", pods+"/a/status", `{"metadata":{"uid":"`+s.uid("b")+`"},`+condition+`}`)
	s.say("PATCH", pods+"/a/status", `{"metadata":`)
	s.say("GET", pods+"/a", "")
}

func (s *server) deletions() {
	uid, version := s.uid("a"), s.seen["a"].Metadata.ResourceVersion
	s.say("DELETE", pods+"/a", `{"preconditions":{"uid":"other"}}`)
	s.say("DELETE", pods+"/a", `{"preconditions":{"uid":"`+uid+`","resourceVersion":"1"}}`)
	s.say("DELETE", pods+"/a", `{"preconditions":{"uid":"`+uid+`","resourceVersion":"`+version+`"}}`)
	s.say("GET", pods+"/a", "")
	s.say("DELETE", pods+"/a", `{"preconditions":{"uid":"`+uid+`","resourceVersion":"`+version+`"}}`)
	s.say("DELETE", pods+"/a", `{"preconditions":{"uid":"`+uid+`"}}`)
	s.say("DELETE", pods+"/unbound", "")
	s.say("GET", pods+"/unbound", "")
	s.say("PATCH", pods+"/late/status", `{"status":{"phase":"Failed"}}`)
	s.say("DELETE", pods+"/late", "")
	s.say("GET", pods+"/late", "")
	s.say("DELETE", "/api/v1/nodes/n", "")
	s.say("GET", "/api/v1/nodes/n", "")
}

func (s *server) events() {
	event := `{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"default"},"involvedObject":{"kind":"Pod","namespace":"default","name":"a"},` +
		`"reason":"r","message":"m","type":"Normal"}`
	s.say("POST", eventsIn, event)
	s.say("POST", eventsIn, event)
	s.say("POST", "/api/v1/namespaces/other/events", event)
	s.say("PATCH", eventsIn+"/e", `{"count":2}`)
	s.say("PATCH", eventsIn+"/none", `{"count":2}`)
}

func (s *server) configMaps() {
	s.say("POST", configs, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1"}}`)
	update := func(version string) string {
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","resourceVersion":"` + version + `"},"data":{"a":"2"}}`
	}
	s.say("PUT", configs+"/m", update(s.seen["m"].Metadata.ResourceVersion))
	s.say("PUT", configs+"/m", update("1"))
	s.say("PUT", configs+"/m", update(""))
}

func (s *server) leases() {
	s.say("POST", leasesIn, `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"spec":{"holderIdentity":"a"}}`)
	s.say("PUT", leasesIn+"/l", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l","resourceVersion":"1"},"spec":{"holderIdentity":"b"}}`)
	s.say("GET", leasesIn+"/l", "")
	s.say("GET", leasesIn+"?fieldSelector=metadata.name%3Dl", "")
}
