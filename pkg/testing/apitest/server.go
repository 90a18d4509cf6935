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

package apitest

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

// object is what the model stores.
type object interface {
	runtime.Object
	metav1.Object
}

// Server is the model. It is an http.RoundTripper.
type Server struct {
	// Intercept, if set, sees each request first, and may answer it instead of the model by an answer or an error. It may
	// also do something and leave the answer to the model, by neither. It must be set before the first request.
	Intercept func(*http.Request) (*http.Response, error)
	// Changed, if set, sees each new version of an object as it is stored, and the last one of an object that is gone. It is
	// called with the model locked, and must not call it.
	Changed func(object Object, gone bool)
	// Deliver, if set, is asked before each event is written to a watch of a client, by its user agent, what becomes of it.
	// Delivered, if set, is told of each event that was written.
	Deliver   func(client, resource string, event Event) Delivery
	Delivered func(client, resource string, event Event)
	// Bookmarks is the time between two bookmarks of a watch that allows them; none for zero.
	Bookmarks time.Duration
	// MaxPage is how many items a page of a list has, at most, where the client wants pages; as many as it wants for zero.
	MaxPage int
	// Now is the server's clock: what it stamps, and the Date of its answers. It is time.Now unless set.
	Now func() time.Time
	// Scale, if set, says how many pods of a budget there should be. Otherwise those that there are should be.
	Scale func(*policyv1.PodDisruptionBudget) int32
	// Linger has deleted pods stay, terminating, until Remove, as with a kubelet that stops containers. Otherwise they go
	// at once.
	Linger bool

	lock     sync.Mutex
	version  uint64
	objects  map[string]map[string]object // resource to namespace/name to object
	history  []change
	watchers map[*watcher]bool
	// lag is how much later watches see what happens, by client (empty: every client) and resource.
	lag map[[2]string]time.Duration
	// compacted is the version before which no watch of a resource can begin.
	compacted map[string]uint64
	// terminating are the namespaces in which nothing can be created.
	terminating map[string]bool
	// noPolicies says that policies are not served.
	noPolicies bool
	requests   []string
}

// New returns a model without objects.
func New() *Server {
	s := &Server{Now: time.Now, objects: map[string]map[string]object{}, watchers: map[*watcher]bool{},
		lag: map[[2]string]time.Duration{}, compacted: map[string]uint64{},
		terminating: map[string]bool{}}
	for resource := range kinds {
		s.objects[resource] = map[string]object{}
	}
	return s
}

// Client returns a client of the model without rate limits.
func (s *Server) Client() (kubernetes.Interface, error) {
	config := &rest.Config{Host: "http://model", Transport: s, QPS: -1}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return kubernetes.NewForConfig(config)
}

// Requests are the requests so far, as "VERB path", without those of lists and watches.
func (s *Server) Requests() []string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return slices.Clone(s.requests)
}

// Count is the number of requests so far that begin with a text.
func (s *Server) Count(prefix string) int {
	n := 0
	for _, request := range s.Requests() {
		if strings.HasPrefix(request, prefix) {
			n++
		}
	}
	return n
}

// RoundTrip answers a request. The answer has the Date of the server's clock.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := s.roundTrip(req)
	if response != nil {
		s.Date(response)
	}
	return response, err
}

// Date puts the server's time into the headers of an answer, as of now, unless it has one.
func (s *Server) Date(response *http.Response) {
	if response.Header == nil {
		response.Header = http.Header{}
	}
	if response.Header.Get("Date") != "" {
		return
	}
	response.Header.Set("Date", s.Now().UTC().Format(http.TimeFormat))
	response.Header.Set("Audit-Id", "model")
}

// request is what is asked for.
type request struct {
	method, resource, namespace, name, subresource string
	// client is the user agent.
	client string
	query  url.Values
	body   []byte
	// contentType is that of the body.
	contentType string
}

// key is the object's, as the model stores it.
func (r request) key() string { return r.namespace + "/" + r.name }

// read reads a request, but for its body.
func read(req *http.Request) request {
	r := request{method: req.Method, client: req.UserAgent(), query: req.URL.Query(), contentType: req.Header.Get("Content-Type")}
	path := req.URL.Path
	for _, prefix := range []string{"/api/v1/", "/apis/coordination.k8s.io/v1/", "/apis/policy/v1/", "/apis/" + v1alpha1.GroupVersion.String() + "/"} {
		path = strings.TrimPrefix(path, prefix)
	}
	parts := strings.Split(path, "/")
	if parts[0] == "namespaces" && len(parts) > 2 {
		r.namespace, parts = parts[1], parts[2:]
	}
	for i, to := range []*string{&r.resource, &r.name, &r.subresource} {
		if i < len(parts) {
			*to = parts[i]
		}
	}
	return r
}

func (s *Server) roundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r := read(req)
	if r.name != "" || r.method != http.MethodGet {
		s.lock.Lock()
		s.requests = append(s.requests, req.Method+" "+req.URL.Path)
		s.lock.Unlock()
	}
	if s.Intercept != nil {
		if response, err := s.Intercept(req); response != nil || err != nil {
			return response, err
		}
	}
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }() // read to its end
		var err error
		if r.body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	e := accepted(req.Header.Get("Accept"))
	switch {
	case isDiscovery(req):
		return s.discover().response(e), nil
	case !s.knows(r.resource):
		return unknown(r.method).response(e), nil
	}
	if r.query.Get("watch") != "" {
		return s.watch(req, r, e)
	}
	return s.answer(r).response(e), nil
}

func (s *Server) answer(r request) answer {
	s.lock.Lock()
	defer s.lock.Unlock()
	current := s.objects[r.resource][r.key()]
	switch {
	case r.method == http.MethodGet && r.name == "":
		return s.list(r)
	case r.method == http.MethodPost:
		return s.post(r)
	case current == nil:
		return failure(apierrors.NewNotFound(groupResource(r.resource), r.name))
	case r.method == http.MethodGet:
		return success(current)
	case r.method == http.MethodPut:
		return s.put(r, current)
	case r.method == http.MethodPatch:
		return s.patch(r, current)
	case r.method == http.MethodDelete:
		return s.delete(r, current)
	default:
		return failure(apierrors.NewMethodNotSupported(groupResource(r.resource), r.method))
	}
}

// store puts a new version of an object into the model and into the watches.
func (s *Server) store(resource string, o object) {
	s.version++
	setKind(resource, o)
	kind, before := added, s.objects[resource][keyOf(o)]
	if before != nil {
		kind = modified
	}
	o.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.objects[resource][keyOf(o)] = o
	s.publish(change{kind: kind, resource: resource, object: o, before: before, version: s.version})
}

func (s *Server) remove(resource string, o object) {
	s.version++
	delete(s.objects[resource], keyOf(o))
	last := o.DeepCopyObject().(object)
	last.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.publish(change{kind: deleted, resource: resource, object: last, before: o, version: s.version})
}
