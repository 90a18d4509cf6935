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
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// answer is what the model answers, before it is encoded as the client wants it.
type answer struct {
	code   int
	object runtime.Object
}

func success(o runtime.Object) answer { return answer{http.StatusOK, o} }

func failure(err *apierrors.StatusError) answer {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return answer{int(status.Code), &status}
}

// Failure is the answer of the API server for an error.
func Failure(err *apierrors.StatusError) *http.Response { return failure(err).response(encoding{}) }

// encoding is how a client wants its answers: in protobuf or JSON, and of objects their metadata only, or all.
type encoding struct {
	protobuf, metadataOnly bool
}

// accepted is the first encoding that a client names and the model knows.
func accepted(header string) encoding {
	for one := range strings.SplitSeq(header, ",") {
		mediaType, parameters, _ := strings.Cut(strings.TrimSpace(one), ";")
		switch mediaType {
		case runtime.ContentTypeProtobuf, runtime.ContentTypeJSON, "*/*", "application/*":
			return encoding{mediaType == runtime.ContentTypeProtobuf, strings.Contains(parameters, "as=PartialObjectMetadata")}
		}
	}
	return encoding{}
}

func (e encoding) contentType(watch bool) string {
	switch {
	case e.protobuf && watch:
		return runtime.ContentTypeProtobuf + ";stream=watch"
	case e.protobuf:
		return runtime.ContentTypeProtobuf
	default:
		return runtime.ContentTypeJSON
	}
}

func (a answer) response(e encoding) *http.Response {
	body := e.encode(e.reduced(a.object))
	return &http.Response{
		StatusCode: a.code, Header: http.Header{"Content-Type": {e.contentType(false)}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// reduced is an object, or a list, or its metadata only.
func (e encoding) reduced(o runtime.Object) runtime.Object {
	if !e.metadataOnly {
		return o
	}
	if meta.IsListType(o) {
		list := o.(objectList) // as all lists are
		partial := &metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"},
			ListMeta: metav1.ListMeta{
				ResourceVersion: list.GetResourceVersion(), Continue: list.GetContinue(), RemainingItemCount: list.GetRemainingItemCount(),
			},
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			panic(err) // all lists are of what they hold
		}
		for _, item := range items {
			partial.Items = append(partial.Items, *e.reduced(item).(*metav1.PartialObjectMetadata))
		}
		return partial
	}
	whole, isObject := o.(object)
	if !isObject {
		return o // a status
	}
	partial := meta.AsPartialObjectMetadata(whole)
	partial.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
	return partial
}

// encode writes an object, whose kind is set.
func (e encoding) encode(o runtime.Object) []byte {
	if !e.protobuf {
		return encode(o)
	}
	var out bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(o, &out); err != nil {
		panic(err) // an API object that cannot be encoded: a bug of the test
	}
	return out.Bytes()
}

// event writes an event of a watch as it is on the wire.
func (e encoding) event(event Event) []byte {
	o := event.status
	if o == nil {
		o = e.reduced(event.Object)
	}
	if !e.protobuf {
		return append(encode(struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}{event.Type, encode(o)}), '\n')
	}
	var message, out bytes.Buffer
	wire := &metav1.WatchEvent{Type: event.Type, Object: runtime.RawExtension{Raw: e.encode(o)}}
	if err := protobuf.NewRawSerializer(scheme.Scheme, scheme.Scheme).Encode(wire, &message); err != nil {
		panic(err)
	}
	if _, err := protobuf.LengthDelimitedFramer.NewFrameWriter(&out).Write(message.Bytes()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func encode(o any) []byte {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err) // an API object that cannot be encoded: a bug of the test
	}
	return data
}

// Decode reads an object that a client or the model has written, in JSON or protobuf.
func Decode(body []byte, into runtime.Object) error {
	if bytes.HasPrefix(body, []byte("k8s\x00")) {
		_, _, err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(body, nil, into)
		if err != nil {
			return fmt.Errorf("decoding protobuf: %w", err)
		}
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decoding JSON: %w", err)
	}
	return nil
}

// setKind has an object say what it is, as on the wire.
func setKind(resource string, o runtime.Object) {
	o.GetObjectKind().SetGroupVersionKind(groupVersion(resource).WithKind(kinds[resource]))
}
