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

package explain

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/taint-manager/taint-manager/pkg/snapshot"
	"github.com/taint-manager/taint-manager/pkg/tainteviction"
)

// APIVersion is the version of all results. No API server serves it.
const APIVersion = "kubectl.taint-manager.io/v1alpha1"

// Header is what all results begin with.
type Header struct {
	metav1.TypeMeta `json:",inline"`
	// At is the API time of the snapshot.
	At time.Time `json:"at"`
	// Unread is what could not be read, and what cannot be known because of that.
	Unread []snapshot.Unread `json:"unread,omitempty"`
	// Notes are further things that limit what the result says.
	Notes []string `json:"notes,omitempty"`
}

// NewHeader returns the header of a result of a kind. It notes what holds all pods.
func NewHeader(kind string, s *snapshot.Snapshot) Header {
	h := newHeader(kind, s)
	if message := s.Annotation(tainteviction.BrakeMessageAnnotation); message != "" {
		h.Notes = append(h.Notes, "the eviction brake is on, and only the controller knows which pods it holds: "+message)
	}
	if name := s.Annotation(tainteviction.PausedByAnnotation); name != "" {
		h.Notes = append(h.Notes, "policy "+name+" holds all evictions")
	}
	return h
}

// newHeader returns the header of a result that shows by itself what holds all pods.
func newHeader(kind string, s *snapshot.Snapshot) Header {
	h := Header{TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: kind}, At: s.API(s.At), Unread: s.Unread}
	for _, policy := range s.Policies.Policies() {
		if err := s.Policies.Err(policy.Name); err != nil {
			h.Notes = append(h.Notes, "policy "+policy.Name+" is not valid: "+err.Error()+
				"; shown as if it kept its pods, but if the controller had accepted an earlier version, only it knows that one")
		}
	}
	return h
}

// Common returns the header.
func (h *Header) Common() *Header { return h }

// Ref names an object.
type Ref struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

var _ runtime.Object = &Pod{}
