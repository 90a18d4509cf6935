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

package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// call is a request of a replica.
type call struct {
	method, url               string
	header                    http.Header
	resource, namespace, name string
	body                      []byte
	watch, streamsList        bool
	limit, page               string
	// began is when the client asked for it, sent when it had a connection.
	began, sent time.Time
	// known is the pod of that name as the replica was shown it when the call began.
	known *v1.Pod
}

func newCall(req *http.Request) (*call, error) {
	c := &call{method: req.Method, url: req.URL.String(), header: req.Header, began: time.Now()}
	c.parsePath(req.URL.Path)
	query := req.URL.Query()
	c.limit, c.page = query.Get("limit"), query.Get("continue")
	c.watch, c.streamsList = query.Get("watch") != "", query.Get("sendInitialEvents") == "true"
	if req.Body == nil {
		return c, nil
	}
	defer func() { _ = req.Body.Close() }() // read to its end
	var err error
	c.body, err = io.ReadAll(req.Body)
	return c, err
}

// parsePath sets what the call is about. Evictions and the status of policies are resources of their own, as in authorization.
func (c *call) parsePath(url string) {
	if url == "/apis/"+v1alpha1.GroupVersion.String() {
		c.resource, c.name = discovery, v1alpha1.GroupVersion.String()
		return
	}
	for _, group := range []string{"/api/v1/", "/apis/coordination.k8s.io/v1/", "/apis/policy/v1/", "/apis/apps/v1/", "/apis/" + v1alpha1.GroupVersion.String() + "/"} {
		url = strings.TrimPrefix(url, group)
	}
	path := strings.Split(url, "/")
	if path[0] == "namespaces" && len(path) > 2 {
		c.namespace, path = path[1], path[2:]
	}
	c.resource = path[0]
	if len(path) > 1 {
		c.name = path[1]
	}
	if len(path) > 2 && (path[2] == "eviction" || c.resource == policies) {
		c.resource += "/" + path[2]
	}
}

// The resources of calls that are about policies. Discovery tells whether there are any.
const (
	discovery, policies, policyStatus = "discovery", "taintevictionpolicies", "taintevictionpolicies/status"
	evictions, budgets, namespaces    = "pods/eviction", "poddisruptionbudgets", "namespaces"
)

// verb is what is done, as authorization calls it.
func (c *call) verb() string {
	switch {
	case c.watch:
		return "watch"
	case c.method == http.MethodGet && c.name == "":
		return "list"
	default:
		return strings.ToLower(c.method)
	}
}

// reads says whether this is a list or a watch.
func (c *call) reads() bool { return c.watch || c.verb() == "list" }

func (c *call) String() string {
	return strings.TrimRight(fmt.Sprintf("%s %s %s/%s", c.verb(), c.resource, c.namespace, c.name), "/ ")
}

// request is the call again, for the model.
func (c *call) request(ctx context.Context, client string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	req.Header.Set("User-Agent", client)
	return req, nil
}

// reply is what a client was told.
type reply struct {
	code int
	body []byte
}

// metaOf is the metadata of an object, of whatever kind; what is not there stays empty.
func metaOf(body []byte) metav1.ObjectMeta {
	o := &metav1.PartialObjectMetadata{}
	_ = apitest.Decode(body, o) // a body that is no object has nothing that is wanted
	return o.ObjectMeta
}

// listOf is a list of which no more than the metadata is wanted.
func listOf(body []byte) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	_ = apitest.Decode(body, list) // as above
	return list
}
