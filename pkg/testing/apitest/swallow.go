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
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Proxy stands between a client and the model, and keeps bookmarks at the end of streaming lists to itself. Its clients speak JSON.
type Proxy struct {
	// Next is the model.
	Next http.RoundTripper

	lock     sync.Mutex
	swallows bool
	lists    []string
}

// Swallow has it keep bookmarks to itself from now on, or not.
func (p *Proxy) Swallow(on bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.swallows = on
}

// Lists are the queries of the lists and streaming lists so far of a resource.
func (p *Proxy) Lists(resource string) (queries []string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, list := range p.lists {
		if query, found := strings.CutPrefix(list, "/api/v1/"+resource+"?"); found {
			queries = append(queries, query)
		}
	}
	return slices.Clone(queries)
}

// Client returns a client of the model behind the proxy.
func (p *Proxy) Client() (kubernetes.Interface, error) {
	config := &rest.Config{Host: "http://model", Transport: p, QPS: -1}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return kubernetes.NewForConfig(config)
}

// RoundTrip passes a request on.
func (p *Proxy) RoundTrip(req *http.Request) (*http.Response, error) {
	streams := req.URL.Query().Get("sendInitialEvents") == "true"
	p.lock.Lock()
	if streams || !req.URL.Query().Has("watch") {
		p.lists = append(p.lists, req.URL.Path+"?"+req.URL.RawQuery)
	}
	p.lock.Unlock()
	answer, err := p.Next.RoundTrip(req)
	if err == nil && streams && answer.StatusCode == http.StatusOK {
		answer.Body = p.filter(answer.Body)
	}
	return answer, err
}

// filter passes lines on, but the ones that are to be swallowed.
func (p *Proxy) filter(body io.ReadCloser) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		from := bufio.NewReader(body)
		for {
			line, err := from.ReadBytes('\n')
			p.lock.Lock()
			swallowed := p.swallows && bytes.Contains(line, []byte(metav1.InitialEventsAnnotationKey))
			p.lock.Unlock()
			if !swallowed {
				_, _ = writer.Write(line) // who does not read any more closes the body
			}
			if err != nil {
				_ = writer.CloseWithError(err) // never fails
				return
			}
		}
	}()
	return &filtered{reader, body}
}

// filtered is a body behind a filter.
type filtered struct {
	*io.PipeReader
	body io.Closer
}

func (f *filtered) Close() error {
	_ = f.PipeReader.Close() // never fails
	return f.body.Close()
}
