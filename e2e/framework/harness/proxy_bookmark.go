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
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SwallowBookmarks has it keep the bookmarks to itself that end streaming lists, or not, from now on.
func (p *Proxy) SwallowBookmarks(on bool) { p.swallows.Store(on) }

// Expire ends all watches, and has those that would go on where these ended be listed again.
func (p *Proxy) Expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expired = map[string]bool{}
	for _, path := range []string{"/api/v1/nodes", "/api/v1/pods"} {
		p.expired[path] = true
	}
	for _, cancel := range p.open {
		cancel()
	}
}

// expire answers a watch that would go on where one ended, once for each resource, and reports whether it has.
func (p *Proxy) expire(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	expired := p.expired[r.URL.Path] && r.URL.Query().Has("watch") && !r.URL.Query().Has("sendInitialEvents")
	if expired {
		delete(p.expired, r.URL.Path)
	}
	p.mu.Unlock()
	if expired {
		answerWith(w, apierrors.NewResourceExpired("too old resource version"))
	}
	return expired
}

// answerWith answers with an error of the API server.
func answerWith(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // who went away needs no answer
}

// unmarked takes bookmarks out of a streaming list.
func (p *Proxy) unmarked(response *http.Response) {
	if r := response.Request; r.URL.Query().Has("sendInitialEvents") && response.StatusCode == http.StatusOK {
		response.Body = &frames{Closer: response.Body, from: bufio.NewReader(response.Body), drop: func(frame []byte) bool {
			return p.swallows.Load() && bytes.Contains(frame, []byte(metav1.InitialEventsAnnotationKey))
		}}
	}
}

// frames is the body of a watch in protobuf, without some of its events. Each has its length before it.
type frames struct {
	io.Closer
	from *bufio.Reader
	drop func([]byte) bool
	rest []byte // of a frame of which a part has been read
}

func (f *frames) Read(to []byte) (int, error) {
	for len(f.rest) == 0 {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(f.from, frame); err != nil {
			return 0, err
		}
		frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
		if _, err := io.ReadFull(f.from, frame[4:]); err != nil {
			return 0, err
		}
		if !f.drop(frame) {
			f.rest = frame
		}
	}
	n := copy(to, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
