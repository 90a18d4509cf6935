package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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
	// Deliver, if set, is asked before each event is written to a watch of a client, by its user agent. If it says cut, half
	// of the event is written, and the connection breaks. Delivered, if set, is told of each event that was written.
	Deliver   func(client, resource string, event Event) (cut bool)
	Delivered func(client, resource string, event Event)
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
	requests  []string
}

// New returns a model without objects.
func New() *Server {
	s := &Server{objects: map[string]map[string]object{}, watchers: map[*watcher]bool{},
		lag: map[[2]string]time.Duration{}, compacted: map[string]uint64{}}
	for _, resource := range []string{"pods", "nodes", "events", "configmaps"} {
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

// RoundTrip answers a request.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	query := req.URL.Query()
	path := strings.Split(strings.TrimPrefix(req.URL.Path, "/api/v1/"), "/")
	namespace := ""
	if path[0] == "namespaces" && len(path) > 2 {
		namespace, path = path[1], path[2:]
	}
	if len(path) > 1 || req.Method != http.MethodGet {
		s.lock.Lock()
		s.requests = append(s.requests, req.Method+" "+req.URL.Path)
		s.lock.Unlock()
	}
	if s.Intercept != nil {
		if answer, err := s.Intercept(req); answer != nil || err != nil {
			return answer, err
		}
	}
	resource, name := path[0], ""
	if len(path) > 1 {
		name = path[1]
	}
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	if s.objects[resource] == nil {
		return Failure(apierrors.NewNotFound(v1.Resource(resource), name)), nil
	}
	if query.Get("watch") != "" {
		return s.watch(req, resource, query)
	}
	return s.answer(req.Method, resource, namespace, name, body, query.Get("fieldSelector")), nil
}

func (s *Server) answer(method, resource, namespace, name string, body []byte, selector string) *http.Response {
	s.lock.Lock()
	defer s.lock.Unlock()
	key := namespace + "/" + name
	current := s.objects[resource][key]
	switch {
	case method == http.MethodGet && name == "":
		return s.list(resource, selector)
	case method == http.MethodPost:
		return s.post(resource, namespace, body)
	case current == nil:
		return Failure(apierrors.NewNotFound(v1.Resource(resource), name))
	case method == http.MethodGet:
		return success(current)
	case method == http.MethodPut:
		return s.put(resource, current, body)
	case method == http.MethodPatch && resource == "events":
		return s.patchEvent(current.(*v1.Event), body)
	case method == http.MethodPatch:
		return s.patchStatus(current.(*v1.Pod), body)
	case method == http.MethodDelete:
		return s.deletePod(current.(*v1.Pod), body)
	default:
		return Failure(apierrors.NewMethodNotSupported(v1.Resource(resource), method))
	}
}

func (s *Server) list(resource, selector string) *http.Response {
	list := &metav1.List{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kinds[resource] + "List"}}
	list.ResourceVersion = strconv.FormatUint(s.version, 10)
	for _, o := range s.objects[resource] {
		if selects(selector, o) {
			list.Items = append(list.Items, runtime.RawExtension{Raw: encode(o)})
		}
	}
	return success(list)
}

func (s *Server) post(resource, namespace string, body []byte) *http.Response {
	o := &v1.Event{}
	if err := json.Unmarshal(body, o); err != nil || resource != "events" || o.Namespace != namespace {
		return Failure(apierrors.NewBadRequest(fmt.Sprint("the model takes Events only, in their namespace: ", err)))
	}
	if s.objects[resource][keyOf(o)] != nil {
		return Failure(apierrors.NewAlreadyExists(v1.Resource(resource), o.Name))
	}
	s.store(resource, o)
	return success(o)
}

// put replaces a ConfigMap, if nobody has written to it meanwhile.
func (s *Server) put(resource string, current object, body []byte) *http.Response {
	o := &v1.ConfigMap{}
	if err := json.Unmarshal(body, o); err != nil || resource != "configmaps" {
		return Failure(apierrors.NewBadRequest(fmt.Sprint("the model takes ConfigMaps only: ", err)))
	}
	if o.ResourceVersion != current.GetResourceVersion() {
		return Failure(apierrors.NewConflict(v1.Resource(resource), o.Name, fmt.Errorf("it has been modified")))
	}
	s.store(resource, o)
	return success(o)
}

var kinds = map[string]string{"pods": "Pod", "nodes": "Node", "events": "Event", "configmaps": "ConfigMap"}

func keyOf(o object) string { return o.GetNamespace() + "/" + o.GetName() }

// selects knows the one selector that the controller uses.
func selects(selector string, o object) bool {
	pod, isPod := o.(*v1.Pod)
	return selector != "spec.nodeName!=" || (isPod && pod.Spec.NodeName != "")
}

// setKind has an object say what it is, as on the wire.
func setKind(resource string, o object) {
	o.GetObjectKind().SetGroupVersionKind(v1.SchemeGroupVersion.WithKind(kinds[resource]))
}

func encode(o any) []byte {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err) // an API object that cannot be encoded: a bug of the test
	}
	return data
}

func success(o runtime.Object) *http.Response { return response(http.StatusOK, encode(o)) }

// Failure is the answer of the API server for an error.
func Failure(err *apierrors.StatusError) *http.Response {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return response(int(status.Code), encode(&status))
}

func response(code int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: code,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewReader(body)),
	}
}

// store puts a new version of an object into the model and into the watches.
func (s *Server) store(resource string, o object) {
	s.version++
	setKind(resource, o)
	kind := added
	if s.objects[resource][keyOf(o)] != nil {
		kind = modified
	}
	o.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.objects[resource][keyOf(o)] = o
	s.publish(change{kind: kind, resource: resource, object: o, version: s.version})
}

func (s *Server) remove(resource string, o object) {
	s.version++
	delete(s.objects[resource], keyOf(o))
	last := o.DeepCopyObject().(object)
	last.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.publish(change{kind: deleted, resource: resource, object: last, version: s.version})
}
